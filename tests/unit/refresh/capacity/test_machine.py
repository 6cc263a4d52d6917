"""A capacity group: which run gets a place, which run waits, late and repeated messages, and when the group closes."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from refresh.capacity.answers import Asker, Outdated, Placed, PlacesFree, TakeAnswer, Waits
from refresh.capacity.machine import EXTRA_TIME, LONGEST_CLOSED_SECONDS, MAX_WAITING, RECHECK_SECONDS, apply
from refresh.capacity.operations import FreePlaces, LeavePlace, TakePlace
from refresh.capacity.state import Group
from refresh.capacity.stored import SCHEMA, dump, handle, load
from refresh.failure.catalogue import ModelNames
from refresh.packed import UnreadableError
from refresh.queue.answers import Priority
from refresh.times import instant

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


class CheckedGroup:
    """A group, its clock, and messages of runs. After each operation, the state is stored and loaded, and the operation
    is repeated."""

    def __init__(self, refreshes: int = 1) -> None:
        self.refreshes = refreshes
        self.state = Group()
        self.now = NOON
        self.numbers: dict[str, int] = {}
        self.since: dict[str, str] = {}

    def pass_time(self, **amount: float) -> None:
        """Lets time pass."""
        self.now += timedelta(**amount)

    def asker(self, run: str, incarnation: int = 1, number: int | None = None) -> Asker:
        """The sender of a run's next message, or of a message with a given number."""
        if number is None:
            number = self.numbers[run] = self.numbers.get(run, 0) + 1
        return Asker(run=run, incarnation=incarnation, number=number)

    def take(self, run: str, priority: Priority = "normal", **facts: Any) -> TakeAnswer:
        """A run asks for a place. Its dataset has the name of the run."""
        number = facts.pop("number", None)
        asker = self.asker(run, facts.pop("incarnation", 1), number)
        since = self.since.setdefault(run, instant(self.now))
        operation = TakePlace(
            at=instant(self.now),
            asker=asker,
            dataset_id=facts.pop("dataset", run),
            workspace_id="w",
            refreshes=self.refreshes,
            wake_event=f"place-{asker.number}",
            since=since,
            priority=priority,
            names=ModelNames(model=f"model {run}"),
        )
        answer = self.apply(operation)
        assert isinstance(answer, Placed | Waits | Outdated)
        return answer

    def leave(self, run: str, **facts: Any) -> PlacesFree:
        """A run gives its place back, or leaves the line."""
        asker = self.asker(run, facts.pop("incarnation", 1), facts.pop("number", None))
        answer = self.apply(LeavePlace(at=instant(self.now), asker=asker, dataset_id=run, **facts))
        assert isinstance(answer, PlacesFree)
        return answer

    def free(self, *askers: Asker) -> PlacesFree:
        """The timer removes runs that have ended."""
        answer = self.apply(FreePlaces(at=instant(self.now), askers=askers))
        assert isinstance(answer, PlacesFree)
        return answer

    def apply(self, operation: TakePlace | LeavePlace | FreePlaces) -> object:
        """The answer to an operation. A repeat of it must not change the group."""
        before = msgspec.json.encode(self.state)
        after, answer = apply(self.state, operation, self.now)
        assert msgspec.json.encode(self.state) == before
        self.state = load(json.loads(json.dumps(dump(after)))) if after else Group()
        again, _ = apply(self.state, operation, self.now)
        repeated = again or Group()
        assert (repeated.places, [*repeated.waiting]) == (self.state.places, [*self.state.waiting])
        return answer

    @property
    def holders(self) -> list[str]:
        """The runs that have a place."""
        return list(self.state.places)


def test_no_more_runs_than_the_limit() -> None:
    """When all places are taken, the next run waits and learns which runs are ahead of it."""
    group = CheckedGroup(2)
    assert group.take("a") == Placed(since=instant(NOON), new=True)
    group.pass_time(seconds=1)
    assert isinstance(group.take("b"), Placed)
    group.pass_time(seconds=1)
    waits = group.take("c")
    assert isinstance(waits, Waits)
    assert (waits.position, waits.seconds, waits.since) == (0, RECHECK_SECONDS, instant(group.now))
    behind = [(other.run_id, other.model_name, other.holds_place) for other in waits.behind]
    assert behind == [("a", "model a", True), ("b", "model b", True)]
    last = group.take("d")
    assert isinstance(last, Waits)
    assert (last.position, last.behind[-1].run_id, last.behind[-1].holds_place) == (1, "c", False)


