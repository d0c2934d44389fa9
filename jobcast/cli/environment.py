"""The environment variables that a command reads, for its ``--help``."""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from jobcast.settings import Settings


def described(settings: type[Settings]) -> str:
    """Each variable with its default, a line each; for a command's epilog."""
    fields = settings.model_fields.items()
    lines = [f"  {name.upper()}{_default(field.default)}" for name, field in sorted(fields)]
    return "\b\nEnvironment variables, with their defaults:\n" + "\n".join(lines)


def _default(value: object) -> str:
    if value in ("", None, (), PydanticUndefined):
        return ""
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return f"={str(shown).lower() if isinstance(shown, bool) else shown}"
