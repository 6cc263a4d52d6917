"""A bad day from a seed: the callers and their requests, external refreshes, and the rates of faults."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal

from tests.simulation import batch_days
from tests.simulation.batch_days import EVICTED, BatchCaller, batches
from tests.simulation.capacity import limited
from tests.simulation.quirks import direct_lake, framings, other_words

Level = Literal["none", "light", "heavy"]
LEVELS: tuple[Level, ...] = ("none", "light", "heavy")
WORKSPACE, MINUTE, HOUR = batch_days.WORKSPACE, batch_days.MINUTE, batch_days.HOUR
START = datetime(2026, 3, 30, 2, 0, 0, tzinfo=UTC)

Json = dict[str, Any]


@dataclass
class Rates:
    """The probability of each fault at each opportunity; integers are counts for the whole day. All are zero by
    default."""

    activity_dies_before: float = 0.0
    activity_dies_after: float = 0.0
    activity_dies_midway: float = 0.0
    activity_twice: float = 0.0
    episode_lost: float = 0.0
    episode_sent_twice: float = 0.0
    work_hidden: float = 0.0
    operation_again_late: float = 0.0
    start_again_late: float = 0.0
    wake_lost: float = 0.0
    crashes: int = 0
    runs_terminated: int = 0
    requests_terminated: int = 0
    timers_late: float = 0.0
    signals_late: float = 0.0
    reads_fail: float = 0.0
    starts_refused: float = 0.0
    purges: int = 0
    start_answer_lost: float = 0.0
    start_dropped: float = 0.0
    start_unavailable: float = 0.0
    read_unavailable: float = 0.0
    read_drop: float = 0.0
    throttled: float = 0.0
    token_expired: float = 0.0


LIGHT = Rates(
    activity_dies_before=0.01,
    activity_dies_after=0.01,
    activity_dies_midway=0.01,
    activity_twice=0.01,
    episode_lost=0.01,
    episode_sent_twice=0.01,
    work_hidden=0.01,
    operation_again_late=0.01,
    start_again_late=0.02,
    wake_lost=0.02,
    crashes=1,
    runs_terminated=1,
    requests_terminated=1,
    timers_late=0.1,
    signals_late=0.1,
    reads_fail=0.01,
    starts_refused=0.02,
    purges=2,
    start_answer_lost=0.05,
    start_dropped=0.03,
    start_unavailable=0.05,
    read_unavailable=0.02,
    read_drop=0.02,
    throttled=0.02,
    token_expired=0.01,
)
"""The rates of a light day, on which on average three of eight faults are enabled (`_rates`). A heavy day has six times
these probabilities (at most 0.4) and three times these counts."""
LATE_ALL_DAY = 0.3
"""On this fraction of the days with late messages, all messages are late: HTTP and durable functions run on different
hosts."""
SERVICE_FAULTS = frozenset(
    {"start_answer_lost", "start_dropped", "start_unavailable", "read_unavailable", "read_drop", "throttled"}
    | {"token_expired"}
)


@dataclass
class Repeat:
    """A further POST with the same key: the seconds after the first POST, the differences from it, and the sender."""

    after: float
    other: Json = field(default_factory=dict)
    starter: str = "pipeline"


@dataclass
class Caller:
    """One request: when it is sent (seconds), its options, and when it is cancelled (seconds after it was sent).

    `cancels_by_uri`: it is cancelled only with the URI from the start. `called_back`: a receiver waits for a callback.
    `another_after`: a second receiver is added this many seconds after the request.
    """

    at: float
    dataset_id: str
    spec: Json
    cancel_after: float | None = None
    cancels_by_uri: bool = False
    called_back: bool = False
    another_after: float | None = None
    repeats: list[Repeat] = field(default_factory=list)


@dataclass
class Scenario:
    """All decisions that are made before the day begins."""

    seed: int
    level: Level
    rates: Rates
    callers: list[Caller]
    knobs: dict[str, Json]
    external: list[tuple[str, Json]]
    settings: dict[str, str]
    partial: frozenset[str] = frozenset()
    """The models whose external enhanced refreshes refresh only one table."""
    direct_lake: frozenset[str] = frozenset()
    """The models whose refreshes the history shows as framings."""
    words: Json = field(default_factory=dict)
    """The names of some faults on this day."""
    crash_times: list[float] = field(default_factory=list)
    purge_times: list[float] = field(default_factory=list)
    batches: list[BatchCaller] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    """By model, the table that fails on this day."""
    part_after_loss: str | None = None
    """The model for which an external refresh of one table begins two seconds after each POST that started nothing and
    whose answer is lost."""
    capacity: int = 0
    """How many refreshes a capacity allows at a time; 0 on days without a limit."""


def scenario(seed: int, forced: Level | None = None) -> Scenario:
    """The day of a seed. `forced`: the level of its faults; without it the seed also determines the level."""
    chance = random.Random(f"{seed}/{forced}")  # noqa: S311
    level: Level = forced if forced else chance.choice(LEVELS)
    rates = _rates(chance, level)
    span = chance.choice([5.0, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR])
    models = [f"22222222-aaaa-bbbb-cccc-{number:012}" for number in range(1, chance.choice([1, 1, 1, 2, 3]) + 1)]
    longest = chance.choices([30, 300, HOUR, 12 * HOUR], [4, 4, 2, 1])[0]
    knobs = {model: _knobs(chance, longest) for model in models}
    stuck = any("Stuck" in knob["outcome"] for knob in knobs.values())
    # on a day with long refreshes the app polls less often; otherwise the day would consist mostly of polls
    poll_max = max(60.0, longest / 12, HOUR if stuck else 0)
    partial = frozenset(model for model in models if chance.random() < 0.5)
    callers = [
        _caller(chance, chance.choice(models), span) for _ in range(chance.choice([1, 2, 2, 3, 3, 4, 5, 7, 9, 12]))
    ]
    callers.sort(key=lambda caller: caller.at)
    _callbacks(random.Random(f"callbacks {seed}/{forced}"), callers)  # noqa: S311
    day = Scenario(
        seed=seed,
        level=level,
        rates=rates,
        callers=callers,
        knobs=knobs,
        external=[
            (model, _external(chance, _soon(chance, callers, span), partial=model in partial))
            for model in models
            for _ in range(chance.choice([0, 0, 1, 2, 4]))
        ],
        partial=partial,
        settings={
            "POLL_MIN_SECONDS": str(chance.choice([5, 20, 60])),
            "POLL_MAX_SECONDS": str(poll_max),
            "VISIBILITY_GRACE_SECONDS": "120",
            "OUTAGE_BUDGET_SECONDS": "900",
            "RECHECK_SECONDS": str(min(chance.choice([2 * poll_max, 5 * poll_max]), 1200.0)),
        },
    )
    if random.Random(f"rechecks {seed}/{forced}").random() < 0.5:  # noqa: S311
        day.settings["RECHECK_SECONDS"] = "21600.0"  # as in most apps; the timer reminds earlier
    day.crash_times = [chance.uniform(0, span + HOUR) for _ in range(chance.randint(0, rates.crashes))]
    for rare, how_often, happen in RARE_THINGS:
        own = random.Random(f"{rare} {seed}/{forced}")  # noqa: S311
        if own.random() < how_often:
            happen(day, own)
    framings(day)
    return day


# ---- rare events: each has its own random numbers, so that a new event changes only the days on which it occurs ------


def _never_ends(day: Scenario, chance: random.Random) -> None:
    """Power BI never ends the first refresh of a model, and its caller has a long deadline."""
    first = day.callers[0]
    first.cancel_after = None
    first.spec["timeoutMinutes"] = 60 * chance.choice([33, 36, 40, 48, 48, 7 * 24])
    day.knobs[first.dataset_id]["outcome"][0] = "Stuck"
    day.settings["POLL_MAX_SECONDS"] = str(max(float(day.settings["POLL_MAX_SECONDS"]), HOUR))
    day.settings["RECHECK_SECONDS"] = "1200.0"


def _clocks_differ(day: Scenario, chance: random.Random) -> None:
    """The service's clock is a few seconds ahead of ours or behind it."""
    seconds = round(chance.choice([chance.uniform(-2, 2), chance.uniform(-30, 30)]), 3)
    for knobs in day.knobs.values():
        knobs["clockSkewSeconds"] = seconds


