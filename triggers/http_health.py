"""GET /api/health: whether the app can work, for probes and people. Open to all: it says nothing secret."""

import asyncio
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine, EngineError
from outbound.pools import POWER_BI, PoolBusyError
from power_bi.errors import PowerBiError
from power_bi.service import configured_tokens
from refresh import clock
from refresh.heartbeat import INTERVALS, late
from triggers.answers import answer
from triggers.looks import Looks
from triggers.routing import http_function

TOKEN_SECONDS = 10.0
PASSED, FAILED = "passed", "failed"

Json = dict[str, Any]

bp = df.Blueprint()
_TOKENS: Looks[str] = Looks(kept_seconds=30.0)
"""The open route must not make the app ask for tokens as often as it is called."""


@http_function(bp, route="health", methods=["GET"], signed_in=False)
async def http_health(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """200 with `status` `ok`, or 503 with `unhealthy` and what is wrong in `checks`.

    `storage` and `engine` are passed or failed; `token` is passed or the code of the error; `timers` has each timer
    with its last run (null if it never ran) and whether it is late.
    """
    engine_works, storage_works = await engine.probe()
    token, timers = await asyncio.gather(_token(), _timers(engine) if storage_works else _no_timers())
    checks = {
        "engine": PASSED if engine_works else FAILED,
        "storage": PASSED if storage_works else FAILED if engine_works else "unknown",
        "token": token,
        "timers": timers,
    }
    late_timer = any(timer["late"] for timer in timers.values())
    healthy = engine_works and storage_works and token == PASSED and not late_timer
    return answer({"status": "ok" if healthy else "unhealthy", "checks": checks}, 200 if healthy else 503)


async def _token() -> str:
    return await _TOKENS.at("", _fetch_token)


async def _fetch_token() -> str:
    try:
        await POWER_BI.run(lambda: configured_tokens().token(), key="token", seconds=TOKEN_SECONDS)
    except PowerBiError as error:
        return error.code
    except (PoolBusyError, TimeoutError):
        return "SignInUnavailable"
    return PASSED


async def _timers(engine: Engine) -> Json:
    shown: Json = {}
    for name in INTERVALS:
        try:
            stored = await engine.read_heartbeat(name)
        except EngineError:
            continue
        shown[name] = {"lastRun": stored.at or None, "late": late(name, stored, clock.now())}
    return shown


async def _no_timers() -> Json:
    return {}
