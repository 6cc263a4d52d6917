"""A capacity group: which runs may refresh at the same time, and which run is next.

A pure state machine: `apply(group, operation, now) -> (group, answer)`; the entity around it only loads and stores. A
run gets a place only when it asks, so a dead waiting run takes none. A run keeps its place until it gives the place
back or a timer frees it (`FreePlaces`). The messages of a run are numbered, so duplicates and late messages change
nothing.
"""

from datetime import datetime, timedelta
from typing import assert_never

from refresh.capacity.answers import Asker, Outdated, Placed, PlacesFree, TakeAnswer, Waits
from refresh.capacity.operations import AnyGroupOperation, FreePlaces, LeavePlace, TakePlace
from refresh.capacity.state import Departure, External, Group, Place, Waiter
from refresh.ids import run_instance
from refresh.messages import replace
from refresh.queue.answers import WakeUp
from refresh.times import AHEAD, instant, parse_time, time_of

RECHECK_SECONDS = 60.0
"""After this time a waiting run asks again, even if it was not notified."""
EXTRA_TIME = timedelta(seconds=90)
"""The extra time in which a waiting run may still ask again before other runs overtake it. Recovery after a crash can
take this long."""
CLOSED_SECONDS, LONGEST_CLOSED_SECONDS = 60.0, 900.0
"""How long the group is closed after the first report that the capacity has reached its limits, and the maximum. The
time doubles with each further report."""
LONGEST_RETRY_AFTER = 3600.0
"""The longest pause that the group accepts from Power BI."""
REMEMBERED = timedelta(minutes=30)
"""How long the group remembers runs that have departed: longer than the engine can delay a duplicate of a message."""
DEAD_AFTER = timedelta(hours=1)
"""A waiting run is dropped if its next message is overdue by this time. A run that asks again later keeps its rank,
because its message contains the time when it first asked."""
MAX_WAITING = 2_000
"""The maximum number of stored waiting runs. Further runs keep asking, and are stored when there is room."""
MAX_DEPARTED = 2_000
NAMED_RUNS = 5
"""The maximum number of runs ahead that an answer names."""


def apply(group: Group, operation: AnyGroupOperation, now: datetime) -> tuple[Group | None, TakeAnswer | PlacesFree]:
    """Applies one operation. Returns the new group (None if it is empty) and the answer; `group` itself is not changed.

    The group's time is the latest time of a sender, limited by `now`, the host's clock, as in `refresh.queue.machine`.
    Raises ValueError if `at` is not a time.
    """
    sent = parse_time(operation.at)
    if sent is None:
        raise ValueError(f"{operation.at!r} is not a time")
    latest = now + AHEAD
    group = group.copy()
    group.at = min(max(group.at, instant(min(sent, latest))), instant(latest))
    _forget(group)
    answer = _answer(group, operation)
    return (None if group.is_empty else group), answer


def _answer(group: Group, operation: AnyGroupOperation) -> TakeAnswer | PlacesFree:
    match operation:
        case TakePlace():
            return _take(group, operation)
        case LeavePlace():
            return _leave(group, operation)
        case FreePlaces():
            return _free(group, operation)
        case _:
            assert_never(operation)


def _take(group: Group, operation: TakePlace) -> TakeAnswer:
    asker = operation.asker
    known = group.known_stamp(asker)
    if known is not None and (asker.stamp < known or _departure_stamp(group, asker) == asker.stamp):
        return Outdated(number=known[1])
    group.refreshes = operation.refreshes
    place = group.places.get(asker.run)
    if place is not None:
        group.places[asker.run] = replace(place, incarnation=asker.incarnation, number=asker.number)
        return Placed(since=place.at)
    group.departed.pop(asker.run, None)
    # the run has just looked at the model, and no external refresh is running
    group.external.pop(operation.dataset_id, None)
    waiter = _waiter(group, operation)
    if len(group.waiting) < MAX_WAITING or asker.run in group.waiting:
        group.waiting[asker.run] = waiter
    order = group.on_time()
    position = order.index(asker.run) if asker.run in order else len(order)
    if position < group.free:
        group.waiting.pop(asker.run, None)
        group.places[asker.run] = Place(
            dataset_id=operation.dataset_id,
            workspace_id=operation.workspace_id,
            incarnation=asker.incarnation,
            number=asker.number,
            at=group.at,
            model_name=operation.names.model,
        )
        return Placed(since=group.at, new=True, wake_ups=_wake_ups(group))
    return _waits(group, asker, waiter, position)


def _waiter(group: Group, operation: TakePlace) -> Waiter:
    """The waiting run. Its wait began with the first message of any of its incarnations."""
    asker, before = operation.asker, group.waiting.get(operation.asker.run)
    since = min(operation.since, group.at, *([before.since] if before else []))
    return Waiter(
        dataset_id=operation.dataset_id,
        workspace_id=operation.workspace_id,
        incarnation=asker.incarnation,
        number=asker.number,
        since=since,
        wake_event=operation.wake_event,
        due=instant(time_of(group.at) + timedelta(seconds=_recheck(group)) + EXTRA_TIME),
        priority=operation.priority,
        model_name=operation.names.model,
    )


