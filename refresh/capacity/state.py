"""The state of a capacity group: runs with a place, waiting runs, and external refreshes.

Plain data with query methods, and the order of waiting runs.
"""

from datetime import timedelta

import msgspec

from refresh.capacity.answers import Asker, OtherRun
from refresh.queue.answers import Priority
from refresh.times import instant, time_of

LEVEL = timedelta(minutes=30)
"""How much a priority counts: a run is treated as if it had asked this much earlier or later. So the order also depends
on age, and every run gets its place: a run of high priority overtakes only those runs of low priority that asked up to
an hour before it."""
LEVELS: dict[Priority, int] = {"low": -1, "normal": 0, "high": 1}


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place of a run. `incarnation` and `number` are those of its last message; `at`: when it got the place."""

    dataset_id: str
    workspace_id: str
    incarnation: int
    number: int
    at: str
    model_name: str | None = None

    @property
    def stamp(self) -> tuple[int, int]:
        """See `Asker.stamp`."""
        return self.incarnation, self.number


class Waiter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A waiting run. `wake_event`: the event that it waits for. `due`: the time by which it sends its next
    message, unless it is dead.

    `woken`: the run was notified that it can have a place.
    """

    dataset_id: str
    workspace_id: str
    incarnation: int
    number: int
    since: str
    wake_event: str = msgspec.field(name="wake")  # the stored key
    due: str
    priority: Priority = "normal"
    model_name: str | None = None
    woken: bool = False

    @property
    def stamp(self) -> tuple[int, int]:
        """See `Asker.stamp`."""
        return self.incarnation, self.number

    @property
    def rank(self) -> str:
        """The sort key of waiting runs: the time of the first message, shifted by the priority."""
        return instant(time_of(self.since) - LEVELS[self.priority] * LEVEL)


class Departure(msgspec.Struct, frozen=True, array_like=True):
    """A run that gave its place back, or stopped waiting: stored so that late duplicates change nothing."""

    at: str
    incarnation: int
    number: int

    @property
    def stamp(self) -> tuple[int, int]:
        """See `Asker.stamp`."""
        return self.incarnation, self.number


class External(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An external refresh that a run saw, and the time until which it takes a place."""

    until: str
    model_name: str | None = None


class Group(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of one group. `at` is the time of its last operation (ISO 8601 UTC).

    The keys of `places`, `waiting` and `departed` are runs, those of `external` datasets. `closings`: how many times in
    a row Power BI reported that the capacity has reached its limits; `closed_until`: no run gets a place before this
    time.
    """

    at: str = ""
    refreshes: int = 1
    places: dict[str, Place] = msgspec.field(default_factory=dict)
    waiting: dict[str, Waiter] = msgspec.field(default_factory=dict)
    external: dict[str, External] = msgspec.field(default_factory=dict)
    departed: dict[str, Departure] = msgspec.field(default_factory=dict, name="left")  # the stored key
    closings: int = 0
    closed_until: str = ""

    def copy(self) -> "Group":
        """A copy that can be changed."""
        return msgspec.structs.replace(
            self,
            places={**self.places},
            waiting={**self.waiting},
            external={**self.external},
            departed={**self.departed},
        )

    @property
    def is_empty(self) -> bool:
        """Whether the group has nothing to store."""
        return not (self.places or self.waiting or self.external or self.departed or self.closed)

    @property
    def closed(self) -> bool:
        """Whether the group is closed: no run gets a place."""
        return self.closed_until > self.at

    @property
    def counted_external(self) -> dict[str, External]:
        """The external refreshes that take a place: only refreshes of models for which no run has a place."""
        ours = {place.dataset_id for place in self.places.values()}
        return {dataset: seen for dataset, seen in self.external.items() if dataset not in ours}

    @property
    def free(self) -> int:
        """The number of free places."""
        if self.closed:
            return 0
        return max(0, self.refreshes - len(self.places) - len(self.counted_external))

    def in_order(self) -> list[str]:
        """The waiting runs in the order in which they get places.

        Those that did not ask again in time come last: others overtake such a run until it asks.
        """
        return sorted(self.waiting, key=lambda run: (self._overdue(run), self.waiting[run].rank, run))

    def on_time(self) -> list[str]:
        """The waiting runs in their order, without those that did not ask again in time."""
        return [run for run in self.in_order() if not self._overdue(run)]

    def _overdue(self, run: str) -> bool:
        return self.waiting[run].due < self.at

    def in_front(self, run: str) -> list[OtherRun]:
        """The runs that hold places, then the waiting runs ahead of this one."""
        order = self.on_time()
        before = order[: order.index(run)] if run in order else order
        holders = sorted(self.places.items(), key=lambda entry: (entry[1].at, entry[0]))
        return [
            *(
                OtherRun(
                    run_id=name,
                    dataset_id=place.dataset_id,
                    model_name=place.model_name,
                    since=place.at,
                    holds_place=True,
                )
                for name, place in holders
            ),
            *(
                OtherRun(
                    run_id=name,
                    dataset_id=self.waiting[name].dataset_id,
                    model_name=self.waiting[name].model_name,
                    since=self.waiting[name].since,
                )
                for name in before
            ),
        ]

    def known_stamp(self, asker: Asker) -> tuple[int, int] | None:
        """The stamp of the last message of a run; None if the group does not know the run."""
        run = asker.run
        known = [entries[run].stamp for entries in (self.places, self.waiting, self.departed) if run in entries]
        return max(known, default=None)
