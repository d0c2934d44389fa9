"""Live progress in a Flask application: ``Jobcast(app)``, with ``socketio=`` where there is one already."""

from jobcast.flask.extension import Jobcast
from jobcast.server.authorization import Identity

__all__ = ["Identity", "Jobcast"]
