"""The world of one seed: the real app on the real engine, a Power BI service, callers, and an unkind scheduler.

One thread, virtual time. Whatever could happen next in the real host may happen next here; the seed chooses.
"""

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from dev.power_bi.messages import Request, Response
from dev.power_bi.service import PowerBiService
from devhost.engine import Call, Engine, Hub, Item, Outcome, Refused
from devhost.engine.hub import Query
from devhost.engine.model import Instance
from refresh.times import instant
from refresh.queue.state import Queue
from tests.simulation.callbacks import Receivers
from tests.simulation.callers import Callers
from tests.simulation.episodes import Episodes
from tests.simulation.platform import Histories, durable_names, refused, route, run_function
from tests.simulation.scenario import Scenario

START = datetime(2026, 3, 30, 2, 0, 0, tzinfo=UTC)
MOST_STEPS = 150_000
HIDDEN_SECONDS = (60.0, 90.0)
"""How long work stays out of sight whose worker died, with the visibility time-outs of host.json."""
TERMINATED = 0.05
"""How likely an episode's instance is terminated soon, as long as some are to be."""
LATE_SECONDS = 20 * 60.0
"""How late a duplicate may come."""

Json = dict[str, Any]


@dataclass
class Post:
    """A call that started or cancelled a refresh, or tried to: by which run, and the queue at that moment."""

    at: datetime
    dataset_id: str
    run: str
    accepted: str | None
    members: list[str]
    recorded: str | None


