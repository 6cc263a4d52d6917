"""Reads of the engine that many callers need at the same time: each value is read once, kept for a second or two, and
shared.

Two hundred callers of one model may poll at the same time; without this module, each poll would read the model's queue
or run. No outcome depends on these values. Each process keeps its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from durable.engine import Engine
from durable.requests import run_status_of
from refresh.capacity.state import Group
from refresh.ids import run_instance
from refresh.models.index import shard_keys, shard_of
from refresh.models.state import Entry, Record, Shard
from refresh.queue.state import Queue
from refresh.run.status import RunStatus

KEPT_SECONDS = 1.0
MODELS_KEPT_SECONDS = 2.0
"""How long values are kept for pages that people look at."""
MAX_KEPT = 1_000

T = TypeVar("T")


class Looks(Generic[T]):
    """Values by key, each read once and kept for `kept_seconds`. Values are not shared between event loops."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept_seconds: float = KEPT_SECONDS) -> None:
        self._clock, self._kept_seconds = clock, kept_seconds
        self._kept: dict[str, tuple[float, asyncio.Future[T]]] = {}

    async def at(self, key: str, look: Callable[[], Awaitable[T]]) -> T:
        """The value of a key. If `look` raises, all callers that wait for it get the exception."""
        now, known = self._clock(), self._kept.get(key)
        if known and known[0] > now and known[1].get_loop() is asyncio.get_running_loop():
            return await asyncio.shield(known[1])
        if len(self._kept) >= MAX_KEPT:
            self._kept = {name: entry for name, entry in self._kept.items() if entry[0] > now}
        if len(self._kept) >= MAX_KEPT:
            return await look()
        future: asyncio.Future[T] = asyncio.ensure_future(look())
        self._kept[key] = (now + self._kept_seconds, future)
        future.add_done_callback(lambda done: self._forget_failure(key, done))
        return await asyncio.shield(future)

    def _forget_failure(self, key: str, done: "asyncio.Future[T]") -> None:
        """Drops a failed read, so that the next caller repeats it. A caller that stops waiting does not make the read
        fail."""
        # always read the exception: asyncio reports exceptions that are never retrieved
        failed, known = done.cancelled() or done.exception(), self._kept.get(key)
        if failed and known and known[1] is done:
            del self._kept[key]


_QUEUES: Looks[Queue] = Looks()
_RUNS: Looks[RunStatus] = Looks()
_GROUPS: Looks[Group] = Looks()
_SHARDS: Looks[Shard] = Looks(kept_seconds=MODELS_KEPT_SECONDS)
_RECORDS: Looks[Record] = Looks(kept_seconds=MODELS_KEPT_SECONDS)


async def queue_of(engine: Engine, dataset_id: str) -> Queue:
    """The queue of a dataset, at most a second old. Do not change it: it is shared."""
    return await _QUEUES.at(dataset_id, lambda: engine.read_queue(dataset_id))


async def group_of(engine: Engine, name: str) -> Group:
    """A capacity group, at most a second old. Do not change it: it is shared."""
    return await _GROUPS.at(name, lambda: engine.read_group(name))


async def run_status(engine: Engine, run: str, incarnation: int) -> RunStatus:
    """The status of a run, at most a second old; empty if the run does not exist or no longer exists."""
    instance_id = run_instance(run, incarnation)

    async def look() -> RunStatus:
        return run_status_of(await engine.status(instance_id))

    return await _RUNS.at(instance_id, look)


async def entries(engine: Engine) -> dict[str, Entry]:
    """The entries of all models, by dataset id, at most two seconds old."""
    shards = await asyncio.gather(*(_shard(engine, key) for key in shard_keys()))
    return {dataset_id: entry for shard in shards for dataset_id, entry in shard.models.items()}


async def entry_of(engine: Engine, dataset_id: str) -> Entry | None:
    """The entry of a model in the index, at most two seconds old; None if there is none."""
    return (await _shard(engine, shard_of(dataset_id))).models.get(dataset_id)


async def record_of(engine: Engine, dataset_id: str) -> Record:
    """The record of a model, at most two seconds old; an empty one if there is none."""
    return await _RECORDS.at(dataset_id, lambda: engine.read_record(dataset_id))


async def _shard(engine: Engine, key: str) -> Shard:
    return await _SHARDS.at(key, lambda: engine.read_shard(key))
