"""The news of a run for its model, step by step."""

from datetime import UTC, datetime
from typing import Any

from refresh.failure.catalogue import ModelNames
from refresh.history.look import Look
from refresh.history.outcome import Outcome
from refresh.models.operations import RequestsEnded, RunDropped, RunEnded, RunRefreshes, RunWaits
from refresh.queue.answers import Claimed, Done, Finished, PermitTaken, Recorded, Superseded, Turn, WakeUp
from refresh.run.machine import next_step
from refresh.run.state import Claiming, Closing, Dropping, Finishing, Polling, Recording, Reopening, RunState
from refresh.run.step import Moved
from refresh.run.transitions import follow
from refresh.scope.scope import RefreshOptions, RefreshType, Scope
from refresh.times import instant

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
AT = instant(NOW)
SINCE = "2026-03-31T11:00:00.000Z"
LOOK = Look(service_time=AT, read_at=AT)
RUN = RunState(run="r", dataset_id="d", incarnation=2, token="t", names=ModelNames(model="Sales"))
CLAIMED = RUN.replace(scope=Scope(workspace_id="w"), since=SINCE, look=LOOK)
ABOUT: dict[str, Any] = {"at": AT, "dataset_id": "d", "run": "r", "incarnation": 2}
WAKE = (WakeUp(instance="a", event="wake-1"), WakeUp(instance="b", event="wake-1"))


def news_after(run: RunState, answer: Any) -> Any:
    """The news of the run after the answer to its next step."""
    step: Any = next_step(run, AT)
    moved: Moved = step.then(answer, NOW)
    return moved.news


def following(run: RunState = CLAIMED) -> RunState:
    """A run that follows its refresh."""
    return follow(run, "ours", NOW, adopted=False).run.replace(wait=0)


def test_a_claim_reports_the_state_of_the_queue() -> None:
    """After its claim, a run reports that it waits, with the expectation of its requests, or the refresh of an earlier
    incarnation."""
    answer = Claimed(scope=Scope(workspace_id="w"), since=SINCE, requests=2, expected_every_hours=6)
    names = ModelNames()
    assert news_after(RUN, answer) == RunWaits(
        **ABOUT, workspace_id="w", since=SINCE, requests=2, names=names, expected_every_hours=6
    )
    refreshes = Claimed(
        scope=Scope(workspace_id="w"), closed=True, look=LOOK, refresh_id="ours", posted_at=SINCE, requests=2
    )
    assert news_after(RUN, refreshes) == RunRefreshes(
        **ABOUT, workspace_id="w", since=SINCE, refresh_id="ours", requests=2, names=names
    )


def test_only_a_run_that_was_held_is_dropped() -> None:
    """An orchestration that never had the run reports nothing, because the other one continues."""
    assert news_after(RUN, Superseded()) is None
    assert news_after(CLAIMED.to(Claiming(then=Polling())), Superseded()) == RunDropped(**ABOUT)
    assert news_after(CLAIMED.to(Claiming(then=Polling())), Claimed(scope=Scope(workspace_id="w"))) is None
    for run in (CLAIMED.to(Closing()), following(), CLAIMED.to(Reopening())):
        assert news_after(run, Superseded(next=Turn(run="next", incarnation=1))) == RunDropped(**ABOUT)


def test_a_recorded_refresh_is_reported() -> None:
    """The news of a recorded refresh has the requests that share it. After a drop, the run waits again."""
    assert isinstance(following().phase, Recording)
    news = news_after(following(), Recorded(wake_ups=WAKE))
    assert isinstance(news, RunRefreshes)
    assert (news.refresh_id, news.requests, news.since) == ("ours", 2, AT)
    again = news_after(following().to(Reopening()), Done())
    assert isinstance(again, RunWaits)
    assert (again.since, again.requests) == (SINCE, None)
    assert news_after(CLAIMED.to(Reopening()), Done()) is None, "the run had waited all the time"
    dropped = news_after(CLAIMED.to(Dropping(requests=("a",))), Done())
    assert dropped == RequestsEnded(at=AT, dataset_id="d", request_ids=("a",))


def test_the_end_is_reported_with_the_requests_of_the_run() -> None:
    """The end is not reported before the queue has accepted it."""
    run = CLAIMED.to(Finishing(), outcome=Outcome(status="Completed", refresh_id="ours"))
    news = news_after(run, Finished(wake_ups=WAKE, expected_every_hours=0))
    assert isinstance(news, RunEnded)
    assert (news.since, news.requests, news.request_ids, news.expected_every_hours) == (SINCE, 2, ("a", "b"), 0)
    assert (news.names.model, news.loads, news.outcome.refresh_id) == ("Sales", True, "ours")
    assert news_after(run, PermitTaken(at=AT)) is None
    assert news_after(run, Finished(superseded=True)) is None, "the next incarnation has the outcome"
    many = tuple(WakeUp(instance=str(number), event="") for number in range(80))
    news = news_after(run, Finished(wake_ups=many))
    assert (news.requests, len(news.request_ids), news.request_ids[-1]) == (80, 50, "79")


def test_a_repeated_end_is_reported_alike() -> None:
    """The engine lost the episode with the first answer, and a request collected the outcome before the second one. The
    news is the same."""
    run = CLAIMED.to(Finishing(), outcome=Outcome(status="Completed", refresh_id="ours"))
    news = news_after(run, Finished(wake_ups=WAKE[1:], collected=("a",), ended_at=SINCE))
    assert news == news_after(run, Finished(wake_ups=WAKE, ended_at=SINCE))
    assert (news.at, news.requests, news.request_ids) == (SINCE, 2, ("a", "b"))


def test_types_that_load_no_data() -> None:
    """Refreshes of these types load no new data."""
    loads: dict[RefreshType, bool] = {
        "Full": True,
        "DataOnly": True,
        "Automatic": True,
        "ClearValues": False,
        "Calculate": False,
        "Defragment": False,
    }
    for kind, expected in loads.items():
        scope = Scope(workspace_id="w", refresh=RefreshOptions(type=kind))
        run = CLAIMED.replace(scope=scope).to(Finishing(), outcome=Outcome(status="Completed"))
        assert news_after(run, Finished(wake_ups=WAKE)).loads is expected
