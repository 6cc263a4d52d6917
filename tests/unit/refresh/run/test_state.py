"""The state of a run is stored as plain JSON, and code of other versions can read it as far as possible."""

import json
from typing import Any, get_args

import pytest

from durable.codec import NotUnderstoodError, decode, encode
from refresh.failure.catalogue import failure
from refresh.history.look import LostWindow
from refresh.history.outcome import Outcome
from refresh.history.progress import Progress, TableProgress
from refresh.run import orders
from refresh.run.machine import continued, next_step
from refresh.run.parts import Blocker, Calls, Followed, InGroup, Posts
from refresh.run.state import (
    Cancelling,
    Claiming,
    Closing,
    Dropping,
    Finishing,
    LeavingPlace,
    Looking,
    Notifying,
    Over,
    Phase,
    Polling,
    Posting,
    Reconciling,
    Recording,
    Reopening,
    ReportingBlocker,
    RunState,
    StartingNext,
    TakingPlace,
    WaitingForPlace,
    Waking,
)
from refresh.run.status import status_of
from refresh.run.step import Ask, AskGroup, Do, End, WaitForEvent
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.times import instant
from tests.unit.refresh.run.incarnations import BLOCKER, LIMITS, LOOK, MODEL, NEXT, NOON, WAKE

AT = instant(NOON)
PHASES: tuple[Phase, ...] = (
    Claiming(),
    Claiming(then=Reconciling(reason="busy", since=AT, until=AT)),
    Looking(),
    ReportingBlocker(),
    TakingPlace(),
    WaitingForPlace(event="wake-1", seconds=60),
    LeavingPlace(then=Closing(), wait=2.5, busy_until=AT),
    Waking(wake_ups=WAKE, then=Notifying(wake_ups=WAKE), wait=2.5),
    Closing(),
    Posting(),
    Reconciling(reason="lost", since=AT, until=AT, window=LostWindow(since=AT, until=AT), error="reset"),
    Reopening(pause=7.5),
    Reopening(pause=7.5, execution="mine"),
    Dropping(requests=("a", "b"), execution="mine"),
    Recording(),
    Cancelling(),
    Cancelling(throttled=2),
    Polling(),
    Finishing(),
    Finishing(execution="mine"),
    StartingNext(next=NEXT, wake_ups=WAKE),
    Notifying(wake_ups=WAKE),
    Over(),
)
PROGRESS = Progress(
    objects=3,
    by_status={"Completed": 1, "InProgress": 2},
    tables=(TableProgress(table="Sales", status="InProgress", completed=1, objects=3),),
    more_tables=0,
)
FULL = RunState(
    run="a-r1",
    dataset_id=MODEL,
    incarnation=2,
    token="secret",
    limits=LIMITS,
    phase=Polling(),
    wait=2.5,
    scope=Scope(
        workspace_id="w",
        refresh=RefreshOptions(commit_mode="PartialBatch", objects=(TableRef("Sales", "2026"), TableRef("Stock"))),
        notify_option="MailOnFailure",
    ),
    permit=3,
    objects="digest",
    look=LOOK,
    late_after=AT,
    blocker=Blocker(refresh=BLOCKER, since=AT),
    calls=Calls(failures=2, failing_since=AT, last_error="HTTP 503"),
    posts=Posts(failing_since=AT, lost=1, lost_since=AT, drops=2, unproven=1),
    refresh=Followed(
        id="r",
        posted_at=AT,
        began_at=AT,
        visible_by=AT,
        adopted=True,
        after_loss=True,
        seen=True,
        durations=(60.0, 61.5, 62.0),
        progress=PROGRESS,
        objects="digest",
    ),
    outcome=Outcome(status="Failed", refresh_id="r", error=failure("RefreshFailed", MODEL)),
    priority="high",
    capacity=InGroup(
        group="P1", refreshes=2, number=3, since=AT, waits_or_holds=True, limit_reached=True, retry_after=60
    ),
)
"""A run with all fields set."""


def stored(run: RunState) -> Any:
    """The state of a run as the engine stores it."""
    return json.loads(json.dumps(encode(run)))


def with_unknown_keys(value: Any) -> Any:
    """The value with an additional key in each of its objects, as newer code may write it."""
    if isinstance(value, dict):
        if value == PROGRESS.by_status:
            return value  # values of Power BI, not fields
        return {**{key: with_unknown_keys(item) for key, item in value.items()}, "new": 1}
    return [with_unknown_keys(item) for item in value] if isinstance(value, list) else value


def test_the_list_has_each_phase() -> None:
    """The list of the tests has every phase, so the tests below cover all phases."""
    assert {type(phase) for phase in PHASES} == set(get_args(Phase))


def test_the_names_of_the_phases_are_stored() -> None:
    """The names must not change: inputs of older runs and queries of operators contain them."""
    names = {encode(phase)["phase"] for phase in PHASES}
    assert names == {
        "claiming", "looking", "reporting_blocker", "closing", "posting", "reconciling", "reopening", "dropping",
        "recording", "cancelling", "polling", "finishing", "starting_next", "notifying", "over",
        "taking_place", "waiting_for_place", "leaving_place", "waking",
    }  # fmt: skip


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: type(phase).__name__)
def test_a_run_in_each_phase_is_written_and_read_back(phase: Phase) -> None:
    """The state of a run is plain JSON, even when the run continues in a new history."""
    run = FULL.to(phase)
    assert decode(stored(run), RunState) == run
    assert decode(stored(continued(run)), RunState) == continued(run)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: type(phase).__name__)
