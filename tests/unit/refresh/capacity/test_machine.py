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


class Desk:
    """A group, its clock, and messages of runs. After each operation, the state is stored and loaded, and the operation
    is repeated."""

    def __init__(self, refreshes: int = 1) -> None:
        self.refreshes = refreshes
        self.group = Group()
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
        before = msgspec.json.encode(self.group)
        after, answer = apply(self.group, operation, self.now)
        assert msgspec.json.encode(self.group) == before
        self.group = load(json.loads(json.dumps(dump(after)))) if after else Group()
        again, _ = apply(self.group, operation, self.now)
        repeated = again or Group()
        assert (repeated.places, [*repeated.waiting]) == (self.group.places, [*self.group.waiting])
        return answer

    @property
    def holders(self) -> list[str]:
        """The runs that have a place."""
        return list(self.group.places)


def test_no_more_runs_than_the_limit() -> None:
    """When all places are taken, the next run waits and learns which runs are ahead of it."""
    desk = Desk(2)
    assert desk.take("a") == Placed(since=instant(NOON), new=True)
    desk.pass_time(seconds=1)
    assert isinstance(desk.take("b"), Placed)
    desk.pass_time(seconds=1)
    waits = desk.take("c")
    assert isinstance(waits, Waits)
    assert (waits.position, waits.seconds, waits.since) == (0, RECHECK_SECONDS, instant(desk.now))
    behind = [(other.run_id, other.model_name, other.holds_place) for other in waits.behind]
    assert behind == [("a", "model a", True), ("b", "model b", True)]
    last = desk.take("d")
    assert isinstance(last, Waits)
    assert (last.position, last.behind[-1].run_id, last.behind[-1].holds_place) == (1, "c", False)


def test_a_place_that_is_given_back_goes_to_the_first_in_line() -> None:
    """The first run in line is notified. A later run that asks before it does not overtake it."""
    desk = Desk()
    for run in "abc":
        desk.take(run)
        desk.pass_time(seconds=1)
    (wake,) = desk.leave("a", completed=True).wake_ups
    assert (wake.instance, wake.event) == ("b-g1", "place-1")
    assert isinstance(desk.take("c"), Waits)
    assert isinstance(desk.take("b"), Placed)
    assert desk.holders == ["b"]


def test_a_run_that_holds_a_place_gets_it_again() -> None:
    """A run that has a place keeps it when it asks again, in any incarnation."""
    desk = Desk()
    assert desk.take("a") == Placed(since=instant(NOON), new=True)
    desk.pass_time(hours=1)
    assert desk.take("a") == Placed(since=instant(NOON))
    desk.numbers["a"] = 0
    assert desk.take("a", incarnation=2) == Placed(since=instant(NOON))
    assert desk.group.places["a"].stamp == (2, 1)


def test_a_further_incarnation_continues_the_wait_of_the_one_before() -> None:
    """The incarnation does not know when the run began to wait. The group does, so the run precedes later runs."""
    desk = Desk()
    desk.take("a")
    desk.pass_time(seconds=1)
    desk.take("b")
    began = desk.since.pop("b")
    desk.pass_time(seconds=1)
    desk.take("c")
    desk.pass_time(seconds=1)
    waits = desk.take("b", incarnation=2)
    assert isinstance(waits, Waits)
    assert (waits.since, waits.position) == (began, 0)
    desk.leave("a")
    assert isinstance(desk.take("c"), Waits)
    assert desk.take("b", incarnation=2) == Placed(since=instant(desk.now), new=True)


def test_several_free_places_are_given_out_at_once() -> None:
    """If several places are free, several waiting runs are notified at once."""
    desk = Desk(2)
    for run in "abcd":
        desk.take(run)
        desk.pass_time(seconds=1)
    desk.leave("a")
    assert [wake.instance for wake in desk.leave("b").wake_ups] == ["d-g1"], "c was notified when a left"
    placed = desk.take("d")
    assert isinstance(placed, Placed)
    assert isinstance(desk.take("c"), Placed)
    assert desk.holders == ["d", "c"]


def test_priority_counts_as_half_an_hour_of_waiting() -> None:
    """A later run of high priority goes first, but not before a run that has waited long enough. So no run starves."""
    desk = Desk()
    desk.take("holder")
    runs: dict[str, Priority] = {"low": "low"}

    def all_ask() -> None:
        for run, priority in runs.items():
            desk.take(run, priority)

    all_ask()
    desk.pass_time(minutes=29)
    runs |= {"normal": "normal", "high": "high"}
    all_ask()
    assert desk.group.in_order() == ["high", "normal", "low"]
    desk.pass_time(minutes=32)
    runs |= {"higher": "high"}
    all_ask()
    desk.pass_time(minutes=1)
    runs |= {"highest": "high"}
    all_ask()
    assert desk.group.in_order() == ["high", "normal", "low", "higher", "highest"]


