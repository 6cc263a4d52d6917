"""The built-in activity behind `context.call_http`: one request, and its first answer.

The real host also polls a 202 with a Location by itself, which the Python SDK does not expect (its ids diverge then);
the first answer is what the SDK makes sense of.
"""

from __future__ import annotations

import json
from typing import Any

import requests

_SECONDS = 100.0
"""What .NET's HTTP client waits for an answer."""


def call_http(text: str) -> str:
    """Does the request an action describes (JSON text); returns status, headers and content as JSON text."""
    asked: dict[str, Any] = json.loads(text)
    if asked.get("tokenSource"):
        raise NotImplementedError("call_http with a token source: there is no managed identity on this machine")
    content = asked.get("content")
    answer = requests.request(
        asked["method"],
        asked["uri"],
        data=content.encode() if isinstance(content, str) else None,
        headers={str(k): str(v) for k, v in (asked.get("headers") or {}).items()},
        timeout=_SECONDS,
    )
    return json.dumps({"statusCode": answer.status_code, "headers": dict(answer.headers), "content": answer.text})
