"""`dev.py bench models`: the cost of the list of models and of the page of one model, with few and many ended requests.

The app on the devhost runs in this process, and the calls go over HTTP. The app's own code creates the initial
state: the index and the records by the operations that runs send, the requests as the engine stores them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import requests
from rich.box import SIMPLE_HEAD
from rich.table import Table

from dev import terminal
from dev.environment import ROOT
from devhost.engine.model import Entity, Instance, entity_id
from devhost.engine.sqlite_store import SqliteStore
from devhost.engine.store import Changes
from devhost.host import Host, Options
from durable import names
from durable.codec import encode
from refresh.failure.catalogue import ModelNames, failure
from refresh.history.outcome import Outcome
from refresh.models import index, record
from refresh.models.operations import RunEnded
from refresh.models.state import Record, Shard
from refresh.models.stored import SCHEMA
from refresh.packed import pack
from refresh.request.spec import RequestSpec
from refresh.request.state import RequestOutcome, RequestState
from refresh.scope.scope import Scope
from refresh.times import instant
from triggers.looks import MODELS_KEPT_SECONDS

WORKSPACE = "11111111-aaaa-bbbb-cccc-000000000001"
MODELS, FEW, MANY = 500, 500, 10_000
LOOKS = 8
"""The number of measured calls of each kind. The app's caches have expired before each call."""
MAX_SECONDS = 0.3
"""The limit for the median time of the list of all models."""


@dataclass(frozen=True)
class Measured:
    """The seconds of each call: of the list with all models, of its first page, and of the page of one model.

    `processor`: CPU seconds of app, host and this client for all models. `kilobytes`: the size of that list.
    """

    ended: int
    processor: list[float]
    whole: list[float]
    first: list[float]
    one: list[float]
    kilobytes: float


def fill(state: Path, models: int, ended: int, now: datetime) -> list[str]:
    """Creates the state of an app with this many ended requests, spread over the models; returns their dataset ids."""
    ids = [str(uuid.UUID(int=number + 1)) for number in range(models)]
    shards: dict[str, Shard] = {key: Shard() for key in index.shard_keys()}
    records: dict[str, Record] = dict.fromkeys(ids, Record())
    changes = Changes()
    for number in range(ended):
        dataset_id = ids[number % models]
        run = _ended(dataset_id, number, now - timedelta(minutes=(ended - number) * 20 * 24 * 60 / ended))
        shard = index.shard_of(dataset_id)
        shards[shard] = index.apply(shards[shard], run, now).shard
        records[dataset_id] = record.apply(records[dataset_id], run, now) or Record()
        _keep_request(changes, run)
    for key, one in shards.items():
        _keep_entity(changes, names.MODEL_INDEX, key, pack(one, SCHEMA), now)
    for dataset_id, known in records.items():
        _keep_entity(changes, names.MODEL_RECORD, dataset_id, pack(known, SCHEMA), now)
    store = SqliteStore(state)
    store.commit(changes)
    store.close()
    return ids


def _ended(dataset_id: str, number: int, at: datetime) -> RunEnded:
    request = f"{uuid.UUID(dataset_id).hex}-{number:016x}"
    known = ModelNames(model=f"Model {dataset_id[-3:]} of the sales department", workspace="Finance and controlling")
    error = failure("CredentialsRejected", dataset_id, table="Sales", names=known) if number % 7 == 0 else None
    return RunEnded(
        at=instant(at),
        dataset_id=dataset_id,
        run=f"{request}-r1",
        incarnation=1,
        workspace_id=WORKSPACE,
        outcome=Outcome(
            status="Failed" if error else "Completed",
            refresh_id=str(uuid.UUID(int=number)),
            started_at=instant(at - timedelta(seconds=300 + number % 97)),
            ended_at=instant(at),
            error=error,
        ),
        since=instant(at - timedelta(seconds=400)),
        requests=1,
        names=known,
        request_ids=(request,),
        expected_every_hours=24,
    )


def _keep_request(changes: Changes, run: RunEnded) -> None:
    """Stores the request of a run as the engine stores an ended request."""
    state = RequestState(
        spec=RequestSpec(
            dataset_id=run.dataset_id,
            scope=Scope(workspace_id=WORKSPACE),
            caller={"pipeline": "Load sales", "runId": str(uuid.UUID(int=7))},
        ),
        token="enroll",  # noqa: S106 - opens nothing
        read_token="read",  # noqa: S106
        cancel_token="cancel",  # noqa: S106
        requested_at=run.since,
    )
    outcome = RequestOutcome(
        status="Failed" if run.outcome.error else "Completed",
        error=run.outcome.error,
        run_id=run.run,
        refresh_id=run.outcome.refresh_id,
        shared_with=0,
        served_by="own",
        started_at=run.outcome.started_at,
        ended_at=run.outcome.ended_at,
    )
    at = datetime.fromisoformat(run.at)
    (request,) = run.request_ids
    changes.instances[request] = Instance(
        id=request,
        name=names.REFRESH_REQUEST,
        execution_id=request,
        input=json.dumps(json.dumps(encode(state))),
        status="Failed" if run.outcome.error else "Completed",
        created=at,
        updated=at,
        custom_status=json.dumps(encode(outcome)),
    )


