"""The wire contract as one JSON Schema document: ``python -m jobcast.schema`` prints it.

The TypeScript types in ``client/hooks/types.ts`` are generated from it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, get_args

from pydantic.json_schema import (
    GenerateJsonSchema,
    JsonSchemaMode,
    JsonSchemaValue,
    models_json_schema,
)
from pydantic_core import core_schema

from jobcast import models

#: What clients send; everything else is what they receive.
REQUESTS: Final[tuple[type[models.WireModel], ...]] = (models.PublishRequest, models.Post)

# Pydantic does not know that these literals have names; readers of the generated types should.
_NAMED_LITERALS: Final[dict[str, tuple[str, ...]]] = {
    "JobStatus": get_args(models.JobStatus),
    "NotificationType": get_args(models.NotificationType),
    "Severity": get_args(models.Severity),
    "AnalyticsEventType": get_args(models.AnalyticsEventType),
    "ErrorCode": get_args(models.ErrorCode),
}


class WireSchema(GenerateJsonSchema):
    """What the wire carries: absent instead of null, and no title that repeats the field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        generated = super().default_schema(schema)
        if generated.get("default", ...) is None:
            del generated["default"]
        return generated

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        """A received field is always there, unless its default says that it may be absent."""
        if self.mode == "serialization":
            return dict(field["schema"]).get("default", ...) is not None
        return super().field_is_required(field, total)


def wire_models() -> list[type[models.WireModel]]:
    """Every model of ``jobcast.models``, in the order of the source."""
    return [
        value
        for value in vars(models).values()
        if isinstance(value, type) and issubclass(value, models.WireModel) and value is not models.WireModel
    ]


def wire_schema() -> dict[str, Any]:
    """One JSON Schema (2020-12) document with a definition per payload, in camelCase."""
    chosen = [(model, _mode(model)) for model in wire_models()]
    _, document = models_json_schema(chosen, by_alias=True, schema_generator=WireSchema)
    definitions = _with_named_literals(document["$defs"])
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "WirePayload",
        "description": "Everything that crosses a process boundary.",
        "anyOf": [_ref(model.__name__) for model, _ in chosen],
        "$defs": definitions,
    }


def main() -> None:
    """Print the document."""
    json.dump(wire_schema(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def _mode(model: type[models.WireModel]) -> JsonSchemaMode:
    return "validation" if model in REQUESTS else "serialization"


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _with_named_literals(definitions: dict[str, Any]) -> dict[str, Any]:
    literals = {
        name: {"title": name, "type": "string", "enum": list(values)}
        for name, values in _NAMED_LITERALS.items()
    }
    return literals | {name: _named(schema) for name, schema in definitions.items()}


def _named(node: Any) -> Any:
    """A copy of ``node`` in which every enum that has a name refers to it."""
    if isinstance(node, list):
        return [_named(item) for item in node]
    if not isinstance(node, dict):
        return node
    for name, values in _NAMED_LITERALS.items():
        if node.get("enum") == list(values):
            return _ref(name)
    return {key: _named(value) for key, value in node.items()}


if __name__ == "__main__":
    main()
