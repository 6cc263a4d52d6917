"""Refusals of management operations: the status code and the body of the real extension."""

from __future__ import annotations

from typing import Any


class Refused(Exception):  # noqa: N818
    """The request is refused. `status` and `body` (None: empty) are the HTTP response."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


def fault(message: str, problem: str, kind: str) -> dict[str, str]:
    """The error body of the extension for an exception."""
    return {"Message": message, "ExceptionMessage": problem, "ExceptionType": kind, "StackTrace": ""}
