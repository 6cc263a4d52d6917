"""The activity that tells of the end of a request: in the log, and to whoever waits to call back."""

from typing import Any

import azure.durable_functions as df

from activities.model import log
from refresh.reporting.callback import ENDED_EVENT, prefix_of
from refresh.reporting.events import entry

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def report_end(order: dict[str, Any], client: df.DurableOrchestrationClient) -> int:
    """Logs how a request ended, and tells its callbacks to call. `order`: request, dataset, caller, ending.

    How many callbacks were told. Those that were not are found by a timer.
    """
    ending = order["ending"]
    about = {"request": order["request"], "dataset": order["dataset"], "caller": order["caller"]}
    facts = {key: ending.get(key) for key in ("status", "runId", "refreshId", "sharedWith", "servedBy", "error")}
    log.info(entry("request.ended", **about, **facts))
    told = 0
    # one page of the list, a hundred, is more than any request has; almost all have none
    for callback in await client.get_status_by(instance_id_prefix=prefix_of(order["request"])):
        try:
            await client.raise_event(callback.instance_id, ENDED_EVENT)
        except Exception as error:  # it has called already; the SDK raises nothing more precise
            log.debug(entry("callback.not_notified", request=order["request"], error=str(error)[:200]))
        else:
            told += 1
    return told
