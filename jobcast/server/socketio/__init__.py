"""The one place that leans on parts of python-socketio and python-engineio below their public surfaces."""
