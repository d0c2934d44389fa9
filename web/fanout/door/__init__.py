"""The front door: Socket.IO's WebSockets are served on the hub, without WSGI, greenlet or queue for each.

A connection is looked at before anything of it is read. What is surely a good Socket.IO WebSocket stays
here; all else goes on to ``eventlet.wsgi`` untouched, which also does all the refusing.
"""
