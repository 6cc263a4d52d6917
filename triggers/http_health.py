"""GET /api/health: whether the app can work, for probes and people. No sign-in, because it contains nothing secret."""

import asyncio
import re
from functools import cache
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine, EngineUnavailable
from outbound.pools import POWER_BI, PoolBusyError
from power_bi.errors import PowerBiError
from power_bi.service import configured_tokens
from refresh import clock
from refresh.heartbeat import INTERVALS, has_missed_runs
from triggers.answers import answer
from triggers.looks import Looks
from triggers.routing import http_function

ENGINE_SECONDS = 5.0
TOKEN_SECONDS = 10.0
"""All checks run at the same time, so the answer takes at most the longer of these two times."""
KEPT_SECONDS = 2.0
PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"

VERSION_FILE = Path(__file__).parent.parent / "version.txt"
VERSION = re.compile(rb"([0-9a-f]{40,64}(?:\+changes)?)\s*")

Json = dict[str, Any]


def deployed_version(file: Path = VERSION_FILE) -> str | None:
    """The commit of the package, which infra/package.py writes into a file; None without a valid file."""
    try:
        with file.open("rb") as opened:
            found = VERSION.fullmatch(opened.read(100))
    except OSError:
        return None
    return found[1].decode() if found else None


bp = df.Blueprint()
_REPORTS: Looks[Json] = Looks(kept_seconds=KEPT_SECONDS)
"""The route needs no sign-in, so storage and sign-in are checked at most once in two seconds."""


@http_function(bp, route="health", methods=["GET"], signed_in=False)
async def http_health(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """200 with `status` `ok`, or 503 with `unhealthy` and the failing `checks`.

    `engine` and `storage` are passed, failed, or unknown (the storage, if the engine does not answer); `token` is
    passed or the code of the error. `timers` gives for each timer its last run (null if it never ran) and whether it is
    late; it is empty if the storage cannot be read. `version` is the deployed commit, if the package has it.
    """
    report = await _REPORTS.at("", lambda: _look(engine))
    return answer(report, 200 if report["status"] == "ok" else 503)


async def _look(engine: Engine) -> Json:
    (engine_answers, storage_works), timers, token = await asyncio.gather(
        engine.probe(ENGINE_SECONDS), _timers(engine), _token()
    )
    storage_works = storage_works and timers is not None
    checks = {
        "engine": PASSED if engine_answers else FAILED,
        "storage": PASSED if storage_works else FAILED if engine_answers else UNKNOWN,
        "token": token,
        "timers": timers or {},
    }
    late_timer = any(timer["late"] for timer in (timers or {}).values())
    healthy = engine_answers and storage_works and token == PASSED and not late_timer
    report: Json = {"status": "ok" if healthy else "unhealthy", "checks": checks}
    version = _version()
    return {**report, "version": version} if version else report


@cache
def _version() -> str | None:
    """The commit, read only for the first report, so that a cold start does not wait for it."""
    return deployed_version()


async def _token() -> str:
    """`passed`, or the code of the error. Power BI is not called; /api/check does that."""
    fetch = POWER_BI.run(lambda: configured_tokens().token(), key="token", seconds=TOKEN_SECONDS)
    try:
        # a second limit: the pool lets a started call run to its end, and a developer's login tries several programs in
        # turn
        await asyncio.wait_for(fetch, TOKEN_SECONDS)
    except PowerBiError as error:
        return error.code
    except (PoolBusyError, TimeoutError):
        return "SignInUnavailable"
    return PASSED


async def _timers(engine: Engine) -> Json | None:
    """The state of each timer; None if it cannot be read."""
    reads = asyncio.gather(*(engine.read_heartbeat(name) for name in INTERVALS))
    try:
        stored = await asyncio.wait_for(reads, ENGINE_SECONDS)
    except (EngineUnavailable, TimeoutError):
        return None
    now = clock.now()
    return {
        name: {"lastRun": heartbeat.at or None, "late": has_missed_runs(name, heartbeat, now)}
        for name, heartbeat in zip(INTERVALS, stored, strict=True)
    }
