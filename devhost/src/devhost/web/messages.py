"""Requests and answers inside the devhost, independent of the HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devhost.engine.answers import dumps

JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its body. Header names are in lower case, repeated values are joined with a comma."""

    method: str
    base: str
    """Scheme, host and port of the URL that the caller used."""
    raw_path: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class Answer:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, [*(headers or {}).items(), ("Content-Type", JSON)], dumps(value).encode())