class World:
    """Runs a scenario. `told` gets a line for everything that happens; `after_step` is called after every step."""

    def __init__(self, day: Scenario, told: Callable[[datetime, str], None] = lambda now, line: None) -> None:
        self.day, self.rates, self.told = day, day.rates, told
        self.random = random.Random(f"world {day.seed}")  # noqa: S311
        self.now = START
        self.counts: Counter[str] = Counter()
        self.steps = 0
        self._ids = count(1)
        self.engine = Engine(
            Histories(),
            durable_names(),
            timers=self._timer,
            new_id=lambda: f"00000000-0000-0000-0000-{next(self._ids):012}",
        )
        self.hub = Hub(self.engine)
        self._episodes = Episodes(day.seed)
        self.service = PowerBiService(day.seed)
        for model, knobs in day.knobs.items():
            self.service.set_knobs(model, knobs)
        for model, external in day.external:
            self.service.add_external(model, external, START)
        self._fault_rates: list[str] = []
        """Which rate each of the service's fault rules comes from."""
        self._faults()
        self.receivers = Receivers(self)
        self.callers = Callers(self)
        self.requests = self.callers.requests
        self.posts: list[Post] = []
        self.cancels: list[Post] = []
        self.checked_posts = 0
        self.runs: dict[str, datetime] = {}
        """Each run's first start, in the order of their first starts."""
        self.second_lives: set[str] = set()
        self._order = "{}"
        """What the activity was told that is at work now."""
        self._numbers = count()
        self._agenda: list[tuple[datetime, int, Callable[[], object]]] = []
        self._flying: dict[Item, Callable[[], None]] = {}
        for caller in day.callers:
            self._at(caller.at, lambda caller=caller: self.callers.arrive(caller))  # type: ignore[misc]
        for seconds in day.crash_times:
            self._at(seconds, self._crash)
        self._to_terminate = {
            "refresh_run": self.random.randint(0, day.rates.runs_terminated),
            "refresh_request": self.random.randint(0, day.rates.requests_terminated),
        }
        self.longest_history = 0

    # ---- driving ------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """One thing happens; False when all is quiet."""
        self.steps += 1
        due_at = self.engine.next_due()
        if due_at is not None and due_at <= self.now:
            self.engine.ready(self.now)  # delivers what is due
            self.engine.commit()
        items = self.engine.ready(self.now)
        due = [entry for entry in self._agenda if entry[0] <= self.now]
        pick = self.random.randrange(len(items) + len(due)) if items or due else -1
        if pick >= len(items):
            entry = due[pick - len(items)]
            self._agenda.remove(entry)
            heapq.heapify(self._agenda)
            entry[2]()
        elif pick >= 0:
            self._begin(items[pick])
        else:
            times = [self.engine.next_due(), self._agenda[0][0] if self._agenda else None]
            known = [time for time in times if time is not None]
            if not known:
                return False
            self.now = max(self.now, min(known))
            return True
        self.engine.commit()
        return True

    def _at(self, seconds: float, act: Callable[[], object]) -> None:
        heapq.heappush(self._agenda, (START + timedelta(seconds=seconds), next(self._numbers), act))

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        """Has something happen so many seconds from now."""
        heapq.heappush(self._agenda, (self.now + timedelta(seconds=seconds), next(self._numbers), act))

    def chance(self, name: str) -> bool:
        """Whether a fault strikes now; counted."""
        rate = getattr(self.rates, name)
        struck = bool(rate > 0 and self.random.random() < rate)
        self.counts[name] += struck
        return struck

    # ---- the engine's work ----------------------------------------------------------------------------------------

    def _begin(self, item: Item) -> None:
        if self.chance("work_hidden"):
            self.engine.hide(item, self._later(*HIDDEN_SECONDS))
            return
        if item.kind == "activity" and self.chance("activity_twice"):
            self.engine.duplicate(item)
        call = self.engine.begin(item, self.now)
        if call is None:
            return
        # nothing is free: work takes a few milliseconds, so that who goes round and round gets somewhere, too often
        self.now += timedelta(milliseconds=self.random.randint(1, 20))
        if item.kind == "activity":
            self._activity(item, call)
        elif item.kind == "episode":
            instance = self.engine.instances[item.key]
            self._watch(instance)
            self._finish(item, self._episodes.run(call, instance, self.engine.agenda.flying[item]))
        else:
            self._remember_operations(item, call)
            self._finish(item, run_function(call))

    def _finish(self, item: Item, outcome: Outcome) -> None:
        if self.chance("episode_lost"):
            self.engine.abandon(item)
        elif self.chance("episode_sent_twice"):
            self.engine.complete(item, outcome, self.now, keep=False)
        else:
            self.engine.complete(item, outcome, self.now)

    def _activity(self, item: Item, call: Call) -> None:
        """It takes a while; its effect comes at its beginning or at its end, and its worker may die before or after."""
        early = self.random.random() < 0.5
        outcome = self._effect(call) if early else None

        def land() -> None:
            if self._flying.pop(item, None) is None:
                return
            if not early and self.chance("activity_dies_before"):
                self.engine.abandon(item, self._later(*HIDDEN_SECONDS))
                return
            result = outcome or self._effect(call)
            if self.chance("activity_dies_after"):
                self.engine.abandon(item, self._later(*HIDDEN_SECONDS))
            else:
                self.engine.complete(item, result, self.now)

        self._flying[item] = land
        self.after(self.random.choice([0.0, 0.05, 0.3, 2.0]), land)

    async def sleep(self, seconds: float) -> None:
        """Somebody waits a moment: what is under way to entities may arrive, and twins may come in between."""
        self.engine.commit()
        order = self._order
        self.callers.race()
        items = [item for item in self.engine.ready(self.now) if item.kind != "episode"]
        for item in self.random.sample(items, min(len(items), self.random.randint(0, 3))):
            if item in self.engine.ready(self.now):
                self._begin(item)
                self.engine.commit()
        self._order = order

    def _effect(self, call: Call) -> Outcome:
        self._order = call.value
        return run_function(call)

    def _remember_operations(self, item: Item, call: Call) -> None:
        """Some operations come a second time, late: sent again by a host that died before it kept that it had sent."""
        if not self.rates.operation_again_late:
            return
        for operation in json.loads(call.value)["batch"]:
            if self.chance("operation_again_late"):
                body = {
                    "op": operation["name"],
                    "signal": True,
                    "id": self.engine.new_id(),
                    "input": operation["input"],
                }
                self.after(self._delay(), lambda body=body: self.engine.send("operation", item.key, body))  # type: ignore[misc]

    def _timer(self, due: datetime, now: datetime) -> datetime:
        """As on Azure Storage: cut to whole seconds, so up to a second early; sometimes late."""
        fires = now + timedelta(seconds=max(0, int((due - now).total_seconds())))
        return fires + timedelta(seconds=self.random.uniform(0, 12)) if self.chance("timers_late") else fires

    def _later(self, least: float, most: float) -> datetime:
        return self.now + timedelta(seconds=self.random.uniform(least, most))

    def _delay(self) -> float:
        return self.random.choice([0.0, self.random.uniform(0, 60), self.random.uniform(0, LATE_SECONDS)])

    def _crash(self) -> None:
        """The host dies: what was in flight is seen again only after a while."""
        self.counts["crashes"] += 1
        self.told(self.now, "the host dies")
        self._flying.clear()
        self.engine.crash(self._later(*HIDDEN_SECONDS))

    def _watch(self, instance: Instance) -> None:
        self.longest_history = max(self.longest_history, len(instance.history or ()))
        if self._to_terminate.get(instance.name) and self.random.random() < TERMINATED:
            self._to_terminate[instance.name] -= 1
            self.after(self.random.uniform(0, 60), lambda: self._terminate(instance.name, instance.id))

    def _terminate(self, kind: str, victim: str) -> None:
        if self.engine.instances[victim].terminal:
            return
        self.counts[f"{kind} terminated"] += 1
        self.told(self.now, f"{victim} is terminated by hand")
        self.hub.terminate(victim, "by hand", self.now)
        for request in self.requests:
            if request.id == victim:
                request.terminated_at = request.terminated_at or self.now

    def tidy_up(self) -> None:
        """A day later the hourly timer comes by."""
        self.now += timedelta(hours=25)
        for dataset_id in self.day.knobs:
            text = json.dumps(json.dumps({"at": instant(self.now)}))
            self.hub.signal("dataset_queue", dataset_id, "tidy", text, self.now)
        self.engine.commit()

    # ---- the durable client ---------------------------------------------------------------------------------------

    def rpc_post(self, url: str, data: Any) -> list[Any]:
        """POST of the durable client."""
        parts, query = route(url)
        text = None if data is None else json.dumps(data)
        try:
            match parts:
                case ["orchestrators", name, instance]:
                    self.hub.start(name, instance, text, self.now)
                    self._started(name, instance, text)
                    return [202, {"id": instance}]
                case ["instances", instance, "raiseEvent", event]:
                    self.hub.must_live(instance)
                    if not (event.startswith("wake") and self.chance("wake_lost")):
                        self.hub.raise_event(instance, event, text, self.now)
                    return [202, None]
                case ["entities", name, key]:
                    self.hub.signal(name, key, query["op"], text, self.now)
                    return [202, None]
        except Refused as problem:
            return refused(problem)
        raise AssertionError(f"the simulation has no {url}")

    def rpc_get(self, url: str, _: Any = None) -> list[Any]:
        """GET of the durable client."""
        parts, query = route(url)
        try:
            match parts:
                case ["instances"]:
                    return [200, self.page(query, "")[0]]
                case ["instances", instance]:
                    status = self.hub.status(instance)
                    return [404, ""] if status is None else [200, status]
                case ["entities", name, key]:
                    return [200, self.hub.entity_state(name, key)]
        except Refused as problem:
            return refused(problem)
        raise AssertionError(f"the simulation has no {url}")

    def page(self, query: dict[str, str], token: str) -> tuple[list[Json], str]:
        """A page of the engine's list."""
        statuses = frozenset(filter(None, query.get("runtimeStatus", "").split(",")))
        return self.hub.query(Query(query.get("instanceIdPrefix", ""), statuses=statuses, after=token))

    def _started(self, name: str, instance: str, text: str | None) -> None:
        if name == "refresh_run":
            self.runs.setdefault(instance.rsplit("-g", 1)[0], self.now)
        if self.chance("start_again_late"):

            def again() -> None:
                try:
                    self.hub.start(name, instance, text, self.now)
                    self.second_lives.add(instance)
                    self.told(self.now, f"{instance} is started a second time")
                except Refused:
                    pass

            self.after(self._delay(), again)

    # ---- Power BI -------------------------------------------------------------------------------------------------

    def _faults(self) -> None:
        seconds = self.random.choice([1, 30, 600, 3600])
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
            probability = getattr(self.rates, rate) * share
            if probability > 0:
                self._fault_rates.append(rate)
                name = self.day.words.get(rule["fault"], rule["fault"])
                self.service.add_fault({"probability": probability, **rule, "fault": name})

    def happened(self) -> Counter[str]:
        """How often each thing happened, of the service's faults how many calls they hit."""
        struck: Counter[str] = Counter()
        for rate, rule in zip(self._fault_rates, self.service.faults(), strict=True):
            struck[rate] += rule["struck"]
        return self.counts + struck

    def power_bi(self, request: Request) -> Response:
        """The service's answer, and a note of every refresh that was asked for or cancelled."""
        response = self.service.handle(request, self.now)
        if request.method == "GET":
            return response
        dataset_id = request.path.split("/")[6]
        queue = self.queue(dataset_id)
        active = queue.runs[0] if queue.runs else None
        posted = request.method == "POST"
        made = self._newest_own(dataset_id) if posted else request.path.rsplit("/", 1)[1]
        known = {post.accepted for post in self.posts} if posted else set()
        note = Post(
            self.now,
            dataset_id,
            str(json.loads(self._order).get("run", "")),
            made if made not in known else None,
            [member.id for member in active.members] if active else [],
            active.refresh_id if active else None,
        )
        (self.posts if posted else self.cancels).append(note)
        result = "no answer" if response.dropped else f"HTTP {response.status}"
        self.told(self.now, f"power bi: {request.method} for {note.run or '?'}: {result}, made {note.accepted}")
        return response

    def _newest_own(self, dataset_id: str) -> str | None:
        own = [entry for entry in self.truth(dataset_id) if not entry["external"]]
        dropped = self.service.seen(dataset_id, self.now)["dropped"]
        return own[-1]["requestId"] if own else dropped[-1] if dropped else None

    def truth(self, dataset_id: str) -> list[Json]:
        """The true state of a model's refreshes, oldest first."""
        found: list[Json] = self.service.seen(dataset_id, self.now)["refreshes"]
        return found

    def queue(self, dataset_id: str) -> Queue:
        """The queue of a dataset as it is kept."""
        entity = self.engine.entities.get(f"@dataset_queue@{dataset_id}")
        state = json.loads(entity.state) if entity and entity.exists and entity.state else None
        return Queue.from_json(json.loads(state) if isinstance(state, str) and state else state or None)