def _keep_entity(changes: Changes, name: str, key: str, state: object, now: datetime) -> None:
    entity = entity_id(name, key)
    text = msgspec.json.encode(state).decode()
    changes.entities[entity] = Entity(id=entity, created=now, updated=now, exists=True, state=text)


@contextmanager
def hosted(state: Path) -> Iterator[str]:
    """The base URL of an app that is hosted with this state."""
    os.environ.update({"POWER_BI_API_URL": "http://127.0.0.1:9"})
    host = Host(Options(app=ROOT, state=state, port=0))
    try:
        yield host.base
    finally:
        host.stop()


def measure(base: str, ids: list[str], ended: int, looks: int = LOOKS) -> Measured:
    """Calls each route several times. Raises ValueError for an incomplete answer."""
    whole, processor, first, one, size = [], [], [], [], 0
    timed(base, "/api/models?limit=1")  # the first call of a process imports what it needs
    with requests.Session() as session:
        for number in range(looks):
            time.sleep(MODELS_KEPT_SECONDS + 0.05)
            computed = time.process_time()
            seconds, answer = timed(base, f"/api/models?limit={MODELS}", session)
            processor.append(time.process_time() - computed)
            _require(answer, answer.json()["total"], len(answer.json()["models"]), len(ids))
            whole.append(seconds)
            size = len(answer.content)
            time.sleep(MODELS_KEPT_SECONDS + 0.05)
            first.append(timed(base, "/api/models", session)[0])
            time.sleep(MODELS_KEPT_SECONDS + 0.05)
            seconds, answer = timed(base, f"/api/models/{ids[number]}", session)
            _require(answer, len(answer.json()["runs"]), len(answer.json()["requests"]), min(50, ended // len(ids)))
            one.append(seconds)
    return Measured(ended, processor, whole, first, one, size / 1000)


def _require(answer: requests.Response, *counts: int) -> None:
    if len(set(counts)) > 1:
        raise ValueError(f"{counts} are not the same: {answer.text[:300]}")


def timed(base: str, path: str, session: requests.Session | None = None) -> tuple[float, Any]:
    """Seconds of a GET, and the answer. Raises requests.HTTPError."""
    begin = time.perf_counter()
    answer = (session or requests).get(base + path, timeout=60)
    seconds = time.perf_counter() - begin
    answer.raise_for_status()
    return seconds, answer


def played(models: int, ended: int, looks: int = LOOKS) -> Measured:
    """One round, which begins with an empty folder. Play it in a process of its own: a process can load an app only
    once."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        ids = fill(Path(folder), models, ended, datetime.now(UTC))
        with hosted(Path(folder)) as base:
            return measure(base, ids, ended, looks)


def table(rounds: list[Measured], models: int) -> Table:
    """One row for each round, with the median and the maximum of each call."""
    found = Table(box=SIMPLE_HEAD, padding=terminal.CLOSE)
    headings = ("ended requests", f"all {models} models", "computing", "first page", "one model", "size of the list")
    for heading in headings:
        found.add_column(heading, justify="right")
    for entry in rounds:
        times = (f"{statistics.median(kind) * 1000:.0f} ms, {max(kind) * 1000:.0f} ms" for kind in _kinds(entry))
        found.add_row(f"{entry.ended:,}", *times, f"{entry.kilobytes:.0f} kB")
    return found


def _kinds(entry: Measured) -> tuple[list[float], ...]:
    return entry.whole, entry.processor, entry.first, entry.one


def main(arguments: list[str]) -> int:
    """The exit code: 0 if the list is answered in time, even with many ended requests."""
    parser = argparse.ArgumentParser(prog="dev.py bench models", description=__doc__)
    parser.add_argument("--models", type=int, default=MODELS, help=f"number of models (default {MODELS})")
    parser.add_argument("--ended", type=int, nargs="+", default=[FEW, MANY], help="ended requests of each round")
    options = parser.parse_args(arguments)
    where, rounds = terminal.console(), []
    for ended in options.ended:
        where.print(f"{options.models} models, {ended:,} ended requests ...")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            rounds.append(process.submit(played, options.models, ended).result())
    where.print(table(rounds, options.models))
    where.print("Median and longest time of the calls. The caches of the app have expired before each call.")
    where.print("Computing: processor time of the call with all models, the better measure on a busy machine.")
    good = all(statistics.median(entry.whole) <= MAX_SECONDS for entry in rounds)
    verdict = "is answered" if good else "is NOT answered"
    where.print(f"The list {verdict} in {MAX_SECONDS * 1000:.0f} ms.", style="green" if good else "bold red")
    return 0 if good else 1
