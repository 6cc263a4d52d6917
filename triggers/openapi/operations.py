"""Helpers that build the operations of the API."""

from typing import Any

from refresh.request.spec import MAX_BODY_BYTES
from triggers.openapi.examples import EXAMPLES, REQUESTS
from triggers.openapi.schema import Json, ref


def operation(
    name: str, summary: str, description: str, access: str | None, responses: dict[int, Json], **more: Any
) -> Json:
    """One method of one route. `access`: what a caller needs; None if it needs nothing."""
    return {
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": access,
        **more,
        "responses": {str(status): responses[status] for status in sorted(responses)},
    }


def completed(thing: str) -> str:
    """The description of a 200 to a start. `thing`: request or batch."""
    return (
        f"Either the {thing} has completed (within waitSeconds, or before this call if the call repeats an idempotency "
        f"key), or the call has a callBackUri and the {thing} was accepted."
    )


def ended_otherwise(thing: str) -> str:
    """The description of a 424 to a start. `thing`: request or batch."""
    return (
        f"The {thing} has ended with any other outcome: within waitSeconds, or before this call if the call repeats an "
        "idempotency key."
    )


def query(name: str, description: str, schema: Json, **more: Any) -> Json:
    """A query parameter."""
    return {"name": name, "in": "query", "description": description, **more, "schema": schema}


def body(schema: str, description: str) -> Json:
    """The body that a caller sends, with the example for its schema."""
    return {
        "required": True,
        "description": f"{description}; at most {MAX_BODY_BYTES} bytes.",
        "content": {"application/json": {"schema": ref(schema), "example": REQUESTS[schema]}},
    }


def answer(
    schema: str | tuple[str, ...],
    description: str,
    *,
    example: str | tuple[str, ...] = "",
    polls: bool = False,
    retries: bool = False,
) -> Json:
    """A response whose body has one schema, or one of several.

    `example`: the names of its examples in EXAMPLES, one for each form of the answer; by default that of the schema.
    `polls`: the response has headers that say where and when to poll; `retries`: it says when to send the call again.
    """
    first = schema if isinstance(schema, str) else schema[0]
    choice = ref(schema) if isinstance(schema, str) else {"anyOf": [ref(name) for name in schema]}
    example_keys: Json = (
        {"example": EXAMPLES[example or first]} if isinstance(example, str) else {"examples": _named(example)}
    )
    content = {"schema": choice, **example_keys}
    response: Json = {"description": description, "content": {"application/json": content}}
    headers = {}
    if polls:
        headers["Location"] = {
            "required": True,
            "description": "The URI to poll.",
            "schema": {"type": "string", "format": "uri"},
        }
    if polls or retries:
        headers["Retry-After"] = {
            "required": True,
            "description": "Seconds to wait before the next call.",
            "schema": {"type": "integer", "minimum": 1},
        }
    return {**response, **({"headers": headers} if headers else {})}


def _named(names: tuple[str, ...]) -> Json:
    return {name: {"value": EXAMPLES[name]} for name in names}
