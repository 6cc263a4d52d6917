"""The news of a request for the entities of its model (`refresh.models`), if it leaves its run early.

All other requests are in the news of their run.
"""

from refresh.models.operations import RequestsEnded, RunDropped
from refresh.queue.answers import Left
from refresh.request.state import RequestOutcome

OWN_ENDS = ("RequestCancelled", "TimedOut")
"""Codes of requests that did not wait for the outcome of their run."""


def dropped_run_news(dataset_id: str, answer: Left, at: str) -> RunDropped | None:
    """The news that the active run lost its last request before its POST; the run itself may notice the loss minutes
    later.

    None if other requests remain, if the refresh is known, or if the run is not the active one.
    """
    if answer.run is None or answer.position or answer.shared_with or answer.refresh_id:
        return None
    return RunDropped(at=at, dataset_id=dataset_id, run=answer.run, incarnation=answer.incarnation)


def ended_request_news(request: str, dataset_id: str, outcome: RequestOutcome) -> RequestsEnded | None:
    """The news that a request ended without the outcome of a run; otherwise None. `outcome` has the time of its end."""
    if outcome.run_id is not None and (outcome.error is None or outcome.error.code not in OWN_ENDS):
        return None
    return RequestsEnded(at=outcome.ended_at or "", dataset_id=dataset_id, request_ids=(request,))
