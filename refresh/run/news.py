"""The news of a run for the entities of its model (`refresh.models`): it waits, refreshes, or has ended."""

from datetime import datetime

from refresh.messages import replace
from refresh.models.operations import RunDropped, RunEnded, RunRefreshes, RunWaits
from refresh.queue.answers import Finished
from refresh.run.state import RunState
from refresh.times import instant

NOT_LOADING = ("ClearValues", "Calculate", "Defragment")
"""Types of refreshes that load no new data."""
MAX_REQUESTS = 50
"""The maximum number of requests in the news of an end; the record of a model stores as many."""


def waiting_news(run: RunState, now: datetime, requests: int | None = None, expected: float | None = None) -> RunWaits:
    """The news that the run has no known refresh yet: it waits, or is about to start one."""
    return RunWaits(
        at=instant(now),
        dataset_id=run.dataset_id,
        run=run.run,
        incarnation=run.incarnation,
        workspace_id=run.known_scope.workspace_id,
        since=run.since or instant(now),
        requests=requests,
        names=run.names,
        expected_every_hours=expected,
    )


def refreshing_news(run: RunState, now: datetime, requests: int) -> RunRefreshes:
    """The news that the refresh of the run is known."""
    return RunRefreshes(
        at=instant(now),
        dataset_id=run.dataset_id,
        run=run.run,
        incarnation=run.incarnation,
        workspace_id=run.known_scope.workspace_id,
        since=run.followed.posted_at,
        refresh_id=run.followed.id,
        requests=requests,
        names=run.names,
    )


def dropped_news(run: RunState, now: datetime) -> RunDropped:
    """The news that this incarnation of the run ends without an outcome."""
    return RunDropped(at=instant(now), dataset_id=run.dataset_id, run=run.run, incarnation=run.incarnation)


def ended_news(run: RunState, now: datetime, answer: Finished) -> RunEnded | None:
    """The news of the outcome of the run, and of the requests that it served; None if the run is not known to have
    ended.

    The engine may lose and repeat the episode that got the queue's first answer. By then, requests may already have
    collected the outcome, so `served` includes them. The time is that of the first answer, so that both episodes report
    the same news.
    """
    if run.outcome is None:
        return None
    scope = run.known_scope
    served = (*answer.collected, *(one.instance for one in answer.wake_ups))
    return RunEnded(
        at=answer.ended_at or instant(now),
        dataset_id=run.dataset_id,
        run=run.run,
        incarnation=run.incarnation,
        workspace_id=scope.workspace_id,
        outcome=replace(run.outcome, failed_objects=()),
        since=run.since or instant(now),
        requests=len(served),
        loads=scope.refresh is None or scope.refresh.type not in NOT_LOADING,
        names=run.names,
        request_ids=served[-MAX_REQUESTS:],
        expected_every_hours=answer.expected_every_hours,
    )
