"""Power BI in the simulated world: the development service, its faults, and a record of all calls."""

import json
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dev.power_bi.messages import Request, Response
from dev.power_bi.service import PowerBiService
from refresh.times import instant
from tests.simulation.scenario import PART, START

THROTTLED = 429
A_MOMENT = timedelta(seconds=2)
"""The time from the last look at the requests of a run to the arrival of its POST."""

if TYPE_CHECKING:
    from tests.simulation.world import World

ORDER: ContextVar[str] = ContextVar("order", default="{}")
"""The order of the current activity."""
ASKED_FOR_PERMIT: ContextVar[bool] = ContextVar("asked_for_permit", default=False)
"""Whether the current activity has asked its queue for the permit to POST."""

Json = dict[str, Any]


@dataclass
class RefreshCall:
    """A call that started or cancelled a refresh, or tried to, with its run and the state of the queue at that moment.

    `accepted`: the id of the refresh that the call started, even if the answer was lost. `identified`: whether the
    objects of that refresh are known from an earlier refresh, or named in the request.
    """

    at: datetime
    dataset_id: str
    run: str
    accepted: str | None
    members: list[str]
    """The members of the run, including those that left a moment before."""
    recorded: str | None
    identified: bool


class PowerBi:
    """The service that the app calls."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.service = PowerBiService(world.day.seed)
        for model, knobs in world.day.knobs.items():
            self.service.set_knobs(model, knobs)
        for model, external in world.day.external:
            self.service.add_external(model, external, START)
        self.posts: list[RefreshCall] = []
        self.cancels: list[RefreshCall] = []
        self.late_reads = 0
        """The number of reads by activities between their permit and their POST."""
        self.throttled_cancels: list[tuple[datetime, str | None]] = []
        """The throttled cancellations: the time, and the refresh."""
        self._fault_rates: list[str] = []
        """For each fault rule of the service, the name of its rate."""
        self._faults()

    def _faults(self) -> None:
        seconds = self._world.random.choice([1, 30, 600, 3600])
        rules: list[tuple[str, float, Json]] = [
            ("start_answer_lost", 0.5, {"fault": "drop", "route": "start", "afterEffect": True}),
            ("start_answer_lost", 0.5, {"fault": "gatewayTimeout", "route": "start", "afterEffect": True}),
            ("start_dropped", 1, {"fault": "acceptedButDropped", "route": "start"}),
            ("start_unavailable", 0.5, {"fault": "unavailable", "route": "start"}),
            ("start_unavailable", 0.5, {"fault": "drop", "route": "start"}),
            ("read_unavailable", 1, {"fault": "serverError"}),
            ("read_drop", 1, {"fault": "drop"}),
            ("throttled", 1, {"fault": "throttled", "seconds": seconds}),
            ("token_expired", 1, {"fault": "tokenExpired"}),
        ]
        for rate, share, rule in rules:
            probability = getattr(self._world.rates, rate) * share
            if probability > 0:
                self._fault_rates.append(rate)
                name = self._world.day.words.get(rule["fault"], rule["fault"])
                self.service.add_fault({"probability": probability, **rule, "fault": name})

    def fault_counts(self) -> Counter[str]:
        """How many calls each fault has hit."""
        found: Counter[str] = Counter()
        for rate, rule in zip(self._fault_rates, self.service.faults(), strict=True):
            found[rate] += rule["struck"]
        return found

    def answer(self, request: Request) -> Response:
        """The service's answer, and a record of every refresh that was requested or cancelled."""
        world = self._world
        response = self.service.handle(request, world.now)
        if request.method == "GET":
            self.late_reads += ASKED_FOR_PERMIT.get()
            return response
        dataset_id = request.path.split("/")[6]
        queue = world.queue(dataset_id)
        active = queue.runs[0] if queue.runs else None
        just_left = [
            name
            for name, entry in queue.departed.items()
            if entry.leave_answer is not None and entry.at > instant(world.now - A_MOMENT)
        ]
        posted = request.method == "POST"
        made = self._newest_own(dataset_id) if posted else request.path.rsplit("/", 1)[1]
        known = {post.accepted for post in self.posts} if posted else set()
        note = RefreshCall(
            at=world.now,
            dataset_id=dataset_id,
            run=str(json.loads(ORDER.get()).get("holder", {}).get("run", "")),
            accepted=made if made not in known else None,
            members=[*active.members, *just_left] if active else [],
            recorded=active.refresh_id if active else None,
            identified=active is None or _identified(request.body) or queue.objects_of(active) is not None,
        )
        (self.posts if posted else self.cancels).append(note)
        if posted and note.accepted is None and (response.dropped or response.status >= 500):
            self._part_after_loss(dataset_id)
        result = "does not answer" if response.dropped else f"answers HTTP {response.status} to"
        effect = f"and starts {note.accepted}" if note.accepted else "and starts nothing"
        if not posted:
            effect = f"of {made}"
            if response.status == THROTTLED:
                self.throttled_cancels.append((world.now, made))
        world.note(world.now, f"Power BI {result} the {request.method} of {note.run or 'an unknown run'} {effect}")
        return response

    def _part_after_loss(self, dataset_id: str) -> None:
        """Starts an external refresh of one table that could be mistaken for the refresh whose answer was lost."""
        if dataset_id == self._world.day.part_after_loss and dataset_id not in self._world.day.direct_lake:
            how = {"refreshType": "ViaEnhancedApi", "seconds": 20, "visibilitySeconds": 0, "startsIn": 2}
            how["outcome"] = {"outcome": "Completed", "objects": PART}
            self.service.add_external(dataset_id, how, self._world.now)

    def _newest_own(self, dataset_id: str) -> str | None:
        own = [entry for entry in self.truth(dataset_id) if not entry["external"]]
        dropped = self.service.report(dataset_id, self._world.now)["dropped"]
        return own[-1]["requestId"] if own else dropped[-1] if dropped else None

    def truth(self, dataset_id: str) -> list[Json]:
        """The true state of a model's refreshes, oldest first."""
        found: list[Json] = self.service.report(dataset_id, self._world.now)["refreshes"]
        return found


def _identified(body: bytes) -> bool:
    """Whether the history identifies the refresh with this body: a standard refresh by its type, a refresh of
    partitions by their names."""
    options = json.loads(body or b"{}")
    if "notifyOption" in options:
        return True
    objects = options.get("objects") or []
    return bool(objects) and all("partition" in entry for entry in objects)
