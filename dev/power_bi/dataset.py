"""One semantic model: its refreshes, the rules for starting them, its history, and the counted calls."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dev.power_bi import checks
from dev.power_bi.checks import Check, Range
from dev.power_bi.faults import OF_A_MODEL
from dev.power_bi.knobs import REFRESH_TYPES, Knobs, Outcome, outcome, visibility
from dev.power_bi.lifecycle import SHARED_LIMIT, STANDARD_LIMIT, Refresh, limited
from dev.power_bi.options import StartOptions

Json = dict[str, Any]

MAX_ROWS = 60
_SURE_ROWS, _SURE_AGE = 20, timedelta(days=3)
_VALIDATION_SECONDS = 2.0
_POLICY_MESSAGE = (
    "RefreshApiRequest for table refresh using refresh policy must have the property 'CommitMode' = 'Transactional' "
    "instead of 'PartialBatch'."
)
_EXTERNAL: Mapping[str, Check] = {
    "refreshType": checks.one_of(*REFRESH_TYPES),
    "seconds": checks.seconds,
    "outcome": outcome,
    "startsIn": checks.number(-checks.YEAR, checks.YEAR),
    "visibilitySeconds": visibility,
    "blocks": checks.flag,
}
EXTERNAL_KEYS = tuple(_EXTERNAL)


@dataclass
class Planned:
    """An external refresh that has not started."""

    at: datetime
    values: Json


@dataclass
class Dataset:
    """One model. All its random values come from `chance`, so that calls to other models do not affect it."""

    chance: random.Random
    refreshes: list[Refresh] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    outcomes_used: int = 0
    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OF_A_MODEL, 0))
    accepted: int = 0
    dropped: list[str] = field(default_factory=list)
    """Request ids that were accepted with 202 and then dropped."""

    def advance(self, now: datetime, knobs: Knobs) -> None:
        """Starts the planned refreshes that are due. A refresh that excludes others waits until no such refresh is
        running."""
        for entry in self.refreshes:
            entry.settle(now)
        for plan in sorted(self.planned, key=lambda plan: plan.at):
            blocks = plan.values.get("blocks", plan.values.get("refreshType") != "DirectLakeFraming")
            start: datetime | None = plan.at
            while start and start <= now and blocks and (busy := self._busy(start)):
                start = busy.end
            if start and start <= now:
                self.planned.remove(plan)
                self.refreshes.append(self._external(plan.values, blocks, start, knobs))

    def running(self, now: datetime) -> list[Refresh]:
        """The running refreshes that exclude others."""
        return [entry for entry in self.refreshes if entry.blocks and not entry.has_ended(now)]

    def used_of_daily_limit(self, now: datetime) -> int:
        """The refreshes of the last 24 hours that count for the daily limit: scheduled ones, and those through the
        API."""
        since = now - timedelta(days=1)
        return sum(1 for e in self.refreshes if e.start > since and e.refresh_type in ("ViaApi", "Scheduled"))

    def start(self, options: StartOptions, now: datetime, knobs: Knobs, after: Refresh | None) -> Refresh:
        """A new refresh through the API, queued behind `after` if that is given."""
        outcome = self._next_outcome(knobs)
        limit = options.timeout if options.enhanced else SHARED_LIMIT if knobs.capacity == "shared" else STANDARD_LIMIT
        outcome, seconds = limited(outcome, self._seconds(outcome, knobs), limit, options.retries)
        if options.enhanced and (why := _against_policy(options, knobs)):
            outcome, seconds = _refused_by_policy(why), _VALIDATION_SECONDS
        refresh = self._new(
            outcome,
            seconds,
            now,
            knobs,
            knobs.visibility_seconds,
            refresh_type=knobs.recorded_as or ("ViaEnhancedApi" if options.enhanced else "ViaApi"),
            enhanced=options.enhanced,
            type=options.type,
            commit_mode=options.commit_mode,
            objects=options.objects or knobs.objects,
            body=options.body,
            after=after,
        )
        self.refreshes.append(refresh)
        return refresh

    def plan(self, values: object, now: datetime) -> None:
        """Plans an external refresh from a JSON object with EXTERNAL_KEYS. Raises BadControl."""
        found = checks.checked(values, _EXTERNAL, "external")
        self.planned.append(Planned(now + timedelta(seconds=found.get("startsIn", 0.0)), found))

    def listed(self, now: datetime) -> list[Refresh]:
        """The history, newest first: the newest 20, then those of the last three days, at most 60 in all."""
        visible = [entry for entry in self.refreshes if entry.listed_from and entry.listed_from <= now]
        visible.sort(key=lambda entry: (entry.start, entry.number), reverse=True)
        newest = enumerate(visible[:MAX_ROWS])
        return [entry for place, entry in newest if place < _SURE_ROWS or now - entry.start <= _SURE_AGE]

    def found(self, request_id: str, now: datetime, knobs: Knobs) -> Refresh | None:
        """The refresh with this id, if it can be read by its id at this time."""
        for entry in self.refreshes:
            if entry.request_id == request_id.lower() and entry.details_from and entry.details_from <= now:
                return entry if entry.enhanced or knobs.details_of_standard else None
        return None

    def draw(self, between: Range) -> float:
        """A random number of seconds from a range, rounded to milliseconds; the value itself if both bounds are
        equal."""
        low, high = between
        return low if low == high else round(self.chance.uniform(low, high), 3)

    def new_id(self) -> str:
        """A GUID."""
        return str(UUID(int=self.chance.getrandbits(128), version=4))

    def _busy(self, at: datetime) -> Refresh | None:
        return next((e for e in self.refreshes if e.blocks and e.start <= at and not e.has_ended(at)), None)

    def _external(self, values: Json, blocks: bool, start: datetime, knobs: Knobs) -> Refresh:
        outcome: Outcome = values.get("outcome", Outcome())
        if "seconds" in values:
            outcome = replace(outcome, seconds=values["seconds"])
        refresh_type = values.get("refreshType", "Scheduled")
        delay = values.get("visibilitySeconds", knobs.visibility_seconds)
        # the objects of its outcome are shown from the start, but without their final status
        objects = tuple({k: v for k, v in entry.items() if k != "status"} for entry in outcome.objects or ())
        return self._new(
            outcome,
            self._seconds(outcome, knobs),
            start,
            knobs,
            delay,
            refresh_type=refresh_type,
            enhanced=refresh_type == "ViaEnhancedApi",
            objects=objects or knobs.objects,
            external=True,
            blocks=blocks,
        )

    def _new(
        self, outcome: Outcome, seconds: float, start: datetime, knobs: Knobs, delay: Range | None, **facts: Any
    ) -> Refresh:
        def after(range_: Range | None) -> datetime | None:
            return None if range_ is None else start + timedelta(seconds=self.draw(range_))

        return Refresh(
            request_id=self.new_id(),
            number=900_000_000 + len(self.refreshes),
            start=start,
            seconds=seconds,
            not_started_seconds=min(self.draw(knobs.not_started_seconds), seconds),
            outcome=outcome,
            listed_from=after(delay),
            details_from=after(knobs.details_visibility_seconds),
            **facts,
        )

    def _next_outcome(self, knobs: Knobs) -> Outcome:
        """The outcomes of the knob in order; the last one repeats."""
        outcome = knobs.outcome[min(self.outcomes_used, len(knobs.outcome) - 1)]
        self.outcomes_used += 1
        return outcome

    def _seconds(self, outcome: Outcome, knobs: Knobs) -> float:
        if outcome.seconds is None and outcome.outcome == "Disabled":
            return 0.0
        return self.draw(outcome.seconds or knobs.seconds)


def _against_policy(options: StartOptions, knobs: Knobs) -> str | None:
    """The error for options that conflict with refresh policies; None if they do not."""
    if options.commit_mode == "PartialBatch" and options.apply_refresh_policy:
        return _POLICY_MESSAGE
    objects = options.objects or knobs.objects
    policies = [entry for entry in objects if entry["table"] in knobs.refresh_policies]
    if options.effective_date and not (policies and options.apply_refresh_policy):
        return "RefreshApiRequest has the property 'EffectiveDate', but no table with a refresh policy."
    if not policies or not options.apply_refresh_policy:
        return None
    table = policies[0]["table"]
    if any("partition" in entry for entry in options.objects if entry["table"] == table):
        return f"Partitions of table '{table}' cannot be refreshed with 'ApplyRefreshPolicy', it has a refresh policy."
    if options.type in ("Calculate", "ClearValues", "Defragment"):
        return f"Refresh type '{options.type}' cannot be combined with the refresh policy of table '{table}'."
    return None


def _refused_by_policy(why: str) -> Outcome:
    return Outcome(
        "Failed",
        error_code="ModelRefresh_ShortMessage_ProcessingError",
        messages=({"message": why, "type": "Error"},),
    )


def history_of(dataset: Dataset, now: datetime) -> Iterator[Json]:
    """The true state of every refresh, in order of creation, for the control routes."""
    for entry in dataset.refreshes:
        yield {
            "requestId": entry.request_id,
            "refreshType": entry.refresh_type,
            "enhanced": entry.enhanced,
            "external": entry.external,
            "state": entry.state(now),
            "startTime": _iso(entry.start),
            "endTime": _iso(entry.end) if entry.has_ended(now) else None,
            "listedFrom": _iso(entry.listed_from),
            "cancelRequested": entry.cut is not None,
            "body": entry.body,
        }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat().replace("+00:00", "Z") if time else None