def _row_stays(day: Scenario, chance: random.Random) -> None:
    """The history shows a running refresh that never ends and does not block others."""
    model = chance.choice(sorted(day.knobs))
    kind = chance.choice(["Scheduled", "OnDemand", "ViaApi", "ViaEnhancedApi", "ViaXmlaEndpoint", "DirectLakeFraming"])
    begun = -chance.uniform(MINUTE, 30 * HOUR)
    row: Json = {"refreshType": kind, "startsIn": begun, "outcome": "Stuck", "blocks": False, "visibilitySeconds": 0}
    day.external.append((model, row))


def _framed_often(day: Scenario, chance: random.Random) -> None:
    """A model in Direct Lake mode: it is framed whenever its tables change, independently of other refreshes."""
    model = chance.choice(sorted(day.knobs))
    for _ in range(chance.randint(3, 12)):
        near = max(0.0, chance.choice(day.callers).at + chance.uniform(-10, 300))
        how = {"refreshType": "DirectLakeFraming", "startsIn": near, "seconds": [1, 5], "visibilitySeconds": [0, 5]}
        day.external.append((model, {**how, "outcome": chance.choice(["Completed", "Completed", "Failed"])}))


def _detailed_failures(day: Scenario, chance: random.Random) -> None:
    """Failures have messages, the state of each object, and earlier attempts."""
    for knobs in day.knobs.values():
        knobs["outcome"] = [_failure(chance) if outcome == "Failed" else outcome for outcome in knobs["outcome"]]
        if chance.random() < 0.5:
            knobs["outcome"][0] = _failure(chance)


