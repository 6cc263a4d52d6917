"""The management operations of a task hub, for the HTTP API and the durable client.

Changes take effect with the next commit() of the engine. `Refused` has the status code and the body of the real
extension.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devhost.engine import events as ev
from devhost.engine import views
from devhost.engine.core import Engine
from devhost.engine.model import Entity, Instance, Item, entity_id
from devhost.engine.purge import purge_between, purge_one
from devhost.engine.refusals import Refused, fault
from devhost.engine.rewind import rewind

STATUSES = {
    s.lower(): s
    for s in ("Running", "Completed", "ContinuedAsNew", "Failed", "Canceled", "Terminated", "Pending", "Suspended")
}

WENT_WRONG = "Something went wrong while processing your request"
BLOB_GONE = "The specified blob does not exist."
STORAGE_EXCEPTION = "DurableTask.AzureStorage.Storage.DurableTaskStorageException"


@dataclass(frozen=True, slots=True)
class Query:
    """Filters of a list. Times are UTC; empty `statuses` means any."""

    prefix: str = ""
    created_from: datetime | None = None
    created_to: datetime | None = None
    statuses: frozenset[str] = frozenset()
    show_input: bool = True
    top: int = 100
    after: str = ""
    """The page begins after this id."""


class Hub:
    """The management operations of one engine. Not thread-safe: call them on the thread of the engine."""

    def __init__(self, engine: Engine, new_instance_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> None:
        self.engine = engine
        self.new_instance_id = new_instance_id

    # ---- starting -----------------------------------------------------------------------------------------------

    def start(
        self, name: str, instance_id: str | None, input_text: str | None, now: datetime, version: str | None = None
    ) -> str:
        """Starts an instance and returns its id. An unknown name is accepted and fails later, as on Azure.

        Raises Refused (409) if the instance runs or is suspended. A pending instance is replaced: the real engine
        accepts all racing starts.
        """
        instance_id = instance_id or self.new_instance_id()
        before = self.engine.instances.get(instance_id)
        if before is not None and before.status in ("Running", "Suspended"):
            raise Refused(
                409, {"Message": f"An Orchestration instance with the status {before.status} already exists."}
            )
        if before is not None and before.status == "Pending" and self.engine.flying(Item("episode", instance_id)):
            return instance_id  # its first episode is in flight, so this start comes too late and has no effect
        self.engine.create(name, instance_id, input_text, now, version=version, from_client=True)
        return instance_id

    def restart(self, instance_id: str, *, new_id: bool, now: datetime) -> str:
        """Starts an instance again with the same name and input; returns the id."""
        before = self.engine.instances.get(instance_id)
        if before is None:
            raise Refused(
                400,
                fault(
                    "InstanceId does not match a valid orchestration instance.",
                    f"No instance with ID '{instance_id}' was found. (Parameter 'instanceId')",
                    "System.ArgumentException",
                ),
            )
        if not new_id and not before.terminal:
            raise Refused(
                409,
                fault(
                    "A non-terminal instance with this instance ID already exists.",
                    f"An Orchestration instance with the status {before.status} already exists.",
                    "DurableTask.Core.Exceptions.OrchestrationAlreadyExistsException",
                ),
            )
        target = self.new_instance_id() if new_id else instance_id
        self.engine.create(before.name, target, before.input, now, version=before.version, from_client=True)
        return target

    # ---- messages to an instance --------------------------------------------------------------------------------

    def raise_event(self, instance_id: str, name: str, input_text: str | None, now: datetime) -> None:
        self.require_active(instance_id)
        self._send(instance_id, ev.event_raised(now, name, input_text), now)

    def terminate(self, instance_id: str, reason: str | None, now: datetime) -> None:
        self.require_active(instance_id)
        self._send(instance_id, ev.execution_terminated(now, reason), now)

    def suspend(self, instance_id: str, reason: str | None, now: datetime) -> None:
        instance = self.require_active(instance_id)
        if instance.status == "Suspended":
            raise self._wrong_state("suspend", instance)
        self._send(instance_id, ev.execution_suspended(now, reason), now)

    def resume(self, instance_id: str, reason: str | None, now: datetime) -> None:
        instance = self.require_active(instance_id)
        if instance.status != "Suspended":
            raise self._wrong_state("resume", instance)
        self._send(instance_id, ev.execution_resumed(now, reason), now)

    def rewind(self, instance_id: str, reason: str | None, now: datetime) -> None:
        instance = self.engine.instances.get(instance_id)
        if instance is None:
            # The $ is in the message of the real extension.
            raise Refused(404, f'No orchestration with instance ID "${instance_id}" found.')
        if instance.status != "Failed":
            raise Refused(
                412,
                f"This orchestration has status {instance.status}, "
                'but only orchestrations in the "Failed" state can be rewound.',
            )
        rewind(self.engine, instance, reason, now)

    def require_active(self, instance_id: str) -> Instance:
        """The instance. Raises Refused: 404 if it is unknown, 410 if it has ended."""
        instance = self.engine.instances.get(instance_id)
        if instance is None:
            raise Refused(404)
        if instance.terminal:
            raise Refused(410)
        return instance

    def _send(self, instance_id: str, event: ev.Event, now: datetime) -> None:
        self.engine.send("event", instance_id, event, sent=now, from_client=True)

    @staticmethod
    def _wrong_state(verb: str, instance: Instance) -> Refused:
        return Refused(
            500,
            fault(
                WENT_WRONG,
                f"Cannot {verb} the orchestration instance {instance.id} "
                f"because instance is in the {instance.status} state.",
                "System.InvalidOperationException",
            ),
        )

    # ---- reading ------------------------------------------------------------------------------------------------

    def status(
        self, instance_id: str, *, show_input: bool = True, show_history: bool = False, show_output: bool = False
    ) -> dict[str, Any] | None:
        """The status body of an instance or entity; None if it does not exist.

        Raises Refused (500) if the read of a rewritten large value fails (see `blobs`).
        """
        self._read(instance_id, with_input=show_input)
        entity = self.engine.entities.get(instance_id)
        if entity is not None:
            return views.entity_status(entity, show_input=show_input)
        instance = self.engine.instances.get(instance_id)
        if instance is None:
            return None
        history = None
        if show_history:
            history = self.engine.history(instance)
            if instance.terminal:
                self.engine.forget_history(instance)
        return views.status(instance, show_input=show_input, history=history, show_output=show_output)

    def _read(self, key: str, *, with_input: bool = True) -> None:
        """Raises Refused if this read fails because the blob was deleted after the row was read."""
        if self.engine.blob_reads.fails(key, with_input=with_input):
            raise Refused(500, fault(WENT_WRONG, BLOB_GONE, STORAGE_EXCEPTION))

    def query(self, query: Query) -> tuple[list[dict[str, Any]], str]:
        """One page of instances and entities, sorted by id, and the token of the next page ("" for the last)."""
        everything: list[Instance | Entity] = [*self.engine.instances.values(), *self.engine.entities.values()]
        found = sorted((t for t in everything if t.id > query.after and self._fits(t, query)), key=lambda t: t.id)
        page = found[: query.top]
        for thing in page:
            self._read(thing.id, with_input=query.show_input)
        token = page[-1].id if len(found) > len(page) else ""
        return [
            views.status(t, show_input=query.show_input)
            if isinstance(t, Instance)
            else views.entity_status(t, show_input=query.show_input)
            for t in page
        ], token

    @staticmethod
    def _fits(thing: Instance | Entity, query: Query) -> bool:
        status = thing.status if isinstance(thing, Instance) else "Running"
        return (
            thing.id.startswith(query.prefix)
            and (not query.statuses or status in query.statuses)
            and (query.created_from is None or thing.created >= query.created_from)
            and (query.created_to is None or thing.created <= query.created_to)
        )

    # ---- purging ------------------------------------------------------------------------------------------------

    def purge(self, instance_id: str) -> int:
        """Deletes an ended instance or an entity. Raises Refused: 404 if unknown, 412 if not ended."""
        return purge_one(self.engine, instance_id)

    def purge_between(self, start: datetime, end: datetime, statuses: frozenset[str]) -> int:
        """Deletes what was created in a period. If `statuses` contains no final status, this includes running instances
        and entities."""
        return purge_between(self.engine, start, end, statuses)

    # ---- entities -----------------------------------------------------------------------------------------------

    def signal(self, name: str, key: str, operation: str, input_text: str | None, now: datetime) -> None:
        """Sends an operation without waiting for a result. Raises Refused (400) for an unknown entity name."""
        functions = self.engine.functions
        if name.lower() not in functions.entities:
            raise Refused(400, {"Message": functions.unknown(name, "entity", functions.entities)})
        target = entity_id(name, key)
        body: dict[str, Any] = {"op": operation, "signal": True, "id": self.engine.new_id()}
        if input_text is not None:
            body["input"] = input_text
        self.engine.send("operation", target, body, sent=now, from_client=True)

    def entity_state(self, name: str, key: str) -> Any:
        """The last committed state. Raises Refused: 404 before the first operation, 500 if the read fails (see
        `blobs`)."""
        target = entity_id(name, key)
        self._read(target)
        entity = self.engine.entities.get(target)
        if entity is None or entity.state is None:
            raise Refused(404)
        return json.loads(entity.state)

    def entity_list(
        self, name: str, *, fetch_state: bool, since: datetime | None, until: datetime | None, top: int, after: str
    ) -> tuple[list[dict[str, Any]], str]:
        """One page of entities, and the token of the next page ("" for the last)."""
        found = sorted(
            (
                e
                for e in self.engine.entities.values()
                if e.state is not None
                and (not name or e.name == name.lower())
                and e.id > after
                and (since is None or e.updated >= since)
                and (until is None or e.updated <= until)
            ),
            key=lambda e: e.id,
        )
        page = found[:top]
        for entity in page:
            self._read(entity.id, with_input=fetch_state)
        return [views.entity_item(e, fetch_state=fetch_state) for e in page], page[-1].id if len(found) > top else ""
