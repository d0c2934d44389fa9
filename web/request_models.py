"""The text fields of the routes that take a form with a file, and the body of those that take nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

from jobcast.models import Id, Name, WireModel


class PublishForm(WireModel):
    """``POST /api/jobs/publish`` as a form; its file is ``calendar``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    brand_id: Id
    user_id: Id
    requires_approval: Literal["true", "false"] = "false"


class SyncForm(WireModel):
    """``POST /api/analytics/{brandId}/sync`` as a form; its file is ``export``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=False)

    platform: Name
    user_id: Id
