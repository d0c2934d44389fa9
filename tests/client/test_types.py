"""The TypeScript types of the wire contract."""

from __future__ import annotations

import json

from jobcast import models
from jobcast.schema import wire_models, wire_schema
from tests.client.node import CLIENT, run_node


def test_the_committed_types_are_the_ones_the_models_say() -> None:
    """``make types`` was run after the last change of jobcast/models.py."""
    generated = run_node("scripts/generate-types.mjs", "-", stdin=json.dumps(wire_schema()))
    committed = (CLIENT / "hooks" / "types.ts").read_text(encoding="utf-8")
    assert generated == committed, "client/hooks/types.ts is out of date: run make types"


def test_every_model_is_in_the_schema_under_its_own_name() -> None:
    """A model that is added to jobcast.models reaches the browser without anybody listing it."""
    definitions = wire_schema()["$defs"]
    assert {model.__name__ for model in wire_models()} <= definitions.keys()
    assert "JobStatusUpdate" in definitions


def test_the_schema_requires_exactly_what_the_wire_always_carries() -> None:
    """A bare update has these fields and no others."""
    update = models.JobStatusUpdate(job_id="j1", status="draft")
    assert set(wire_schema()["$defs"]["JobStatusUpdate"]["required"]) == update.wire().keys()


def test_absent_values_are_left_out_and_never_null() -> None:
    """The types say ``progress?: number``, as the guide has it, not ``number | null``."""
    assert "null" not in json.dumps(wire_schema())


def test_a_client_may_leave_out_what_has_a_default_in_a_request() -> None:
    """Requests are described as they are accepted, everything else as it is sent."""
    assert wire_schema()["$defs"]["PublishRequest"]["required"] == ["brandId", "userId", "posts"]
