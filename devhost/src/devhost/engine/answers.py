"""Parsing the answer of an orchestrator, and the failure messages of the real extension."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from devhost.engine.model import Outcome, Raised
from devhost.engine.tasks import Action

_MARKER = "\n\n$OutOfProcData$:"
_STATUS_LIMIT_KB = 16
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(slots=True)
class Answer:
    """The answer of one episode. `error`: the orchestrator raised; `broken`: the answer cannot be used."""

    actions: list[Action] = field(default_factory=list)
    done: bool = False
    output: str | None = None
    custom_status: str | None = None
    error: str | None = None
    details: str | None = None
    broken: str | None = None


def read(outcome: Outcome) -> Answer:
    """Parses the outcome of an orchestrator as the extension does."""
    if isinstance(outcome, Raised):
        message, marker, text = outcome.text.partition(_MARKER)
        if not marker:
            problem = f"One or more errors occurred. ({failure_text(outcome)})"
            return Answer(broken=problem, details=f"Message: {problem}, StackTrace: {outcome.stack}")
        return _read_state(text, message, outcome.stack)
    return _read_state(outcome.value, None, "")


def _read_state(text: str, message: str | None, stack: str) -> Answer:
    state: dict[str, Any] = json.loads(text)
    answer = Answer(done=bool(state.get("isDone")))
    lists = state.get("actions") or [[]]
    answer.actions = list(lists[0]) if lists else []
    if message is not None or state.get("error") is not None:
        answer.error = str(state.get("error") if state.get("error") is not None else message)
        answer.details = f"Message: {answer.error}, StackTrace: {stack}"
    for key in ("customStatus", "output"):
        path = reference_problem(state.get(key))
        if path is not None:
            answer.broken = (
                "Additional content found in JSON reference object. "
                "A JSON reference object should only have a $ref property. "
                f"Path '{key}.{path}'."
            )
            return answer
    if state.get("customStatus") is not None:
        answer.custom_status = dumps(state["customStatus"])
        size = len(answer.custom_status.encode("utf-16-le")) // 1024
        if size > _STATUS_LIMIT_KB:
            answer.custom_status = None
            answer.broken = (
                "The UTF-16 size of the JSON-serialized payload must not exceed 16 KB. "
                f"The current payload size is {size} KB."
            )
    if "output" in state:
        answer.output = dumps(state["output"])
    return answer


def dumps(value: Any) -> str:
    """The JSON text of a value as the extension stores it: compact, without escapes for non-ASCII characters.

    A lone surrogate becomes the replacement character, as .NET writes it. NaN and infinities become strings, as
    Newtonsoft.Json writes them.
    """
    try:
        text = _compact(value)
    except ValueError:
        text = _compact(_without_nan(value))
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_nan(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def reference_problem(value: Any) -> str | None:
    """The path at which Newtonsoft.Json rejects a value with keys after `$ref`; None if it does not."""
    if not isinstance(value, dict):
        return None
    reference = False
    for key, item in value.items():
        if reference:
            return str(key)
        if key == "$ref" and isinstance(item, str):
            reference = True
        elif key not in ("$type", "$id", "$ref"):
            return None
    return None


def reads_as_reference(text: str | None) -> bool:
    """Whether Newtonsoft.Json would take a stored JSON text for a reference object."""
    if not text or '"$ref"' not in text:
        return False
    return _any_reference(json.loads(text))


def _any_reference(value: Any) -> bool:
    if isinstance(value, dict):
        return reference_problem(value) is not None or any(_any_reference(v) for v in value.values())
    return isinstance(value, list) and any(_any_reference(v) for v in value)


def failure_text(outcome: Raised) -> str:
    """The text with which the worker reports an exception to the host."""
    return f"Result: Failure\nException: {outcome.message}\nStack: {outcome.stack}"


def activity_failure(name: str, outcome: Raised) -> tuple[str, str]:
    """Reason and Details of a failed activity. Details has the same outer shape as on Azure, so that apps can parse
    `Message` from it."""
    details = {
        "$type": "System.Exception, System.Private.CoreLib",
        "ClassName": "System.Exception",
        "Message": f" {outcome.message}",
        "Data": None,
        "InnerException": {
            # The recordings have <host> in place of the exception type, which depends on the host.
            "$type": "RpcException, <host>",
            "Message": failure_text(outcome),
            "Data": {"$type": "System.Collections.ListDictionaryInternal, System.Private.CoreLib"},
            "InnerException": None,
            "HelpLink": None,
            "Source": "devhost",
            "HResult": -2146233088,
            "StackTrace": outcome.stack,
        },
        "HelpURL": None,
        "StackTraceString": None,
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": -2146233088,
        "Source": None,
        "WatsonBuckets": None,
    }
    return f"Activity function '{name}' failed:  {outcome.message}", dumps(details)