def test_a_place_that_is_given_back_goes_to_the_first_in_line() -> None:
    """The first run in line is notified. A later run that asks before it does not overtake it."""
    group = CheckedGroup()
    for run in "abc":
        group.take(run)
        group.pass_time(seconds=1)
    (wake,) = group.leave("a", completed=True).wake_ups
    assert (wake.instance, wake.event) == ("b-g1", "place-1")
    assert isinstance(group.take("c"), Waits)
    assert isinstance(group.take("b"), Placed)
    assert group.holders == ["b"]


def test_a_run_that_holds_a_place_gets_it_again() -> None:
    """A run that has a place keeps it when it asks again, in any incarnation."""
    group = CheckedGroup()
    assert group.take("a") == Placed(since=instant(NOON), new=True)
    group.pass_time(hours=1)
    assert group.take("a") == Placed(since=instant(NOON))
    group.numbers["a"] = 0
    assert group.take("a", incarnation=2) == Placed(since=instant(NOON))
    assert group.state.places["a"].stamp == (2, 1)


def test_a_further_incarnation_continues_the_wait_of_the_one_before() -> None:
    """The incarnation does not know when the run began to wait. The group does, so the run precedes later runs."""
    group = CheckedGroup()
    group.take("a")
    group.pass_time(seconds=1)
    group.take("b")
    began = group.since.pop("b")
    group.pass_time(seconds=1)
    group.take("c")
    group.pass_time(seconds=1)
    waits = group.take("b", incarnation=2)
    assert isinstance(waits, Waits)
    assert (waits.since, waits.position) == (began, 0)
    group.leave("a")
    assert isinstance(group.take("c"), Waits)
    assert group.take("b", incarnation=2) == Placed(since=instant(group.now), new=True)


def test_several_free_places_are_given_out_at_once() -> None:
    """If several places are free, several waiting runs are notified at once."""
    group = CheckedGroup(2)
    for run in "abcd":
        group.take(run)
        group.pass_time(seconds=1)
    group.leave("a")
    assert [wake.instance for wake in group.leave("b").wake_ups] == ["d-g1"], "c was notified when a left"
    placed = group.take("d")
    assert isinstance(placed, Placed)
    assert isinstance(group.take("c"), Placed)
    assert group.holders == ["d", "c"]


def test_priority_counts_as_half_an_hour_of_waiting() -> None:
    """A later run of high priority goes first, but not before a run that has waited long enough. So no run starves."""
    group = CheckedGroup()
    group.take("holder")
    runs: dict[str, Priority] = {"low": "low"}

    def all_ask() -> None:
        for run, priority in runs.items():
            group.take(run, priority)

    all_ask()
    group.pass_time(minutes=29)
    runs |= {"normal": "normal", "high": "high"}
    all_ask()
    assert group.state.in_order() == ["high", "normal", "low"]
    group.pass_time(minutes=32)
    runs |= {"higher": "high"}
    all_ask()
    group.pass_time(minutes=1)
    runs |= {"highest": "high"}
    all_ask()
    assert group.state.in_order() == ["high", "normal", "low", "higher", "highest"]


def test_a_run_whose_requests_become_more_urgent_moves_up() -> None:
    """A run to which a request of high priority is added moves up in the line."""
    group = CheckedGroup()
    for run in ("holder", "first", "second"):
        group.take(run)
        group.pass_time(seconds=1)
    assert group.state.in_order() == ["first", "second"]
    group.take("second", "high")
    assert group.state.in_order() == ["second", "first"]


def test_a_run_that_does_not_ask_in_time_is_overtaken() -> None:
    """A run that is overdue is overtaken. After another hour without a message, it leaves the line."""
    group = CheckedGroup()
    for run in ("holder", "dead"):
        group.take(run)
    group.pass_time(seconds=RECHECK_SECONDS)
    group.take("alive")
    group.leave("holder")
    assert isinstance(group.take("alive"), Waits), "the message of the first run may be late"
    group.pass_time(seconds=EXTRA_TIME.total_seconds() + 1)
    assert isinstance(group.take("alive"), Placed)
    assert group.state.in_order() == ["dead"]
    due = NOON + timedelta(seconds=RECHECK_SECONDS) + EXTRA_TIME
    for after, order in ((timedelta(minutes=59), ["other", "dead"]), (timedelta(minutes=61), ["other"])):
        group.now = due + after
        group.take("other")
        assert group.state.in_order() == order


