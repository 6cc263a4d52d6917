"""Activities about orchestrations: start a run, wake requests, see who is alive. Each is safe to repeat."""

import secrets
from typing import Any

import azure.durable_functions as df

from activities.model import log
from entities.instances import first_alive, run_status
from refresh.reporting.events import entry
from refresh.run.state import RunState, run_instance
from refresh.settings import current_settings

Json = dict[str, Any]

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def start_run(order: Json, client: df.DurableOrchestrationClient) -> bool:
    """Starts a generation of a run: `order` has dataset_id, run, generation. True if the engine took it.

    An instance id protects nothing: of several starts, also late ones, the queue lets only one life go on, which it
    knows by the token made here.
    """
    limits = current_settings().limits
    state = RunState(order["run"], order["dataset_id"], order["generation"], secrets.token_hex(8), limits)
    try:
        await client.start_new("refresh_run", run_instance(order["run"], order["generation"]), state.to_json())
    except Exception as error:  # the SDK raises nothing more precise; a living instance of this id is one reason
        log.info(entry("run.not_started", run=order["run"], dataset=order["dataset_id"], error=str(error)[:200]))
        return False
    return True


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def wake_requests(order: Json, client: df.DurableOrchestrationClient) -> int:
    """Raises the events that requests wait for: `order` has `wake`, pairs of request and event. How many were taken.

    A wake-up is a hint, so whoever is not there any more is no error.
    """
    woken = 0
    for request_id, event in order["wake"]:
        try:
            await client.raise_event(request_id, event)
        except Exception as error:  # likewise: the request has ended, or was purged
            log.debug(entry("request.not_notified", request=request_id, error=str(error)[:200]))
        else:
            woken += 1
    return woken


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def is_run_alive(order: Json, client: df.DurableOrchestrationClient) -> bool:
    """Whether this generation of a run still lives. `order`: run, generation."""
    return await first_alive(client, [run_instance(order["run"], order["generation"])]) is not None


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def last_error_of_run(order: Json, client: df.DurableOrchestrationClient) -> Json:
    """What Power BI said last to a run that cannot get on. `order`: run, generation.

    Answers `said`, a sentence, or None if all is well or nobody knows.
    """
    status = await run_status(client, run_instance(order["run"], order["generation"]))
    return {"said": status.get("lastReadError")}
