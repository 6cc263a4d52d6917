"""How Power BI puts things on a day: its words, its headers, its clock, Direct Lake models, histories that forget.

Drawn from a chance of their own, on half of the days, so that they change nothing about the others.
"""

import random
from collections.abc import Sequence
from typing import Any

FRAMING = "DirectLakeFraming"
IDS = ("RequestId", "x-ms-request-id", "Location")
BURST = 70
"""More rows than a history has."""

Json = dict[str, Any]
Foreign = list[tuple[str, Json]]


def quirks(
    seed: int, knobs: dict[str, Json], foreign: Foreign, arrivals: Sequence[float]
) -> tuple[dict[str, Json], Foreign, frozenset[str], Json]:
    """The knobs and the refreshes of others with the day's quirks, its Direct Lake models, and its words for faults.

    `arrivals`: when callers come, in seconds.
    """
    chance = random.Random(f"{seed}/quirks")  # noqa: S311
    if chance.random() < 0.5:
        return knobs, [(model, _no_framing(entry)) for model, entry in foreign], frozenset(), {}
    words = {
        "serverError": chance.choice(["serverError", "badGateway", "signInPage", "gatewayTimeout"]),
        "throttled": chance.choice(["throttled", "throttledWithoutHeader"]),
    }
    direct_lake = frozenset(model for model in knobs if chance.random() < 0.25)
    changed = {
        model: {**knob, **_quirks(chance), **({"recordedAs": FRAMING} if model in direct_lake else {})}
        for model, knob in knobs.items()
    }
    others = [(model, _framing(entry) if model in direct_lake else _no_framing(entry)) for model, entry in foreign]
    for model in sorted(direct_lake):
        # the framing of an hour ago tells what kind of model it is
        others.append((model, {"refreshType": FRAMING, "startsIn": -3600, "seconds": 1, "visibilitySeconds": 0}))
        if chance.random() < 0.3:
            begin = chance.choice(arrivals) + chance.uniform(2, 20)
            others += [
                (model, {"refreshType": FRAMING, "startsIn": begin + number / 5, "seconds": 1, "visibilitySeconds": 0})
                for number in range(BURST)
            ]
    return changed, others, direct_lake, words


def _quirks(chance: random.Random) -> Json:
    found: Json = {
        "runningStatus": chance.choice(["Unknown", "Unknown", "Pondering"]),
        "detailsRunningStatus": chance.choice(["Unknown", "InProgress", "Pondering"]),
        "runningExtendedStatus": chance.choice([None, None, "Unknown", "Musing"]),
        "detailsException": chance.random() < 0.7,
        "clockSkewSeconds": chance.choice([0, 0, -3600, 4, 3600]),
        "dropHeaders": [name for name in IDS if chance.random() < 0.2],
        "conflictMessage": chance.choice(["A refresh is already in progress", "RefreshInProgressException"]),
    }
    return {key: value for key, value in found.items() if value is not None}


def _framing(entry: Json) -> Json:
    """Whoever refreshes a Direct Lake model frames it; such a refresh stands in nobody's way."""
    outcome = {key: value for key, value in entry["outcome"].items() if key != "objects"}
    return {**entry, "refreshType": FRAMING, "outcome": outcome, "blocks": False}


def _no_framing(entry: Json) -> Json:
    """A model with data of its own has no framings."""
    if entry["refreshType"] != FRAMING:
        return entry
    return {**entry, "refreshType": "OnDemandTraining", "blocks": False}
