"""The calls of triggers, timers and activities to the durable engine. No other module uses the client of the SDK.

This module wraps `DurableOrchestrationClient` of azure-functions-durable 1.7, uses none of its private attributes, and
converts its answers to types of this app. The SDK raises plain Exceptions; only this module interprets them.

For SDK 2.x only this package has to change: the new client (`durabletask.azurefunctions.DurableFunctionsClient`) has
`schedule_new_orchestration`, `get_orchestration_state(fetch_payloads=...)`, `raise_orchestration_event`, and lists with
paging, so that `list_page` needs no HTTP; inputs are no longer encoded twice (`durable.codec.unwrapped`).
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import aiohttp
import azure.durable_functions as df
import msgspec

from durable import models, names, waits
from durable.codec import decode, encode, unwrapped
from durable.instance import Instance, instance_of
from durable.listing import PAGE_SECONDS, Page, fetch_page
from durable.models import ModelNews, addressed
from outbound import pools
from refresh.capacity import stored as stored_group
from refresh.capacity.operations import GroupOperation
from refresh.capacity.state import Group
from refresh.heartbeat import Heartbeat
from refresh.messages import replace, tag_of
from refresh.models.operations import Forget
from refresh.models.state import Record, Shard
from refresh.models.stored import load_record, load_shard
from refresh.packed import UnreadableError
from refresh.queue.operations import Operation
from refresh.queue.state import Queue
from refresh.queue.stored import load
from refresh.times import iso

PAGE_ROWS, PAGE_ROWS_WITHOUT_INPUTS = 100, 500
"""The maximum number of rows of a page with and without inputs: an input can have more than 64 KB, and several copies
are in memory while a page is read."""
NOT_ENDED = "status code 412"
"""Part of the SDK's error text for a 412: the orchestration has not ended."""
PROBED_INSTANCE = "health-probe"
"""An id that is never used for an orchestration."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class EngineUnavailable(Exception):  # noqa: N818 - named for what happened
    """The engine did not answer, or answered with an error: it is unknown whether the call had an effect."""


@dataclass(frozen=True)
class Started:
    """The engine accepted the start. If several starts of one id race, it accepts all of them, but runs only one, with
    the input of that start."""


@dataclass(frozen=True)
class Exists:
    """An orchestration with this id is alive."""


class Engine:
    """The engine, as passed to one function call. `binding` is the JSON text of the durable client binding."""

    def __init__(self, binding: str) -> None:
        self._client = df.DurableOrchestrationClient(binding)
        facts = json.loads(binding)
        self._rpc_base_url: str = facts.get("rpcBaseUrl") or ""
        self._key: str = facts.get("requiredQueryStringParameters") or ""

    @property
    def secret(self) -> bytes:
        """A secret that all hosts of this app share and callers do not know; empty if there is none.

        It is the key of the engine's own management API, which the host creates once and keeps in the app's storage.
        """
        return self._key.encode()

    async def start(self, name: str, instance_id: str, message: msgspec.Struct) -> Started | Exists:
        """Starts an orchestration. Raises EngineUnavailable."""
        try:
            await self._client.start_new(name, instance_id, encode(message))
        except Exception as error:
            # the SDK reports an existing instance only in the text of its error, so the status is read instead
            found = await self.status(instance_id)
            if found is not None and found.alive:
                return Exists()
            raise EngineUnavailable(_text(error)) from None
        return Started()

    async def status(self, instance_id: str) -> Instance | None:
        """An orchestration with its input; None if it does not exist. Raises EngineUnavailable."""
        return await _read(lambda: self._status(instance_id))

    async def _status(self, instance_id: str) -> Instance | None:
        status = await self._client.get_status(instance_id, show_input=True)
        if status.runtime_status:
            return instance_of(status.to_json())
        # the SDK also returns a 500 as an answer; its message is an object, while the message of a 404 is a string
        if not isinstance(getattr(status, "message", None), str):
            raise EngineUnavailable("the engine could not read the orchestration")
        return None

    async def first_alive(self, instance_ids: Iterable[str]) -> str | None:
        """The first of these orchestrations that has not ended; None if all have ended. Raises EngineUnavailable."""
        for instance_id in instance_ids:
            found = await self.status(instance_id)
            if found is not None and found.alive:
                return instance_id
        return None

    async def raise_event(self, instance_id: str, event: str, data: msgspec.Struct | None = None) -> bool:
        """Raises an event. False if the engine did not accept it: the orchestration has ended or does not exist."""
        try:
            await self._client.raise_event(instance_id, event, None if data is None else encode(data))
        except Exception as error:
            log.debug("event %s was not accepted by %s: %s", event, instance_id, _text(error))
            return False
        return True

    async def list_page(
        self,
        prefix: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Iterable[str] = (),
        inputs: bool = True,
        continuation: str = "",
    ) -> Page:
        """A page of the instances whose ids begin with `prefix`, in no particular order. Raises EngineUnavailable.

        `since` and `until` compare with the engine's creation time, which every continue-as-new resets. `statuses`: the
        engine's statuses; empty means all. `inputs`: with the inputs of orchestrations and the states of entities.
        """
        query = {
            "instanceIdPrefix": prefix,
            "createdTimeFrom": iso(since),
            "createdTimeTo": iso(until),
            "runtimeStatus": ",".join(statuses),
            "showInput": "true" if inputs else "false",
            "top": str(PAGE_ROWS if inputs else PAGE_ROWS_WITHOUT_INPUTS),
        }

        async def read() -> Page:
            rows, following = await pools.ENGINE.run(
                fetch_page, self._rpc_base_url + "instances/", query, continuation, key="list", seconds=PAGE_SECONDS
            )
            return Page([instance_of(row) for row in rows], following)

        return await _read(read)

    async def list_all(
        self,
        prefix: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        statuses: Iterable[str] = (),
        inputs: bool = True,
    ) -> AsyncIterator[Instance]:
        """All instances whose ids begin with `prefix`, page by page, see `list_page`. Raises EngineUnavailable."""
        continuation, words = "", tuple(statuses)
        while True:
            page = await self.list_page(
                prefix, since=since, until=until, statuses=words, inputs=inputs, continuation=continuation
            )
            for instance in page.instances:
                yield instance
            continuation = page.continuation
            if not continuation:
                return

    async def purge(self, instance_id: str) -> bool:
        """Purges an ended orchestration. False if it has not ended or does not exist. Raises EngineUnavailable."""
        try:
            purged = await self._client.purge_instance_history(instance_id)
        except Exception as error:
            if NOT_ENDED in str(error):
                return False
            raise EngineUnavailable(_text(error)) from None
        return bool(purged.instances_deleted)

    async def tell_queue(self, dataset_id: str, operation: Operation[Any]) -> None:
        """Signals an operation to the queue of a dataset. It takes effect some time later. Raises EngineUnavailable."""
        await self._tell(_queue(dataset_id), operation)

    async def read_queue(self, dataset_id: str) -> Queue:
        """The queue of a dataset as it was last stored, perhaps a moment ago. Raises EngineUnavailable."""
        return await self._state(_queue(dataset_id), load)

    async def tell_model(self, news: ModelNews) -> None:
        """Signals news about a model. It takes effect some time later. Raises EngineUnavailable."""
        for entity, operation in addressed(news):
            await self._tell(entity, operation)

    async def forget_models(self, shard: str, datasets: Iterable[str], forget: Forget) -> None:
        """Signals a shard and the records of some of its models to remove old data. Raises EngineUnavailable."""
        # the records first: if this method ends half-way, the shard still names them at the next purge
        for dataset_id in datasets:
            await self._tell(models.record_of(dataset_id), replace(forget, keep=()))
        await self._tell(models.shard(shard), forget)

    async def _tell(self, entity: df.EntityId, operation: msgspec.Struct) -> None:
        try:
            await self._client.signal_entity(entity, tag_of(operation), encode(operation))
        except Exception as error:
            raise EngineUnavailable(_text(error)) from None

    async def read_shard(self, key: str) -> Shard:
        """A shard of the index of models, as it was last stored. Raises EngineUnavailable."""
        return await self._state(models.shard(key), load_shard)

    async def read_record(self, dataset_id: str) -> Record:
        """The record of a model, as it was last stored; empty if there is none. Raises EngineUnavailable."""
        return await self._state(models.record_of(dataset_id), load_record)

    async def _state(self, entity: df.EntityId, read: Callable[[object], T]) -> T:
        answer = await _read(lambda: self._client.read_entity_state(entity))
        try:
            return read(unwrapped(answer.entity_state) if answer.entity_exists else None)
        except UnreadableError as error:
            raise EngineUnavailable(_text(error)) from None

    async def tell_group(self, group: str, operation: GroupOperation[Any]) -> None:
        """Signals an operation to a capacity group. It takes effect some time later. Raises EngineUnavailable."""
        await self._tell(df.EntityId(names.CAPACITY_GROUP, group), operation)

    async def read_group(self, group: str) -> Group:
        """A capacity group as it was last stored, perhaps a moment ago. Raises EngineUnavailable."""
        return await self._state(df.EntityId(names.CAPACITY_GROUP, group), stored_group.load)

    async def beat(self, timer: str, at: str) -> None:
        """Records that a timer runs. A failure does not matter, because the next run is also recorded."""
        entity = df.EntityId(names.TIMER_HEARTBEAT, timer)
        try:
            await self._client.signal_entity(entity, "beat", encode(Heartbeat(at=at)))
        except Exception as error:
            log.warning("the run of timer %s was not recorded: %s", timer, _text(error))

    async def read_heartbeat(self, timer: str) -> Heartbeat:
        """When a timer last ran; empty if it never ran. Raises EngineUnavailable."""
        try:
            answer = await self._client.read_entity_state(df.EntityId(names.TIMER_HEARTBEAT, timer))
            beat: Heartbeat = decode(
                (unwrapped(answer.entity_state) if answer.entity_exists else None) or {}, Heartbeat
            )
        except Exception as error:
            raise EngineUnavailable(_text(error)) from None
        return beat

    async def probe(self, seconds: float) -> tuple[bool, bool]:
        """Whether the engine answers within `seconds`, and whether it can read its storage in that time."""
        answers, reads = await asyncio.gather(self._answers(seconds), self._reads(seconds))
        return answers or reads, reads

    async def _answers(self, seconds: float) -> bool:
        """Whether the engine answers at all. Any HTTP answer counts: for an unknown route the API needs no storage."""
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._rpc_base_url):
                return True
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False

    async def _reads(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._status(PROBED_INSTANCE), seconds)
        except Exception:
            return False
        return True

    def management_uris(self, instance_id: str) -> dict[str, str]:
        """The engine's own URIs of an orchestration, by name.

        They contain a key that gives access to all orchestrations of the app.
        """
        links: dict[str, str] = self._client.create_http_management_payload(instance_id)
        return links


async def _read(read: Callable[[], Awaitable[T]]) -> T:
    """The result of a read, with retries for some seconds. Raises EngineUnavailable.

    While a large state is being rewritten, the engine cannot read it: its row still names a blob that was deleted.
    """
    try:
        return await read()
    except Exception as error:
        problem = error
    async for _ in waits.pauses(waits.STATUS_SECONDS):
        try:
            return await read()
        except Exception as error:
            problem = error
    raise EngineUnavailable(_text(problem))


def _queue(dataset_id: str) -> df.EntityId:
    return df.EntityId(names.DATASET_QUEUE, dataset_id)


def _text(error: Exception) -> str:
    return str(error)[:300] or type(error).__name__
