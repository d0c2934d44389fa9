"""A WebSocket server on epoll and eventlet, beside WSGI on one port."""