def _waits(group: Group, asker: Asker, waiter: Waiter, position: int) -> Waits:
    return Waits(
        since=waiter.since,
        position=position,
        seconds=_recheck(group),
        behind=tuple(group.in_front(asker.run)[:NAMED_RUNS]),
        closed_until=group.closed_until if group.closed else None,
    )


def _recheck(group: Group) -> float:
    """Seconds after which a waiting run asks again: the usual time, or when the group opens if that is sooner."""
    if not group.closed:
        return RECHECK_SECONDS
    opens_in = (time_of(group.closed_until) - time_of(group.at)).total_seconds()
    return min(max(opens_in, 2.0), RECHECK_SECONDS)


def _leave(group: Group, operation: LeavePlace) -> PlacesFree:
    asker = operation.asker
    known = group.known_stamp(asker)
    if known is not None and asker.stamp < known:
        # a late duplicate: its answer is not read
        return _places_free(group)
    if _departure_stamp(group, asker) == asker.stamp:
        # a repetition, because the engine lost the first answer
        return _places_free(group, wake_ups=_wake_ups(group))
    group.places.pop(asker.run, None)
    group.waiting.pop(asker.run, None)
    group.departed[asker.run] = Departure(group.at, asker.incarnation, asker.number)
    while len(group.departed) > MAX_DEPARTED:
        del group.departed[next(iter(group.departed))]
    if operation.busy_until is None:
        group.external.pop(operation.dataset_id, None)
    elif operation.busy_until > group.at:
        group.external[operation.dataset_id] = External(until=operation.busy_until, model_name=operation.names.model)
    if operation.limit_reached:
        _close(group, operation.retry_after)
    elif operation.completed and not group.closed:
        group.closings = 0
    return _places_free(group, wake_ups=_wake_ups(group))


def _close(group: Group, retry_after: float | None) -> None:
    """Closes the group. Each further report that the capacity has reached its limits doubles the time, up to a maximum.

    A report that arrives while the group is closed belongs to an earlier refresh and is not counted.
    """
    if not group.closed:
        group.closings += 1
    # the exponent is limited, because a float would overflow
    pause = min(CLOSED_SECONDS * 2 ** min(group.closings - 1, 10), LONGEST_CLOSED_SECONDS)
    pause = max(pause, min(retry_after or 0.0, LONGEST_RETRY_AFTER))
    until = instant(time_of(group.at) + timedelta(seconds=pause))
    if not group.closed or retry_after:
        group.closed_until = max(until, group.closed_until)


def _free(group: Group, operation: FreePlaces) -> PlacesFree:
    for asker in operation.askers:
        place, waiter = group.places.get(asker.run), group.waiting.get(asker.run)
        if place is not None and place.stamp <= asker.stamp:
            del group.places[asker.run]
        if waiter is not None and waiter.stamp <= asker.stamp:
            del group.waiting[asker.run]
    # without `wake_ups`: the timer sends this as a signal, so the answer is not read, and no notification is delivered
    return _places_free(group)


def _places_free(group: Group, wake_ups: tuple[WakeUp, ...] = ()) -> PlacesFree:
    return PlacesFree(wake_ups=wake_ups, closed_until=group.closed_until if group.closed else None)


def _departure_stamp(group: Group, asker: Asker) -> tuple[int, int] | None:
    departure = group.departed.get(asker.run)
    return departure.stamp if departure else None


def _wake_ups(group: Group) -> tuple[WakeUp, ...]:
    """The runs that can have a place now and have not been notified yet. They count as notified, so the sender of the
    operation has to notify them."""
    woken = []
    for run in group.on_time()[: group.free]:
        waiter = group.waiting[run]
        if not waiter.woken:
            woken.append(WakeUp(instance=run_instance(run, waiter.incarnation), event=waiter.wake_event))
            group.waiting[run] = replace(waiter, woken=True)
    return tuple(woken)


def _forget(group: Group) -> None:
    """Removes expired entries, by the time of the operation."""
    now = time_of(group.at)
    departed_since, due_since = instant(now - REMEMBERED), instant(now - DEAD_AFTER)
    group.departed = {run: entry for run, entry in group.departed.items() if departed_since <= entry.at <= group.at}
    group.external = {dataset: seen for dataset, seen in group.external.items() if seen.until > group.at}
    group.waiting = {run: waiter for run, waiter in group.waiting.items() if waiter.due >= due_since}
    longest = instant(now + timedelta(seconds=LONGEST_RETRY_AFTER))
    if not group.closed or group.closed_until > longest:
        # the time has passed, or a wrong clock set it
        group.closed_until = ""
