from celery import shared_task
from django.conf import settings

from jobcast.celery import ProgressTask


@shared_task(bind=True, base=ProgressTask)
def send(self, n):
    assert settings.USE_TZ
    for _ in self.progress.track(range(n), description="Sending"):
        pass
