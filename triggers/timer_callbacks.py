"""The timer that delivers what nobody delivered: callbacks of requests that could not speak at their end any more."""

import logging

import azure.durable_functions as df
import azure.functions as func

from refresh.reporting.callback import ENDED_EVENT, MOST_LIVES, PREFIX, CallbackState
from refresh.reporting.events import entry
from refresh.reporting.stored import decoded, verdict
from triggers.instances import Json, find_request, list_instances

NOT_DELIVERED = "Pending,Running,ContinuedAsNew,Failed"
"""Whoever terminates a callback by hand wants it to stop."""

log = logging.getLogger("refresh")
bp = df.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
@bp.durable_client_input(client_name="client")
async def deliver_callbacks(timer: func.TimerRequest, client: df.DurableOrchestrationClient) -> None:
    """Every five minutes: reminds callbacks whose request has ended or never came, and revives those that failed."""
    reminded, token = 0, ""
    while True:
        rows, token = await list_instances(client, PREFIX, None, token, NOT_DELIVERED)
        for row in rows:
            reminded += await _see_to(client, row)
        if not token:
            break
    if reminded:
        log.info(entry("callback.reminded", callbacks=reminded))


async def _see_to(client: df.DurableOrchestrationClient, row: Json) -> bool:
    """True if a callback had to be spoken to. It is no matter if that comes to nothing: the next timer comes."""
    given, custom = decoded(row.get("input")), decoded(row.get("customStatus"))
    if not isinstance(given, dict):
        return False
    state = CallbackState.from_json(given)
    try:
        if row["runtimeStatus"] == "Failed":
            if state.life >= MOST_LIVES:
                return False
            await client.start_new("deliver_callback", row["instanceId"], state.revived().to_json())
            return True
        if isinstance(custom, dict) and custom.get("state") == "waiting":
            found = await find_request(client, state.request)
            if found is None or verdict(found):
                await client.raise_event(row["instanceId"], ENDED_EVENT)
                return True
    except Exception as problem:  # it ended a moment ago; the SDK raises nothing more precise
        log.info(entry("callback.not_reminded", request=state.request, error=str(problem)[:200]))
    return False
