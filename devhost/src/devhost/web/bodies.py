"""Parsing JSON bodies, with the error messages of Newtonsoft.Json for the most common mistakes."""

from __future__ import annotations

import json
from typing import Any


class BadBody(Exception):  # noqa: N818
    """The body is not JSON. The message is that of the real extension."""


def read_json(body: bytes) -> Any:
    """The value of a JSON body. Raises BadBody."""
    text = body.decode("utf-8", "replace")
    if not text.strip():
        raise BadBody("Error reading JToken from JsonReader. Path '', line 0, position 0.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        raise BadBody(_sentence(text, problem)) from None


def _sentence(text: str, problem: json.JSONDecodeError) -> str:
    place = f"Path '', line {problem.lineno}, position {{}}."
    if "property name" in problem.msg:
        if text[problem.pos :].isidentifier():
            return f"Unexpected end while parsing unquoted property name. {place.format(len(text))}"
        wrong = text[problem.pos : problem.pos + 1]
        return f"Invalid property identifier character: {wrong}. {place.format(problem.colno - 1)}"
    if problem.pos >= len(text):
        return f"Unexpected end of content. {place.format(len(text))}"
    return (
        f"Unexpected character encountered while parsing value: {text[problem.pos]}. {place.format(problem.colno - 1)}"
    )