def test_keys_of_newer_code_are_left_out_on_every_level(phase: Phase) -> None:
    """After a rollback, states of newer code are read without their additional keys."""
    run = FULL.to(phase)
    newer = with_unknown_keys(stored(run))
    assert newer["phase"]["new"] == newer["look"]["new"] == newer["refresh"]["progress"]["tables"][0]["new"] == 1
    assert newer["scope"]["refresh"]["objects"][0]["new"] == newer["limits"]["new"] == newer["outcome"]["new"] == 1
    assert decode(newer, RunState) == run


def test_keys_that_older_code_did_not_write_have_defaults() -> None:
    """After an upgrade, states of older code are read: the fields of a start are enough."""
    least = {"run": "a-r1", "dataset_id": MODEL, "incarnation": 1, "token": "secret"}
    run = decode(least, RunState)
    assert (run.phase, run.wait, run.calls, run.posts, run.refresh) == (Claiming(), 0, Calls(), Posts(), None)
    assert stored(run) == least


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: type(phase).__name__)
def test_each_phase_has_a_step_and_a_status(phase: Phase) -> None:
    """Orders and operations are the same after they are stored and read."""
    run = FULL.to(phase, wait=0)
    step = next_step(run, AT)
    if isinstance(phase, Over):
        assert isinstance(step, End)
    elif isinstance(phase, WaitingForPlace):
        assert isinstance(step, WaitForEvent)
    else:
        assert isinstance(step, Do | Ask | AskGroup)
        message = step.order if isinstance(step, Do) else step.operation
        assert decode(json.loads(json.dumps(encode(message))), type(message)) == message
    status = status_of(run, NOON)
    assert status.phase == encode(phase)["phase"]


def test_a_status_is_far_below_the_limit_of_the_engine() -> None:
    """A status has less than 2,000 characters. Above 16 KB in UTF-16, the orchestration would fail."""
    text = json.dumps(encode(status_of(FULL, NOON)))
    assert len(text) < 2_000
    assert '"expectedEnd"' in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "phase", [{"phase": "pondering"}, {"phase": "claiming", "then": {"phase": "pondering"}}, {"phase": "dropping"}, 5]
)
def test_an_unknown_phase_is_an_error(phase: object) -> None:
    """An unknown phase raises an exception of its own, so that the orchestrator can wait for an update instead of
    failing."""
    with pytest.raises(NotUnderstoodError):
        decode({**stored(FULL), "phase": phase}, RunState)


def test_a_change_affects_no_other_field() -> None:
    """A change affects neither other fields nor the original state."""
    changed = FULL.to(Posting(), permit=4)
    assert (changed.phase, changed.permit, changed.look) == (Posting(), 4, LOOK)
    assert (FULL.phase, FULL.permit) == (Polling(), 3)
    assert FULL.replace(permit=4, phase=Posting()) == changed
    with pytest.raises(AttributeError):
        changed.permit = 5  # type: ignore[misc]


def test_an_unknown_field_cannot_be_changed() -> None:
    """A change of an unknown field is an error. Otherwise a misspelt name would be lost silently."""
    with pytest.raises(TypeError, match="permits"):
        FULL.replace(permits=1)


RESULTS: tuple[orders.PostAnswer, ...] = (
    orders.Accepted(refresh_id="r"),
    orders.Appeared(refresh_id="r"),
    orders.Blocked(),
    orders.Busy(),
    orders.AnswerLost(error="reset", window=LostWindow(since=AT)),
    orders.Stale(),
    orders.Unwanted(requests=("a",)),
    orders.Throttled(seconds=5, error="HTTP 429"),
    orders.Unavailable(error="HTTP 503"),
    orders.Refused(failure=failure("NotAuthorized", MODEL)),
    orders.ActivityFailure(error="KeyError"),
)
ANSWERS: tuple[tuple[Any, Any], ...] = (
    (orders.HistoryRead(look=LOOK, running=BLOCKER, durations=(1.0,), changed=True), orders.ReadHistoryAnswer),
    (orders.HistoryRead(look=LOOK, adoptable="r"), orders.ReadHistoryAnswer),
    (orders.Throttled(seconds=5, error="HTTP 429"), orders.ReadHistoryAnswer),
    (orders.Unavailable(error="HTTP 503"), orders.ReadHistoryAnswer),
    (orders.Refused(failure=failure("NotAuthorized", MODEL)), orders.ReadHistoryAnswer),
    (orders.ActivityFailure(error="KeyError"), orders.ReadHistoryAnswer),
    *((orders.PostResult(execution="mine", result=result), orders.PostResult) for result in RESULTS),
    (orders.RefreshRead(began_at=AT, outcome=Outcome(status="Completed"), progress=PROGRESS), orders.ReadRefreshAnswer),
    (orders.RefreshAbsent(read_at=AT, rolled_over=True), orders.ReadRefreshAnswer),
    (orders.CancelAccepted(), orders.CancelAnswer),
    (orders.AlreadyEnded(), orders.CancelAnswer),
    (orders.Notified(count=3), orders.NotifyAnswer),
    (orders.RunRead(alive=True, last_error="HTTP 503"), orders.ReadRunAnswer),
)  # fmt: skip


@pytest.mark.parametrize(("answer", "union"), ANSWERS, ids=lambda value: type(value).__name__)
def test_answers_of_activities_are_read_back(answer: Any, union: Any) -> None:
    """Each answer is read as one of the answers to its order. Keys of newer activities are left out."""
    value = json.loads(json.dumps(encode(answer)))
    assert decode(value, union) == answer
    assert decode(with_unknown_keys(value), union) == answer


def test_the_answers_above_are_all_that_a_run_gets() -> None:
    """The answers above are all that exist, so the test covers them all."""
    unions = {id(union): union for _, union in ANSWERS}.values()
    assert {type(answer) for answer, _ in ANSWERS} == {kind for union in unions for kind in get_args(union) or [union]}
    assert {type(result) for result in RESULTS} == set(get_args(orders.PostAnswer))