def test_a_run_that_does_not_ask_in_time_is_behind_the_others() -> None:
    """The line has one order: the order in which the runs get places. So it agrees with the position that a run
    learns."""
    group = CheckedGroup()
    for run in ("holder", "dead", "alive"):
        group.take(run)
        group.pass_time(seconds=1)
    assert group.state.in_order() == ["dead", "alive"]
    group.pass_time(seconds=RECHECK_SECONDS + EXTRA_TIME.total_seconds())
    waits = group.take("alive")
    assert isinstance(waits, Waits)
    assert waits.position == group.state.in_order().index("alive") == 0
    assert group.state.in_order() == ["alive", "dead"]
    group.take("dead")
    assert group.state.in_order() == ["dead", "alive"]


def test_late_messages_change_nothing() -> None:
    """An old request for a place does not bring a run back, and an old return does not take its place away."""
    group = CheckedGroup()
    group.take("a", number=1)
    group.leave("a", number=2)
    assert group.take("a", number=1) == Outdated(number=2)
    assert group.holders == []
    group.take("a", number=3)
    group.leave("a", number=2)
    assert group.take("a", number=1) == Outdated(number=3)
    assert group.holders == ["a"]
    group.take("a", incarnation=2, number=1)
    assert group.leave("a", number=99) == PlacesFree()
    assert group.holders == ["a"]


def test_a_run_that_left_is_known_for_half_an_hour() -> None:
    """The engine cannot delay a duplicate for more than half an hour, so a run that left is known for that long."""
    group = CheckedGroup()
    group.take("a", number=1)
    group.leave("a", number=2)
    group.pass_time(minutes=29)
    assert isinstance(group.take("a", number=1), Outdated)
    group.pass_time(minutes=2)
    assert isinstance(group.take("a", number=1), Placed)


def test_places_of_runs_that_are_over_are_free() -> None:
    """The place of a run that has ended is free, unless the run has sent a message since it was checked."""
    group = CheckedGroup(2)
    group.take("a")
    group.take("b")
    group.free(Asker(run="a", incarnation=1, number=1))
    group.take("b")
    group.free(Asker(run="b", incarnation=1, number=1))
    assert group.holders == ["b"]


def test_a_place_that_the_timer_frees_is_announced_by_the_next_message() -> None:
    """The timer delivers no notifications, so no waiting run counts as notified. The next message of another run
    notifies it."""
    group = CheckedGroup(2)
    for run in ("a", "b", "c"):
        group.take(run)
    assert group.free(Asker(run="a", incarnation=1, number=1)) == PlacesFree()
    (wake,) = group.leave("b").wake_ups
    assert wake.instance == "c-g1"


def test_a_late_duplicate_announces_no_place() -> None:
    """The answer to a late duplicate is not read, so no waiting run counts as notified."""
    group = CheckedGroup(3)
    for run in ("a", "b", "other", "c"):
        group.take(run)
    group.leave("b", busy_until=instant(NOON + timedelta(minutes=1)))
    group.take("b")
    group.free(Asker(run="a", incarnation=1, number=1))
    assert group.leave("b", number=2) == PlacesFree()
    (wake,) = group.leave("other").wake_ups
    assert wake.instance == "c-g1"


def test_an_external_refresh_counts_while_it_is_seen() -> None:
    """An external refresh takes a place until the run of its own model asks for a place or has one, and until
    `busy_until` at the latest."""
    group = CheckedGroup()
    group.leave("a", busy_until=instant(NOON + timedelta(minutes=10)))
    assert isinstance(group.take("b"), Waits)
    placed = group.take("a")
    assert isinstance(placed, Placed), "the run of the model found it idle"
    group.leave("a", busy_until=instant(NOON + timedelta(minutes=10)))
    group.pass_time(minutes=11)
    assert isinstance(group.take("b"), Placed)


def test_a_capacity_that_has_reached_its_limits_is_left_alone() -> None:
    """The pauses are one minute, two minutes, up to fifteen minutes. A completed refresh resets them."""
    group = CheckedGroup()
    pauses = []
    for _ in range(6):
        group.take("a")
        closed_until = group.leave("a", limit_reached=True).closed_until
        assert closed_until is not None
        pauses.append((datetime.fromisoformat(closed_until) - group.now).total_seconds())
        waits = group.take("a")
        assert isinstance(waits, Waits)
        assert waits.closed_until == closed_until
        group.leave("a")
        group.now = datetime.fromisoformat(closed_until)
    assert pauses == [60, 120, 240, 480, 900, 900]
    group.take("a")
    group.leave("a", completed=True)
    group.take("a")
    closed_until = group.leave("a", limit_reached=True).closed_until
    assert closed_until == instant(group.now + timedelta(seconds=60))


