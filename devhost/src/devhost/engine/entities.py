"""One entity batch: the call of the entity function, and the effects of its answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from devhost.engine import events as ev
from devhost.engine.model import Call, Entity, Message, Outcome, Raised
from devhost.engine.requests import response_text
from devhost.engine.text import to_text

if TYPE_CHECKING:
    from devhost.engine.state import State

log = logging.getLogger("devhost.engine")


def begin_batch(entity: Entity, messages: Sequence[Message]) -> Call:
    """The call for a batch. The SDK accepts exactly these top-level keys."""
    batch = [
        {
            "name": m.body["op"],
            "input": m.body.get("input"),
            "isSignal": bool(m.body.get("signal")),
            "id": m.body["id"],
        }
        for m in messages
    ]
    value = {
        "self": {"name": entity.name, "key": entity.key},
        "exists": entity.exists,
        "state": entity.state,
        "batch": batch,
    }
    return Call("entity", entity.name, to_text(value), entity.id)


def complete_batch(
    state: State, entity: Entity, messages: Sequence[Message], outcome: Outcome, now: datetime, *, keep: bool
) -> bool:
    """Applies the answer of an entity: its state and its responses. Returns False if the function crashed; then nothing
    is applied."""
    if isinstance(outcome, Raised):
        log.error(
            "entity %s crashed outside its operations (%s): on Azure the batch of %d operations is repeated endlessly "
            "and its callers hang; it is tried again here every few seconds",
            entity.id, outcome.message, len(messages),
        )  # fmt: skip
        return False
    answer = json.loads(outcome.value)
    for message, result in zip(messages, answer["results"], strict=False):
        body = message.body
        if body.get("signal"):
            if result.get("isError"):
                log.warning("operation %s of entity %s failed: %s", body["op"], entity.id, result.get("result"))
            continue
        response = response_text(result.get("result"), error=bool(result.get("isError")))
        event = ev.event_raised(now, body["id"], response)
        state.send("event", body["parent"], event, body["parentExecution"], sent=now)
    if keep:
        entity.exists = bool(answer["entityExists"])
        entity.state = answer["entityState"]
        entity.updated = now
        state.touch(entity)
    return True
