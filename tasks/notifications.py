"""The notifications the work sends: one per job and outcome, however often the job is delivered."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from jobcast import Notification, send_notification_to_user
from jobcast.models import NotificationType, Severity

_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://jobcast.invalid/notifications")
#: Longest message, in characters; the job itself carries the rest.
_MESSAGE_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Notifications:
    """Tells one job's owner how it goes."""

    job_id: str
    brand_id: str
    user_id: str

    def completed(self, message: str) -> None:
        self._send("job-completed", "Posts published", message, "success")

    def failed(self, title: str, error: str) -> None:
        self._send("job-failed", title, error, "error")

    def approval_needed(self, message: str) -> None:
        self._send("approval-needed", "Approval needed", message, "warning")

    def sync_complete(self, message: str) -> None:
        self._send("sync-complete", "Analytics synced", message, "success")

    def _send(self, kind: NotificationType, title: str, message: str, severity: Severity) -> None:
        notification = Notification(
            id=uuid.uuid5(_NAMESPACE, f"{self.job_id}:{kind}").hex,
            type=kind,
            title=title,
            message=_short(message),
            severity=severity,
            brand_id=self.brand_id,
            action_url=f"/?{urlencode({'job': self.job_id})}",
        )
        send_notification_to_user(self.user_id, notification)


def _short(message: str) -> str:
    return message if len(message) <= _MESSAGE_LIMIT else message[: _MESSAGE_LIMIT - 1] + "…"
