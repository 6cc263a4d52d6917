"""What the log says of each transition: one line of JSON, so that a query can tell why a model did not refresh.

The keys are the same everywhere: `event`, `request`, `run`, `dataset`, `refreshId`, `caller`, `powerBiRequestId`.
"""

import json
from typing import Any

from refresh.run.state import RunState

Json = dict[str, Any]


def entry(event: str, **facts: Any) -> str:
    """A log line. Facts that are not known are left out; nobody hands in tokens or URIs."""
    known = {key: value for key, value in facts.items() if value not in (None, "", [], {})}
    return json.dumps({"event": event, **known}, ensure_ascii=False, default=str)


def run_entry(before: RunState, after: RunState) -> str | None:
    """The log line of a step of a run; None if nothing happened that a person would want to know."""
    about: Json = {"run": after.run, "generation": after.generation, "dataset": after.dataset_id}
    known: Json = {**about, "refreshId": after.refresh_id}
    if before.phase == "claim" and before.after_claim is None:
        return entry("run.superseded" if after.phase == "end" else "run.claimed", **known)
    if after.phase == "finish" and before.phase != "finish":
        outcome = after.outcome or {}
        return entry("run.ended", **known, status=outcome.get("status"), error=outcome.get("error"))
    if after.last_error and after.last_error != before.last_error:
        return entry("run.read_failed", **known, error=after.last_error, waitSeconds=after.wait)
    if before.phase == after.phase:
        return None
    match after.phase:
        case "tell_queue":
            return entry("run.waiting", **about, behind=after.blocked_by)
        case "post":
            return entry("run.closed", **about, permit=after.permit)
        case "record":
            return entry("refresh.adopted" if after.adopted else "refresh.started", **known)
        case "reconcile":
            return entry("refresh.answer_lost" if after.reason == "lost" else "refresh.refused_busy", **about)
        case "reopen":
            return entry("run.reopened", **{**about, "refreshId": before.refresh_id}, after=before.phase)
    return None
