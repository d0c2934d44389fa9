import sys

import tasks
import web
import worker
from jobcast import broadcast_job_update

assert {web.OWNER, tasks.OWNER, worker.OWNER} == {"the script"}
assert "celery" not in sys.modules
job_id = sys.argv[1]
for done in range(5):
    broadcast_job_update(job_id, {"status": "in_progress", "progress": 20 * done})
broadcast_job_update(job_id, {"status": "completed", "progress": 100})
