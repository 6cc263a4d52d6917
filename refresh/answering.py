"""How a caller wishes to be told: the keys of POST /api/refreshes that say nothing about the refresh itself."""

from dataclasses import dataclass

from refresh.request import BadRequestError, json_object

MOST_WAIT_SECONDS = 200
"""The platform cuts every call after 230 s, and callers that wait longer than their own limit are told nothing."""


@dataclass(frozen=True)
class Answering:
    """`wait_seconds`: how long the start may wait for the end before it answers."""

    wait_seconds: float = 0


def parse_answering(body: bytes) -> Answering:
    """The way to be told in the body of a POST. Raises BadRequestError naming the key that cannot be served."""
    value = json_object(body)
    return Answering(_wait(value.get("waitSeconds", 0)))


def _wait(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequestError("waitSeconds must be a number.", "waitSeconds")
    if not 0 <= seconds <= MOST_WAIT_SECONDS:  # not a number is in no range
        raise BadRequestError(f"waitSeconds must be from 0 to {MOST_WAIT_SECONDS}.", "waitSeconds")
    return float(seconds)
