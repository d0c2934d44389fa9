import os

SECRET_KEY = "only for this test"
INSTALLED_APPS = ["parcels"]
USE_TZ = True
CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_RESULT_BACKEND = os.environ["REDIS_URL"]
CELERY_TASK_ACKS_LATE = True
