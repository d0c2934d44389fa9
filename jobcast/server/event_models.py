"""What clients' events may carry, one model each. Fields that nobody knows are passed over, not refused."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from jobcast.errors import InvalidPayload
from jobcast.models import Id, ReadRequest, WireModel
from jobcast.server.errors import first_of
from jobcast.topics import BRAND, JOB, USER

Model = TypeVar("Model", bound=WireModel)
#: Any sequence that a JavaScript number holds exactly.
Sequence = Annotated[int, Field(strict=True, ge=0, le=2**53 - 1)]


class SubscribeArgument(WireModel):
    """What a client says it has seen of a topic: the state, or the events after ``since``."""

    model_config = ConfigDict(populate_by_name=False)

    since: Sequence | None = None
    epoch: Annotated[str, Field(max_length=64)] | None = None


class JobArgument(SubscribeArgument):
    """``subscribe-job``, ``unsubscribe-job``, ``cancel-job``."""

    job_id: Id


class UserArgument(SubscribeArgument):
    """``subscribe-user``, ``unsubscribe-user``, ``clear-notifications``."""

    user_id: Id


class BrandArgument(SubscribeArgument):
    """``subscribe-brand``, ``unsubscribe-brand``."""

    brand_id: Id


class MarkReadArgument(ReadRequest):
    """``mark-read``: some ids, or all."""

    model_config = ConfigDict(extra="ignore", populate_by_name=False)

    user_id: Id


_PLACES: Final[dict[str, type[SubscribeArgument]]] = {
    JOB.id_field: JobArgument,
    USER.id_field: UserArgument,
    BRAND.id_field: BrandArgument,
}


def subscribe_argument(argument: dict[Any, Any], id_field: str) -> SubscribeArgument:
    """The argument of an event about one topic; raise InvalidPayload, naming the field."""
    return _parsed(_PLACES[id_field], argument)


def ids_to_mark(argument: object) -> list[str] | None:
    """The notifications that ``mark-read`` names, None for all of them; raise InvalidPayload."""
    parsed = _parsed(MarkReadArgument, argument)
    if parsed.ids is None and not parsed.all:
        raise InvalidPayload("expected ids, or all")
    return None if parsed.all else parsed.ids


def _parsed(model: type[Model], argument: object) -> Model:
    try:
        return model.model_validate(argument)
    except ValidationError as error:
        raise InvalidPayload(first_of(error)) from error
