"""Unusual behaviour of Power BI on some days: its messages, Direct Lake models, and full histories.

Each is one of the scenario's rare events: it changes a finished day, with its own random numbers.
"""

import random
from typing import Any, Protocol

FRAMING = "DirectLakeFraming"
BURST = 70
"""A number of refreshes that is larger than the number of rows of a history."""

Json = dict[str, Any]


class Day(Protocol):
    """The part of a scenario that this module needs."""

    knobs: dict[str, Json]
    external: list[tuple[str, Json]]
    direct_lake: frozenset[str]
    words: Json
    callers: list[Any]


def other_words(day: Day, chance: random.Random) -> None:
    """The service uses undocumented statuses and unusual refusals."""
    day.words = {
        "serverError": chance.choice(["badGateway", "signInPage", "gatewayTimeout"]),
        "throttled": "throttledWithoutHeader",
    }
    for knobs in day.knobs.values():
        knobs["runningStatus"] = chance.choice(["Unknown", "Pondering"])
        knobs["detailsRunningStatus"] = chance.choice(["InProgress", "Pondering"])
        knobs["runningExtendedStatus"] = chance.choice(["Unknown", "Musing"])
        knobs["detailsException"] = chance.random() < 0.5
        knobs["conflictMessage"] = chance.choice(["A refresh is already in progress", "RefreshInProgressException"])


def direct_lake(day: Day, chance: random.Random) -> None:
    """A model without data of its own: all its refreshes are framings, sometimes so many that the history drops
    rows."""
    model = chance.choice(sorted(day.knobs))
    day.direct_lake = frozenset([model])
    day.knobs[model]["recordedAs"] = FRAMING
    how = {"refreshType": FRAMING, "seconds": 1, "visibilitySeconds": 0}
    day.external.append((model, {**how, "startsIn": -3600}))
    if chance.random() < 0.5:
        begin = chance.choice(day.callers).at + chance.uniform(2, 20)
        day.external += [(model, {**how, "startsIn": begin + number / 5}) for number in range(BURST)]


def framings(day: Day) -> None:
    """Adjusts the day after all rare events: a Direct Lake model has only framings. Any other model that has a framing
    has also loaded its imported tables before, and its history shows this."""
    day.external = [(model, _framing(how) if model in day.direct_lake else how) for model, how in day.external]
    framed = {model for model, entry in day.external if entry["refreshType"] == FRAMING} - day.direct_lake
    loaded = {"refreshType": "Scheduled", "startsIn": -7200, "seconds": 60, "visibilitySeconds": 0}
    day.external += [(model, {**loaded, "outcome": "Completed"}) for model in sorted(framed)]


def _framing(entry: Json) -> Json:
    """The external refresh as a framing of a Direct Lake model, which does not block other refreshes."""
    outcome = entry.get("outcome", "Completed")
    if isinstance(outcome, dict):
        outcome = {key: value for key, value in outcome.items() if key != "objects"}
    return {**entry, "refreshType": FRAMING, "outcome": outcome, "blocks": False}