def _failure(chance: random.Random) -> Json:
    outcome: Json = {"outcome": "Failed", "attempts": chance.randint(1, 3)}
    if chance.random() < 0.5:
        code = chance.choice(
            ["ModelRefreshFailed_CredentialsNotSpecified", "0xC11C0020", "DM_GWPipeline_Client_Timeout"]
        )
        outcome |= {"errorCode": code, "errorDescription": "It did not work."}
    if chance.random() < 0.7:
        outcome["messages"] = [{"code": "0xC11C0020", "message": "Table 'Sales' could not be read.", "type": "Error"}]
    if chance.random() < 0.5:
        states = [("Sales", "Sales-2026", "Failed"), ("DimDate", "DimDate", "Completed")]
        outcome["objects"] = [{"table": table, "partition": part, "status": state} for table, part, state in states]
    return outcome


def _id_in_few_headers(day: Scenario, chance: random.Random) -> None:
    """Some answers to POSTs do not have the refresh id in all three headers; some have it in none."""
    for knobs in day.knobs.values():
        knobs["dropHeaders"] = chance.sample(["RequestId", "x-ms-request-id", "Location"], chance.randint(1, 3))


def _have_keys(day: Scenario, chance: random.Random) -> None:
    """Callers use keys and repeat requests: at once, later, with different options, or as another caller."""
    for number, caller in enumerate(day.callers):
        if chance.random() < 0.3:
            continue
        caller.spec["idempotencyKey"] = f"load {number}"
        for _ in range(chance.choice([0, 1, 1, 2, 4])):
            after = chance.choice([0.0, 0.0, chance.uniform(0, MINUTE), chance.uniform(0, 4 * HOUR)])
            other = {"refresh": {"type": "dataOnly"}} if chance.random() < 0.15 else {}
            starter = "other team" if chance.random() < 0.15 else "pipeline"
            caller.repeats.append(Repeat(after, other, starter))
    day.purge_times = [chance.uniform(HOUR, 5 * HOUR) for _ in range(chance.randint(0, day.rates.purges))]


