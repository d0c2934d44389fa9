import sys

import shop  # noqa: F401  # as manage.py would
from parcels.tasks import send

send.apply_async((5,), task_id=sys.argv[1])
