"""Helpers that build JSON Schemas."""

from typing import Any

Json = dict[str, Any]


def text(description: str, **more: Any) -> Json:
    """A string."""
    return {"type": "string", "description": description, **more}


def maybe(schema: Json) -> Json:
    """The same schema, or null."""
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def count(description: str) -> Json:
    """A whole number that is never negative."""
    return {"type": "integer", "minimum": 0, "description": description}


def time(description: str) -> Json:
    """A time in UTC."""
    return text(description, format="date-time")


def record(properties: Json, description: str, *, optional: tuple[str, ...] = ()) -> Json:
    """An object; all keys are required except `optional` ones."""
    required = [key for key in properties if key not in optional]
    return {"type": "object", "description": description, "required": required, "properties": properties}


def ref(name: str) -> Json:
    """A reference to a schema of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}