def _retry(day: Scenario, chance: random.Random) -> None:
    """Failures may be transient, and callers set retries."""
    for knobs in day.knobs.values():
        knobs["outcome"] = [chance.choice([EVICTED, EVICTED, outcome]) for outcome in knobs["outcome"]]
        knobs["outcome"].append(chance.choice(["Completed", EVICTED]))
    for caller in day.callers:
        if chance.random() < 0.7:
            caller.spec["retries"] = chance.choice([1, 2, 3, 10])


def _one_table_fails(day: Scenario, chance: random.Random) -> None:
    """Callers request parts of the models, and sometimes one table fails."""
    for model, knobs in day.knobs.items():
        day.failing[model] = table = chance.choice(["Sales", "DimDate"])
        objects = [
            {"table": name, "partition": part, "status": "Failed" if name == table else "Cancelled"}
            for name, part in (("Sales", "Sales-2026"), ("DimDate", "DimDate"))
        ]
        broken: Json = {"outcome": "Failed", "errorCode": "QuerySystemError", "objects": objects}
        knobs["outcome"] = [chance.choice([broken, "Completed"]) for _ in range(5)]
        knobs["detailsVisibilitySeconds"] = 0
    for caller in day.callers:
        if chance.random() < 0.8:
            objects = [{"table": name} for name in chance.sample(["Sales", "DimDate"], chance.randint(1, 2))]
            caller.spec["refresh"] = {"objects": objects, "maxParallelism": 2}
            if chance.random() < 0.15:
                caller.spec["refresh"] = {"type": "full"}


def _part_after_a_loss(day: Scenario, chance: random.Random) -> None:
    """Answers to POSTs for a whole model are lost. After each lost POST that started nothing, an external refresh of
    one table begins."""
    model = chance.choice(sorted(day.knobs))
    day.part_after_loss = model
    day.partial |= {model}
    day.rates.start_unavailable = 0.6 if day.level != "none" else 0.0
    for caller in day.callers:
        if caller.dataset_id == model:
            caller.spec["refresh"] = {"type": "full"}


def _just_too_late(day: Scenario, chance: random.Random) -> None:
    """Callers send requests within seconds of each other, while an external refresh that serves only the first of them
    begins."""
    model = chance.choice(sorted(day.knobs))
    base = chance.choice(day.callers).at + HOUR
    for caller in day.callers:
        if caller.dataset_id == model:
            caller.at = base + chance.uniform(0, 6)
            caller.spec.pop("refresh", None)
            caller.spec.pop("onTimeout", None)
    kind = chance.choice(["Scheduled", "OnDemand", "ViaApi"])
    how = {"refreshType": kind, "seconds": 60, "outcome": "Completed", "visibilitySeconds": 0}
    day.external.append((model, {**how, "startsIn": base + chance.uniform(1, 6)}))


PART: list[Json] = [{"table": "DimDate", "partition": "DimDate", "status": "Completed"}]
"""The objects of an external refresh of a part of the model."""


def _many_at_once(day: Scenario, chance: random.Random) -> None:
    """Some callers request a batch of models that depend on each other."""
    day.batches = batches(day.knobs, max((caller.at for caller in day.callers), default=0.0), chance)


RARE_THINGS: tuple[tuple[str, float, Callable[[Scenario, random.Random], None]], ...] = (
    ("no end", 0.02, _never_ends),
    ("clocks differ", 0.1, _clocks_differ),
    ("ghost row", 0.04, _row_stays),
    ("framed often", 0.05, _framed_often),
    ("long story", 0.1, _detailed_failures),
    ("few headers", 0.04, _id_in_few_headers),
    ("keys", 0.2, _have_keys),
    ("retries", 0.12, _retry),
    ("one table", 0.12, _one_table_fails),
    ("other words", 0.1, other_words),
    ("Direct Lake", 0.06, direct_lake),
    ("parts", 0.05, _part_after_a_loss),
    ("too late", 0.06, _just_too_late),
    ("capacity", 0.2, limited),
    ("batches", 0.25, _many_at_once),
)
"""The rare events: the name (which seeds the random numbers), the fraction of days, and the effect on the day."""


