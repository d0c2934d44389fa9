"""Works through a job's deliveries, one at a time, and survives being started again.

What is published is never sent again; everything else is, under the same key. So a job whose worker died goes
on where it was, and a platform that knows keys sees each post once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

from jobcast import JobCancelled, Progress
from tasks.delivery_summary import DeliverySummary
from tasks.errors import PublishingFailed
from tasks.platforms import OutgoingPost, PermanentPlatformError, Platform, TemporaryPlatformError
from tasks.resources import Resources
from tasks.tables import Delivery

logger = logging.getLogger(__name__)

#: How often a delivery is tried in one go, and the pause after the first time, in seconds; it doubles.
TRIES: Final = 4
FIRST_PAUSE: Final = 0.25
#: How often a delivery may end its worker before it counts as failed.
DEATHS: Final = 3


class Publisher:
    """One job's run; ``sleep`` takes seconds."""

    def __init__(
        self, workspace: Resources, progress: Progress, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._storage = workspace.storage
        self._media = workspace.media
        self._platforms = workspace.platforms
        self._progress = progress
        self._sleep = sleep

    def run(self, job_id: str) -> dict[str, Any]:
        """Publish what is stored for the job and return its details.

        Raises PublishingFailed when something did not go out, after all the rest did.
        """
        deliveries = self._storage.deliveries(job_id)
        if not deliveries:
            raise PublishingFailed("there are no posts to publish")
        self._storage.move(job_id, ("draft", "pending"), "approved")
        tally = DeliverySummary(deliveries)
        description = f"Publishing {tally.posts} {'post' if tally.posts == 1 else 'posts'}"
        for delivery in self._progress.track(deliveries, len(deliveries), description):
            self._progress.update(platform=delivery.platform)
            self._settle(delivery, tally)
            self._progress.update(details=tally.details())
        tally.raise_for_failures()
        return tally.details()

    def _settle(self, delivery: Delivery, tally: DeliverySummary) -> None:
        if delivery.status == "in_progress" and delivery.attempts >= DEATHS:
            self._fail(delivery, tally, f"its worker stopped {delivery.attempts} times while publishing it")
        elif not self._storage.claim(delivery.id):
            tally.published(delivery)
        else:
            self._publish(delivery, tally)

    def _publish(self, delivery: Delivery, tally: DeliverySummary) -> None:
        try:
            external_id = self._persistently(delivery)
        except (PermanentPlatformError, TemporaryPlatformError) as error:
            self._fail(delivery, tally, str(error))
        except JobCancelled:
            self._storage.release(delivery.id)
            raise
        else:
            self._storage.set_published(delivery.id, external_id)
            tally.published(delivery)

    def _persistently(self, delivery: Delivery) -> str:
        """Try, wait longer, try again; the last temporary error is final."""
        for attempt in range(1, TRIES):
            try:
                return self._once(delivery)
            except TemporaryPlatformError as error:
                logger.info("delivery %s: try %s failed, %s", delivery.id, attempt, error)
                self._wait(attempt)
        return self._once(delivery)

    def _once(self, delivery: Delivery) -> str:
        post = delivery.post
        key = f"{post.job_id}/{post.position}/{delivery.platform}"
        media = [self._media.media(name) for name in post.media]
        return self._platform(delivery).publish(OutgoingPost(key, post.content), media)

    def _platform(self, delivery: Delivery) -> Platform:
        try:
            return self._platforms[delivery.platform]
        except KeyError as error:  # stored by a release that had it
            raise PermanentPlatformError(f"no platform is called {delivery.platform!r}") from error

    def _wait(self, attempt: int) -> None:
        self._progress.update()  # stops a cancelled job
        self._sleep(FIRST_PAUSE * 2 ** (attempt - 1) * random.uniform(0.75, 1.25))  # noqa: S311

    def _fail(self, delivery: Delivery, tally: DeliverySummary, reason: str) -> None:
        self._storage.set_failed(delivery.id, reason)
        tally.failed(delivery, reason)
