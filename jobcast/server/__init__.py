"""The browser half: namespaces, subscriptions, delivery. Knows python-socketio, neither Flask nor Celery."""