def test_a_run_whose_requests_become_more_urgent_moves_up() -> None:
    """A run to which a request of high priority is added moves up in the line."""
    desk = Desk()
    for run in ("holder", "first", "second"):
        desk.take(run)
        desk.pass_time(seconds=1)
    assert desk.group.in_order() == ["first", "second"]
    desk.take("second", "high")
    assert desk.group.in_order() == ["second", "first"]


def test_a_run_that_does_not_ask_in_time_is_overtaken() -> None:
    """A run that is overdue is overtaken. After another hour without a message, it leaves the line."""
    desk = Desk()
    for run in ("holder", "dead"):
        desk.take(run)
    desk.pass_time(seconds=RECHECK_SECONDS)
    desk.take("alive")
    desk.leave("holder")
    assert isinstance(desk.take("alive"), Waits), "the message of the first run may be late"
    desk.pass_time(seconds=EXTRA_TIME.total_seconds() + 1)
    assert isinstance(desk.take("alive"), Placed)
    assert desk.group.in_order() == ["dead"]
    due = NOON + timedelta(seconds=RECHECK_SECONDS) + EXTRA_TIME
    for after, order in ((timedelta(minutes=59), ["other", "dead"]), (timedelta(minutes=61), ["other"])):
        desk.now = due + after
        desk.take("other")
        assert desk.group.in_order() == order


def test_a_run_that_does_not_ask_in_time_is_behind_the_others() -> None:
    """The line has one order: the order in which the runs get places. So it agrees with the position that a run
    learns."""
    desk = Desk()
    for run in ("holder", "dead", "alive"):
        desk.take(run)
        desk.pass_time(seconds=1)
    assert desk.group.in_order() == ["dead", "alive"]
    desk.pass_time(seconds=RECHECK_SECONDS + EXTRA_TIME.total_seconds())
    waits = desk.take("alive")
    assert isinstance(waits, Waits)
    assert waits.position == desk.group.in_order().index("alive") == 0
    assert desk.group.in_order() == ["alive", "dead"]
    desk.take("dead")
    assert desk.group.in_order() == ["dead", "alive"]


def test_late_messages_change_nothing() -> None:
    """An old request for a place does not bring a run back, and an old return does not take its place away."""
    desk = Desk()
    desk.take("a", number=1)
    desk.leave("a", number=2)
    assert desk.take("a", number=1) == Outdated(number=2)
    assert desk.holders == []
    desk.take("a", number=3)
    desk.leave("a", number=2)
    assert desk.take("a", number=1) == Outdated(number=3)
    assert desk.holders == ["a"]
    desk.take("a", incarnation=2, number=1)
    assert desk.leave("a", number=99) == PlacesFree()
    assert desk.holders == ["a"]


def test_a_run_that_left_is_known_for_half_an_hour() -> None:
    """The engine cannot delay a duplicate for more than half an hour, so a run that left is known for so long."""
    desk = Desk()
    desk.take("a", number=1)
    desk.leave("a", number=2)
    desk.pass_time(minutes=29)
    assert isinstance(desk.take("a", number=1), Outdated)
    desk.pass_time(minutes=2)
    assert isinstance(desk.take("a", number=1), Placed)


def test_places_of_runs_that_are_over_are_free() -> None:
    """The place of a run that has ended is free, unless the run has sent a message since it was checked."""
    desk = Desk(2)
    desk.take("a")
    desk.take("b")
    desk.free(Asker(run="a", incarnation=1, number=1))
    desk.take("b")
    desk.free(Asker(run="b", incarnation=1, number=1))
    assert desk.holders == ["b"]


def test_a_place_that_the_timer_frees_is_announced_by_the_next_message() -> None:
    """The timer delivers no notifications, so no waiting run counts as notified. The next message of another run
    notifies it."""
    desk = Desk(2)
    for run in ("a", "b", "c"):
        desk.take(run)
    assert desk.free(Asker(run="a", incarnation=1, number=1)) == PlacesFree()
    (wake,) = desk.leave("b").wake_ups
    assert wake.instance == "c-g1"


def test_a_late_duplicate_announces_no_place() -> None:
    """The answer to a late duplicate is not read, so no waiting run counts as notified."""
    desk = Desk(3)
    for run in ("a", "b", "other", "c"):
        desk.take(run)
    desk.leave("b", busy_until=instant(NOON + timedelta(minutes=1)))
    desk.take("b")
    desk.free(Asker(run="a", incarnation=1, number=1))
    assert desk.leave("b", number=2) == PlacesFree()
    (wake,) = desk.leave("other").wake_ups
    assert wake.instance == "c-g1"


