"""The built-in activity behind `context.call_http`: one request and its first response.

After a 202 with a Location, the real host also polls that address. The Python SDK does not expect that, so its task ids
diverge from the host's. The devhost returns the first response, which the SDK handles.
"""

from __future__ import annotations

import json
from typing import Any

import requests

_SECONDS = 100.0
"""The time-out in seconds: the default of the HTTP client of .NET."""


def call_http(text: str) -> str:
    """Sends the request that an action describes (JSON text); returns status, headers and content as JSON text."""
    call: dict[str, Any] = json.loads(text)
    if call.get("tokenSource"):
        raise NotImplementedError("call_http with a token source: there is no managed identity on this machine")
    content = call.get("content")
    answer = requests.request(
        call["method"],
        call["uri"],
        data=content.encode() if isinstance(content, str) else None,
        headers={str(k): str(v) for k, v in (call.get("headers") or {}).items()},
        timeout=_SECONDS,
    )
    return json.dumps({"statusCode": answer.status_code, "headers": dict(answer.headers), "content": answer.text})