def test_a_group_can_close_any_number_of_times_in_a_row() -> None:
    """The pause stays at its maximum, no matter how often the capacity has reached its limits."""
    group = CheckedGroup()
    group.take("a")
    group.state.closings = 1024
    closed_until = group.leave("a", limit_reached=True).closed_until
    assert closed_until == instant(group.now + timedelta(seconds=LONGEST_CLOSED_SECONDS))


def test_refusals_of_refreshes_that_ran_together_close_the_group_once() -> None:
    """Refusals of refreshes that ran together do not make the pause longer. Power BI may give the pause, within a
    limit."""
    group = CheckedGroup(3)
    for run in "abc":
        group.take(run)
    first = group.leave("a", limit_reached=True).closed_until
    group.pass_time(seconds=1)
    assert group.leave("b", limit_reached=True).closed_until == first
    assert group.leave("c", limit_reached=True, retry_after=1800.0).closed_until == instant(
        group.now + timedelta(seconds=1800)
    )
    group.pass_time(hours=2)
    group.take("a")
    longest = group.leave("a", limit_reached=True, retry_after=1e9).closed_until
    assert longest == instant(group.now + timedelta(hours=1))


def test_a_smaller_limit_applies_to_the_next_message() -> None:
    """If the limit becomes smaller, runs that already have places keep them."""
    group = CheckedGroup(3)
    for run in "abc":
        group.take(run)
    group.refreshes = 1
    group.take("d")
    for run in "ab":
        assert group.leave(run).wake_ups == ()
    assert isinstance(group.take("d"), Waits)
    group.leave("c")
    assert isinstance(group.take("d"), Placed)


def test_a_very_long_line_is_bounded() -> None:
    """Runs beyond the limit of the line are not stored. They ask again later, and none is refused."""
    group = CheckedGroup()
    group.take("holder")
    late = Group(at=instant(NOON), places=group.state.places)
    waiter = group.take("w")
    assert isinstance(waiter, Waits)
    late.waiting = {f"w{number}": group.state.waiting["w"] for number in range(MAX_WAITING)}
    group.state = late
    answer = group.take("more")
    assert isinstance(answer, Waits)
    assert (answer.position, len(group.state.waiting)) == (MAX_WAITING, MAX_WAITING)
    assert "packed" in dump(group.state)


def test_a_group_with_nothing_to_remember_is_deleted() -> None:
    """An unused group is deleted after half an hour without a message."""
    group = CheckedGroup()
    group.take("a")
    group.leave("a")
    group.pass_time(minutes=31)
    after, _ = apply(group.state, FreePlaces(at=instant(group.now), askers=()), group.now)
    assert after is None


def test_a_clock_that_is_wrong_closes_nothing_for_long() -> None:
    """A wrong clock of a sender or a wrong stored time does not close the group for long."""
    group = CheckedGroup()
    far = instant(NOON + timedelta(days=300))
    state = Group(at=instant(NOON), closed_until=far)
    operation = FreePlaces(at=far, askers=())
    after, answer = apply(state, operation, NOON)
    assert after is None
    assert answer == PlacesFree()
    with pytest.raises(ValueError, match="is not a time"):
        apply(group.state, FreePlaces(at="x", askers=()), NOON)


@pytest.mark.parametrize(
    ("stored", "name", "value"),
    [
        ({"schema": SCHEMA + 1}, "free_places", {"operation": "free_places", "at": instant(NOON), "askers": []}),
        ({"packed": "x"}, "free_places", {"operation": "free_places", "at": instant(NOON), "askers": []}),
        ({"places": 3}, "free_places", {"operation": "free_places", "at": instant(NOON), "askers": []}),
        ("", "unheard_of", {"operation": "unheard_of", "at": instant(NOON)}),
        ("", "take_place", {"operation": "free_places", "at": instant(NOON), "askers": []}),
        ("", "free_places", {"operation": "free_places", "at": "x", "askers": []}),
        ("", "free_places", None),
    ],
)
def test_what_newer_code_wrote_is_left_as_it_is(stored: object, name: str, value: object) -> None:
    """A state that newer code wrote is kept. The answer makes the sender try again."""
    handled = handle(stored, name, value, NOON)
    assert handled.answer == {"answer": "not_understood"}
    assert handled.state == ("keep" if stored else None)
    assert handled.problem
    if stored:
        with pytest.raises(UnreadableError):
            load(stored)
