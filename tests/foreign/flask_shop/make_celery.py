"""A Flask application with Celery in the shape of Flask's documentation: an app context around each task."""

from celery import Celery
from flask import Flask, current_app

from jobcast.celery import ProgressTask


def celery_init_app(app: Flask) -> Celery:
    class FlaskTask(ProgressTask):
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def create_app() -> Flask:
    import os

    app = Flask(__name__)
    url = os.environ["REDIS_URL"]
    app.config.from_mapping(
        GREETING="hello", CELERY={"broker_url": url, "result_backend": url, "task_ignore_result": True}
    )
    celery_init_app(app)
    return app


flask_app = create_app()
celery_app = flask_app.extensions["celery"]


@celery_app.task(bind=True, name="shop.resize")
def resize(self, n):
    assert current_app.config["GREETING"] == "hello"
    for _ in self.progress.track(range(n), description="Resizing"):
        pass
