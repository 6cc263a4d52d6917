"""The messages between orchestrations and entities, as histories contain them."""

from __future__ import annotations

import functools
import json
from datetime import datetime
from typing import Any

from devhost.engine.answers import dumps
from devhost.engine.times import iso

_TYPE = "Microsoft.Azure.WebJobs.Extensions.DurableTask.{}, Microsoft.Azure.WebJobs.Extensions.DurableTask"


def request_text(
    *, operation: str, signal: bool, input_text: str | None, number: str, parent: str, execution_id: str, now: datetime
) -> str:
    """The JSON text of a request, as EventSent contains it."""
    body: dict[str, Any] = {"$type": _TYPE.format("RequestMessage"), "op": operation}
    if signal:
        body["signal"] = True
    if input_text is not None:
        body["input"] = json.dumps(input_text, ensure_ascii=False)
    body |= {
        "id": number,
        "parent": parent,
        "parentExecution": execution_id,
        "Timestamp": iso(now),
        "Predecessor": "0001-01-01T00:00:00",
        "requestTime": f"{iso(now)[:-1]}+00:00",
    }
    return dumps(body)


@functools.lru_cache(4096)
def request_id(text: str) -> str:
    """The id of a request in EventSent. Cached, because every episode reads all of them again."""
    number: str = json.loads(text)["id"]
    return number


def response_text(result: str | None, *, error: bool) -> str:
    """The JSON text of an entity's response, as EventRaised contains it. The SDK needs `result` to be a string."""
    body: dict[str, Any] = {"$type": _TYPE.format("ResponseMessage"), "result": "null" if result is None else result}
    if error:
        body["exceptionType"] = "Error"
    return dumps(body)
