"""Live progress for background jobs: report from any process, watch it in every browser."""

from jobcast.broadcaster import (
    broadcast_analytics_event,
    broadcast_job_update,
    configure,
    send_notification_to_user,
)
from jobcast.errors import InvalidPayload, InvalidSetting, JobCancelled, JobcastError, PublicError
from jobcast.job_context import job
from jobcast.models import AnalyticsData, AnalyticsEvent, JobStatusUpdate, Notification
from jobcast.ownership import owned_by
from jobcast.progress import Progress, current, track
from jobcast.settings import Settings

__version__ = "0.1.0"

__all__ = [
    "AnalyticsData",
    "AnalyticsEvent",
    "InvalidPayload",
    "InvalidSetting",
    "JobCancelled",
    "JobStatusUpdate",
    "JobcastError",
    "Notification",
    "Progress",
    "PublicError",
    "Settings",
    "broadcast_analytics_event",
    "broadcast_job_update",
    "configure",
    "current",
    "job",
    "owned_by",
    "send_notification_to_user",
    "track",
]
