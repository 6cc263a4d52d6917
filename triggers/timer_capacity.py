"""The timer that finds places in capacity groups that their runs did not give back."""

import logging
from collections.abc import AsyncIterator
from typing import Literal, TypeAlias

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine, EngineUnavailable
from durable.functions import engine_input
from durable.places import is_lost, to_check
from power_bi.busy import is_busy
from refresh import clock
from refresh.capacity.answers import Asker
from refresh.capacity.operations import FreePlaces
from refresh.capacity.state import Place, Waiter
from refresh.events import Event
from refresh.settings import current_settings
from refresh.times import instant
from triggers.portions import work_through

Found: TypeAlias = tuple[str, Asker, Place | Waiter]

log = logging.getLogger(__name__)
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="30 */5 * * * *")
@engine_input(bp)
async def check_places(timer: func.TimerRequest, engine: Engine) -> None:
    """Every five minutes: frees places of ended runs that did not give them back.

    Does nothing without CAPACITY_LIMITS. The waiting runs learn about a free place when they ask again.
    """
    await engine.beat("check_places", instant(clock.now()))
    names = [group.name for group in current_settings().capacity_limits]
    if not names:
        return

    async def check(found: Found) -> Literal["kept", "freed", "failed"]:
        group, asker, entry = found
        try:
            if not await is_lost(engine, asker.run, entry, clock.now(), is_busy):
                return "kept"
            await engine.tell_group(group, FreePlaces(at=instant(clock.now()), askers=(asker,)))
        except EngineUnavailable as problem:
            _log_failure(group, problem)
            return "failed"
        ids = {"group": group, "runId": asker.run, "incarnation": asker.incarnation, "datasetId": entry.dataset_id}
        log.warning(Event("capacity.place_freed", logging.WARNING, **ids).line())
        return "freed"

    await work_through(_entries(engine, names), check)


async def _entries(engine: Engine, names: list[str]) -> AsyncIterator[Found]:
    for name in names:
        try:
            group = await engine.read_group(name)
        except EngineUnavailable as problem:
            _log_failure(name, problem)
            continue
        for asker, entry in [*to_check(group, clock.now())]:
            yield name, asker, entry


def _log_failure(group: str, problem: EngineUnavailable) -> None:
    log.warning(Event("capacity.not_checked", logging.WARNING, group=group, error=str(problem)).line())
