"""Deleting instances and entities, with the peculiarities of Azure Storage."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from devhost.engine.model import TERMINAL, Entity, Instance, Item
from devhost.engine.refusals import Refused
from devhost.engine.state import State

log = logging.getLogger("devhost.engine")


def purge_one(state: State, instance_id: str) -> int:
    """Deletes an ended instance, or an entity in any state. Returns how many were deleted.

    Raises Refused: 404 if the instance is unknown, 412 if it has not ended. The real extension does not check this for
    ids that begin with @; for an unknown entity it returns 0.
    """
    thing: Instance | Entity | None = state.instances.get(instance_id) or state.entities.get(instance_id)
    if instance_id.startswith("@"):
        return _delete(state, [thing] if thing is not None else [])
    if not isinstance(thing, Instance):
        raise Refused(404)
    if not thing.terminal:
        raise Refused(
            412,
            "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
            f"{instance_id} has status {thing.status}",
        )
    return _delete(state, [thing])


def purge_between(state: State, start: datetime, end: datetime, statuses: frozenset[str]) -> int:
    """Deletes the instances and entities that were created in a period. Returns how many; raises Refused (404) if none.

    If `statuses` has no final status, Azure Storage does not filter by status (its query drops an empty list) and
    deletes running instances and entities, too. So does this function.
    """
    final = statuses & TERMINAL
    matches: list[Instance | Entity] = [
        i for i in state.instances.values() if start <= i.created <= end and (not final or i.status in final)
    ]
    if not final:
        matches += [e for e in state.entities.values() if start <= e.created <= end]
        alive = [t.id for t in matches if isinstance(t, Entity) or not t.terminal]
        if alive:
            log.warning(
                "purge without a final runtimeStatus also deletes %d running instances and entities, as on Azure: %s",
                len(alive), ", ".join(sorted(alive)[:5]),
            )  # fmt: skip
    if not matches:
        raise Refused(404)
    return _delete(state, matches)


def _delete(state: State, things: Iterable[Instance | Entity]) -> int:
    count = 0
    for thing in things:
        count += 1
        state.consume(thing.inbox)
        thing.inbox.clear()
        if isinstance(thing, Instance):
            del state.instances[thing.id]
            state.agenda.forget(Item("episode", thing.id))
            state.changes.drop_history(thing.id)
            state.changes.instances[thing.id] = None
        else:
            del state.entities[thing.id]
            state.agenda.forget(Item("entity", thing.id))
            state.changes.entities[thing.id] = None
    return count
