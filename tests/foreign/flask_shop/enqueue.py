import sys

from make_celery import resize

resize.apply_async((5,), task_id=sys.argv[1])