def test_an_external_refresh_counts_while_it_is_seen() -> None:
    """An external refresh takes a place until the run of its own model asks or has a place. It expires."""
    desk = Desk()
    desk.leave("a", busy_until=instant(NOON + timedelta(minutes=10)))
    assert isinstance(desk.take("b"), Waits)
    placed = desk.take("a")
    assert isinstance(placed, Placed), "the run of the model found it idle"
    desk.leave("a", busy_until=instant(NOON + timedelta(minutes=10)))
    desk.pass_time(minutes=11)
    assert isinstance(desk.take("b"), Placed)


def test_a_capacity_that_has_reached_its_limits_is_left_alone() -> None:
    """The pauses are one minute, two minutes, up to fifteen minutes. A completed refresh resets them."""
    desk = Desk()
    pauses = []
    for _ in range(6):
        desk.take("a")
        closed_until = desk.leave("a", limit_reached=True).closed_until
        assert closed_until is not None
        pauses.append((datetime.fromisoformat(closed_until) - desk.now).total_seconds())
        waits = desk.take("a")
        assert isinstance(waits, Waits)
        assert waits.closed_until == closed_until
        desk.leave("a")
        desk.now = datetime.fromisoformat(closed_until)
    assert pauses == [60, 120, 240, 480, 900, 900]
    desk.take("a")
    desk.leave("a", completed=True)
    desk.take("a")
    closed_until = desk.leave("a", limit_reached=True).closed_until
    assert closed_until == instant(desk.now + timedelta(seconds=60))


def test_a_group_can_close_any_number_of_times_in_a_row() -> None:
    """The pause stays at its maximum, no matter how often the capacity has reached its limits."""
    desk = Desk()
    desk.take("a")
    desk.group.closings = 1024
    closed_until = desk.leave("a", limit_reached=True).closed_until
    assert closed_until == instant(desk.now + timedelta(seconds=LONGEST_CLOSED_SECONDS))


def test_refusals_of_refreshes_that_ran_together_close_the_group_once() -> None:
    """Refusals of refreshes that ran together do not make the pause longer. Power BI may give the pause, within a
    limit."""
    desk = Desk(3)
    for run in "abc":
        desk.take(run)
    first = desk.leave("a", limit_reached=True).closed_until
    desk.pass_time(seconds=1)
    assert desk.leave("b", limit_reached=True).closed_until == first
    assert desk.leave("c", limit_reached=True, retry_after=1800.0).closed_until == instant(
        desk.now + timedelta(seconds=1800)
    )
    desk.pass_time(hours=2)
    desk.take("a")
    longest = desk.leave("a", limit_reached=True, retry_after=1e9).closed_until
    assert longest == instant(desk.now + timedelta(hours=1))


def test_a_smaller_bound_holds_from_the_next_question_on() -> None:
    """If the bound becomes smaller, runs that already have places keep them."""
    desk = Desk(3)
    for run in "abc":
        desk.take(run)
    desk.refreshes = 1
    desk.take("d")
    for run in "ab":
        assert desk.leave(run).wake_ups == ()
    assert isinstance(desk.take("d"), Waits)
    desk.leave("c")
    assert isinstance(desk.take("d"), Placed)


def test_a_very_long_line_is_bounded() -> None:
    """Runs beyond the limit of the line are not stored. They ask again later, and none is refused."""
    desk = Desk()
    desk.take("holder")
    late = Group(at=instant(NOON), places=desk.group.places)
    waiter = desk.take("w")
    assert isinstance(waiter, Waits)
    late.waiting = {f"w{number}": desk.group.waiting["w"] for number in range(MAX_WAITING)}
    desk.group = late
    answer = desk.take("more")
    assert isinstance(answer, Waits)
    assert (answer.position, len(desk.group.waiting)) == (MAX_WAITING, MAX_WAITING)
    assert "packed" in dump(desk.group)


def test_a_group_with_nothing_to_remember_is_deleted() -> None:
    """An unused group is deleted after half an hour without a message."""
    desk = Desk()
    desk.take("a")
    desk.leave("a")
    desk.pass_time(minutes=31)
    after, _ = apply(desk.group, FreePlaces(at=instant(desk.now), askers=()), desk.now)
    assert after is None


def test_a_clock_that_is_wrong_closes_nothing_for_long() -> None:
    """A wrong clock of a sender or a wrong stored time does not close the group for long."""
    desk = Desk()
    far = instant(NOON + timedelta(days=300))
    group = Group(at=instant(NOON), closed_until=far)
    operation = FreePlaces(at=far, askers=())
    after, answer = apply(group, operation, NOON)
    assert after is None
    assert answer == PlacesFree()
    with pytest.raises(ValueError, match="is not a time"):
        apply(desk.group, FreePlaces(at="x", askers=()), NOON)


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
