"""HTTP requests and responses, in the form that a server or a simulation passes to the service and gets from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One HTTP request; `path` with its query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        """The value of a header; empty if it is missing. Names are case-insensitive."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")


@dataclass(frozen=True)
class Response:
    """One answer.

    It has to be sent after `delay_seconds`. If `dropped`, it is never sent: the connection ends instead.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    dropped: bool = False
    delay_seconds: float = 0.0


def json_response(status: int, value: object, content_type: str = "application/json; charset=utf-8") -> Response:
    """A response with a JSON body."""
    return Response(status, {"Content-Type": content_type}, json.dumps(value, separators=(",", ":")).encode())
