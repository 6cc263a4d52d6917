"""HTTP calls of the activities of Data Factory."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

Json = dict[str, Any]

CUT_SECONDS = 230.0
"""Seconds after which Azure's load balancer ends a call to a function app without an answer."""
WEB_BYTES = 4 * 1024 * 1024
"""The size in bytes of the largest answer that a Web activity accepts."""


class ActivityFailed(Exception):  # noqa: N818
    """An activity has failed. `code`: the service's error code; `message`: the text in the run history."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Call:
    """One HTTP call. `seconds`: how long its answer may take."""

    method: str
    url: str
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Answer:
    """An answer; names of headers are in lower case."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


Send = Callable[[Call], Answer]
"""Sends a call. Raises ActivityFailed if there is no answer."""
Token = Callable[[str], str]
"""The token of the factory's managed identity for a resource."""


def send(call: Call) -> Answer:
    """Sends a call over the network. It does not follow redirects, because it is not documented that activities follow
    them."""
    try:
        answer = requests.request(
            call.method,
            call.url,
            data=call.body.encode() if call.body is not None else None,
            headers=call.headers,
            timeout=call.seconds,
            allow_redirects=False,
        )
    except requests.Timeout:
        raise ActivityFailed("2128", f"No response from the endpoint within {call.seconds:g} seconds.") from None
    except requests.ConnectionError as problem:
        raise ActivityFailed(
            "2128", f"No response from the endpoint. Possible causes: {type(problem).__name__}"
        ) from None
    return Answer(answer.status_code, answer.content, {name.lower(): value for name, value in answer.headers.items()})


def proof(authentication: Json | None, token: Token) -> dict[str, str]:
    """The header for the managed identity; empty if there is no `authentication`."""
    if authentication is None:
        return {}
    assert authentication["type"] == "MSI", authentication
    return {"Authorization": f"Bearer {token(authentication['resource'])}"}


def json_object(answer: Answer, code: str, problem: str) -> Json:
    """The body, which must be a JSON object. Raises ActivityFailed."""
    try:
        value = json.loads(answer.body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ActivityFailed(code, problem)
    return value


def seconds_of(span: str) -> float:
    """The seconds of a time span such as 0.12:00:00 (days, hours, minutes, seconds) or 00:04:00."""
    days, _, clock = span.rpartition(".")
    hours, minutes, seconds = clock.split(":")
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)
