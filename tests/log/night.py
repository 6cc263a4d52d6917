"""The log of a day and a half, composed of recorded stories: the input of the queries."""

from __future__ import annotations

import json
from functools import cache

from tests.log.timeline import Row, Timeline, story

SALES, STOCK, PRICES, ORDERS, NEVER = (f"00000000-0000-4000-8000-00000000000{letter}" for letter in "abcde")
"""The models in the log. SALES is fresh, but one of its refreshes is slow; STOCK fails and is throttled; PRICES waits;
ORDERS has waited."""
REFUSED, OTHER = "00000000-0000-4000-8000-0000000000f1", "00000000-0000-4000-8000-0000000000f2"
LOCAL, HOOKS, LOGIC_APP = "127.0.0.1", "hooks.example.com", "prod-01.westeurope.logic.azure.com"


def refresh(log: Timeline, name: str, model: str, started: float, ended: float = 0, *, until: str = "") -> str:
    """Places a request that was accepted two minutes before its refresh started. `started`, `ended`: so many minutes
    ago."""
    return log.place(
        name,
        {"request.accepted": started + 2, "refresh.started": started, "run.ended": ended},
        model=model,
        until=until,
    )


@cache
def recorded() -> tuple[Row, ...]:
    """The log of a day and a half: for each line the minutes before now and the message."""
    log = Timeline()
    log.others(2000, "Host started (312ms)")
    for started in (1900, 1400, 900, 400):
        refresh(log, "completed", SALES, started, started - 10)
    refresh(log, "completed", SALES, 30, until="refresh.started")
    refresh(log, "completed", STOCK, 1500, 1495)
    refresh(log, "failed", STOCK, 20, 15)
    refresh(log, "unknown", STOCK, 15, 10)
    # after an hour the run tried to start a refresh nevertheless, but Power BI refused it
    log.place("waited", {"run.waiting": 100, "run.closed": 40}, model=PRICES, until="run.closed")
    log.place(
        "waited",
        {"run.waiting": 95, "run.closed": 70, "refresh.started": 69},
        model=ORDERS,
        until="refresh.started",
        instead={"Scheduled": "OnDemand"},
    )
    log.place("waited", {"run.waiting": 40}, model=ORDERS, until="run.waiting")
    for age in (100, 40):
        log.place("tidy_queues", {"housekeeping.queues_tidied": age})
    log.place(
        "callback_delivered",
        {"callback.delivered": 50},
        model=SALES,
        only=["callback.delivered"],
        instead={LOCAL: LOGIC_APP},
    )
    callbacks = ["callback.failed", "callback.abandoned"]
    log.place(
        "callback_abandoned",
        {"callback.failed": 10, "callback.abandoned": 8},
        model=STOCK,
        only=callbacks,
        instead={LOCAL: HOOKS},
    )
    for index in range(11):
        log.place("throttled", {"power_bi.error": 8 - index / 2}, model=STOCK, only=["power_bi.error"])
    for age in (600, 5):
        log.place("throttled", {"power_bi.error": age}, model=SALES, only=["power_bi.error"])
    log.place("unavailable", {"power_bi.error": 5}, model=SALES, only=["power_bi.error"])
    (stranger,) = {json.loads(line["message"])["principal"] for line in story("refused")}
    for index in range(12):
        log.place("refused", {"auth.caller_refused": 7.5 - index / 2}, instead={stranger: REFUSED})
    for _ in range(3):
        log.place("refused", {"auth.caller_refused": 4}, instead={stranger: OTHER})
    log.place("batch_without_models", {"batch.ended": 7})
    log.place("not_started", {"request.not_started": 6}, model=PRICES)
    log.place("overdue", {"model.overdue": 9}, model=STOCK)
    log.place("activity_failed", {"activity.failed": 5}, model=SALES, only=["activity.failed"])
    log.place("engine_unavailable", {"engine.unavailable": 5})
    log.others(4, "Executed 'Functions.http_status' (Succeeded, Id=1, Duration=12ms)")
    log.others(3, "{not json request.ended run.ended activity.failed")
    return tuple(log.rows)


def runs_of(model: str) -> list[str]:
    """The ids of the runs of a model in the log, in the order of their first lines."""
    found = [json.loads(message).get("runId") for _, message in recorded() if model in message]
    return list(dict.fromkeys(filter(None, found)))
