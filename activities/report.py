"""The activity that tells of the end of a request."""

from typing import Any

import azure.durable_functions as df

from activities.model import log
from refresh.journal import entry

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
def report_end(order: dict[str, Any]) -> bool:
    """Logs how a request ended: `order` has request, dataset, caller, ending."""
    ending = order["ending"]
    about = {"request": order["request"], "dataset": order["dataset"], "caller": order["caller"]}
    facts = {key: ending.get(key) for key in ("status", "runId", "refreshId", "sharedWith", "servedBy", "error")}
    log.info(entry("request ended", **about, **facts))
    return True
