"""The one door to the durable engine: all that this app asks of it from triggers, timers and activities.

It wraps `DurableOrchestrationClient` of azure-functions-durable 1.7, uses no private attribute of it, and turns its
answers into types of ours. The SDK raises plain Exceptions; here is the one place that knows what they mean:

    EngineError
    ├── EngineUnavailable    the engine did not answer, or with an error: nothing is known of what was asked for
    └── QueueSilent          a queue did not show the effect of an operation in time; it may yet

With SDK 2.x this package changes and nothing else: its client (`durabletask.azurefunctions.DurableFunctionsClient`) has
`schedule_new_orchestration`, `get_orchestration_state(fetch_payloads=...)`, `raise_orchestration_event`, and lists with
paging, so `list_page` would not have to speak HTTP; inputs are no longer encoded twice (`durable.codec.unwrapped`).
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

from durable import names, waits
from durable.codec import decode, encode, unwrapped
from durable.instance import Instance, instance_of
from outbound import pools
from refresh.heartbeat import Heartbeat
from refresh.queue.operations import Operation, name_of
from refresh.queue.state import Queue
from refresh.queue.stored import UnreadableError, load
from refresh.times import iso

PAGE_ROWS, PAGE_ROWS_WITHOUT_INPUTS = 100, 500
"""An input may have more than 64 KB, and is held in memory several times while a page is read."""
NOT_ENDED = "status code 412"
"""In the SDK's text of an error: the engine answered that the orchestration has not ended."""
PAGE_SECONDS = 30.0
PROBED_INSTANCE = "health-probe"
"""An id that no orchestration has."""

log = logging.getLogger(__name__)

T = TypeVar("T")


class EngineError(Exception):
    """The engine could not be asked."""


class EngineUnavailable(EngineError):  # noqa: N818 - named for what happened
    """The engine did not answer, or answered with an error."""


class QueueSilent(EngineError):  # noqa: N818 - likewise
    """A queue did not show the effect of an operation in time. It may still take effect."""


@dataclass(frozen=True)
class Started:
    """The engine took the start. Racing starts of one id are all taken, and one of their inputs runs."""


@dataclass(frozen=True)
class Exists:
    """An orchestration with this id is alive."""


@dataclass(frozen=True)
class Page:
    """Instances, and what to hand in for the next page; empty on the last one."""

    instances: list[Instance]
    continuation: str


class Engine:
    """The engine, as one function call is given it. `binding` is the JSON text of the durable client binding."""

    def __init__(self, binding: str) -> None:
        self._client = df.DurableOrchestrationClient(binding)
        facts = json.loads(binding)
        self._rpc_base_url: str = facts.get("rpcBaseUrl") or ""
        self._key: str = facts.get("requiredQueryStringParameters") or ""

    @property
    def secret(self) -> bytes:
        """A secret of this app that all its instances share and callers do not know; empty if there is none.

        It is the key of the engine's own management API, which the host makes once and keeps in the app's storage.
        """
        return self._key.encode()

    async def start(self, name: str, instance_id: str, message: msgspec.Struct) -> Started | Exists:
        """Starts an orchestration. Raises EngineUnavailable."""
        try:
            await self._client.start_new(name, instance_id, encode(message))
        except Exception as error:
            # the SDK tells a living instance of this id from other errors by the text of an answer only
            found = await self.status(instance_id)
            if found is not None and found.alive:
                return Exists()
            raise EngineUnavailable(_text(error)) from None
        return Started()

    async def status(self, instance_id: str) -> Instance | None:
        """An orchestration with its input; None if there is none. Raises EngineUnavailable."""
        return await _read(lambda: self._status(instance_id))

    async def _status(self, instance_id: str) -> Instance | None:
        status = await self._client.get_status(instance_id, show_input=True)
        if status.runtime_status:
            return instance_of(status.to_json())
        # the SDK takes a 500 for an answer, too: the body of a 404 is a text, that of an error an object
        if not isinstance(getattr(status, "message", None), str):
            raise EngineUnavailable("the engine could not read the orchestration")
        return None

    async def first_alive(self, instance_ids: Iterable[str]) -> str | None:
        """The first of these orchestrations that has not ended; None if there is none. Raises EngineUnavailable."""
        for instance_id in instance_ids:
            found = await self.status(instance_id)
            if found is not None and found.alive:
                return instance_id
        return None

    async def raise_event(self, instance_id: str, event: str) -> bool:
        """Raises an event without data. False if that was not taken: the orchestration has ended, or is not there."""
        try:
            await self._client.raise_event(instance_id, event)
        except Exception as error:
            log.debug("event %s was not taken by %s: %s", event, instance_id, _text(error))
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
        engine's words; none means all. `inputs`: with the inputs of orchestrations and the states of entities.
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
        """Purges an orchestration that has ended. False if it has not, or is not there. Raises EngineUnavailable."""
        try:
            purged = await self._client.purge_instance_history(instance_id)
        except Exception as error:
            if NOT_ENDED in str(error):
                return False
            raise EngineUnavailable(_text(error)) from None
        return bool(purged.instances_deleted)

    async def tell_queue(self, dataset_id: str, operation: Operation[Any]) -> None:
        """Signals an operation to the queue of a dataset. It takes effect some time later. Raises EngineUnavailable."""
        try:
            await self._client.signal_entity(_queue(dataset_id), name_of(operation), encode(operation))
        except Exception as error:
            raise EngineUnavailable(_text(error)) from None

    async def read_queue(self, dataset_id: str) -> Queue:
        """The queue of a dataset as it was last stored, perhaps a moment ago. Raises EngineUnavailable."""
        answer = await _read(lambda: self._client.read_entity_state(_queue(dataset_id)))
        try:
            return load(unwrapped(answer.entity_state) if answer.entity_exists else None)
        except UnreadableError as error:
            raise EngineUnavailable(_text(error)) from None

    async def beat(self, timer: str, at: str) -> None:
        """Notes that a timer runs. A failure is no matter: the next run notes it, too."""
        entity = df.EntityId(names.TIMER_HEARTBEAT, timer)
        try:
            await self._client.signal_entity(entity, "beat", encode(Heartbeat(at=at)))
        except Exception as error:
            log.warning("the run of timer %s was not noted: %s", timer, _text(error))

    async def read_heartbeat(self, timer: str) -> Heartbeat:
        """When a timer ran last; empty if never. Raises EngineUnavailable."""
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
        """Any HTTP answer will do: to a route that the API does not have it needs no storage."""
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
        """The engine's own URIs of an orchestration, by name. They carry a key to all instances of the app."""
        links: dict[str, str] = self._client.create_http_management_payload(instance_id)
        return links


def fetch_page(url: str, query: dict[str, str | None], continuation: str) -> tuple[list[dict[str, Any]], str]:
    """A page of the engine's list: the SDK's own listing returns the first page only. Raises what requests raises."""
    import requests  # only where lists are read: a cold start does not pay for it

    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            url,
            params={key: value for key, value in query.items() if value},
            headers={"x-ms-continuation-token": continuation} if continuation else {},
            timeout=PAGE_SECONDS,
        )
    answer.raise_for_status()
    return answer.json(), answer.headers.get("x-ms-continuation-token", "")


async def _read(read: Callable[[], Awaitable[T]]) -> T:
    """What a read returns, tried for some seconds. Raises EngineUnavailable.

    While a large state is rewritten the engine refuses to read it: its row still names a blob that has been deleted.
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