def _rates(chance: random.Random, level: Level) -> Rates:
    """Each kind of fault is enabled on three of eight days, so that rare combinations occur without the other faults.

    On some days only the engine is faulty, and on some only Power BI. On these days, the invariants are stricter for
    the healthy one.
    """
    rates = Rates()
    if level == "none":
        return rates
    where = chance.choice(["everywhere", "everywhere", "engine", "service"])
    for entry in fields(Rates):
        side = "service" if entry.name in SERVICE_FAULTS else "engine"
        if where in ("everywhere", side) and chance.random() < 0.5:
            value = getattr(LIGHT, entry.name)
            if level == "heavy":
                value = value * 3 if isinstance(value, int) else min(value * 6, 0.4)
            setattr(rates, entry.name, value)
    if rates.signals_late and chance.random() < LATE_ALL_DAY:
        rates.signals_late = 1.0
    return rates


def _caller(chance: random.Random, model: str, span: float) -> Caller:
    spec: Json = {"workspaceId": WORKSPACE, "datasetId": model}
    kind = chance.random()
    if kind < 0.2:
        spec["refresh"] = {"type": "full"}
    elif kind < 0.35:
        spec["refresh"] = {"objects": [{"table": chance.choice(["Sales", "DimDate"])}], "maxParallelism": 2}
    if chance.random() < 0.1:
        spec["share"] = False
    if chance.random() < 0.25:
        spec["timeoutMinutes"] = chance.choice([0.5, 2, 10, 45])
        if "refresh" in spec and chance.random() < 0.5:
            spec["onTimeout"] = "cancel"
    cancel_after = chance.choice([chance.uniform(0, MINUTE), chance.uniform(0, 20 * MINUTE)])
    # callers with the same schedule send their requests at the same moment
    at = chance.choice([0.0, span / 2, chance.uniform(0, span), chance.uniform(0, span)])
    return Caller(at, model, spec, cancel_after if chance.random() < 0.2 else None)


def _callbacks(chance: random.Random, callers: list[Caller]) -> None:
    """On some days, some callers wait for a callback. Random numbers of their own keep the other days unchanged."""
    if chance.random() < 0.7:
        return
    for caller in callers:
        caller.called_back = chance.random() < 0.6
        if chance.random() < 0.3:
            caller.another_after = chance.choice([chance.uniform(0, MINUTE), chance.uniform(0, 3 * HOUR)])


def _knobs(chance: random.Random, longest: float) -> Json:
    outcomes = chance.choices(
        ["Completed", "Failed", "Cancelled", "Disabled", "TimedOut", "Stuck"], [30, 4, 2, 1, 1, 0.3], k=4
    )
    return {
        "seconds": [5, longest],
        "outcome": outcomes,
        "visibilitySeconds": chance.choice([0, [0, 15], [5, 60]]),
        "detailsVisibilitySeconds": chance.choice([0, 0, [0, 30]]),
        "conflict": chance.choice([400, 409]),
        "detailsOfStandard": chance.random() < 0.3,
        "detailsRunningStatus": chance.choice(["Unknown", "InProgress"]),
        "unknownRefreshStatus": chance.choice([404, 400]),
        "dailyLimit": 1000,
    }


def _soon(chance: random.Random, callers: list[Caller], span: float) -> float:
    """A moment at which an event may be critical: around the arrival of a caller, or a random one."""
    near = max(0.0, chance.choice(callers).at + chance.uniform(-5, 10))
    return chance.choice([near, chance.uniform(0, span)])


def _external(chance: random.Random, starts_in: float, *, partial: bool) -> Json:
    outcome: Json = {"outcome": chance.choices(["Completed", "Failed", "Cancelled"], [4, 1, 1])[0]}
    if partial:
        outcome["objects"] = PART
    return {
        "refreshType": chance.choice(
            ["Scheduled", "OnDemand", "ViaApi", "ViaEnhancedApi", "ViaXmlaEndpoint", "DirectLakeFraming"]
        ),
        "startsIn": starts_in,
        "seconds": chance.choice([5, 60, 600, 3600]),
        "outcome": outcome,
        "visibilitySeconds": chance.choice([0, [0, 15]]),
    }
