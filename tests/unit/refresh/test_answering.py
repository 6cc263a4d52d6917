"""How a caller wishes to be told: what is heard, and what is refused with its name."""

import json
from typing import Any

import pytest

from refresh.answering import Answering, parse_answering
from refresh.request import BadRequestError


def parse(**keys: Any) -> Answering:
    """What such a body asks for."""
    return parse_answering(json.dumps(keys).encode())


def test_nobody_has_to_wait() -> None:
    """Without the key the start answers at once."""
    assert parse() == Answering(wait_seconds=0)


@pytest.mark.parametrize("seconds", [0, 0.5, 45, 200])
def test_a_wait_is_heard(seconds: float) -> None:
    """Fractions too."""
    assert parse(waitSeconds=seconds).wait_seconds == seconds


@pytest.mark.parametrize("seconds", [-1, 200.1, 1e400, float("nan"), "5", True, None, [5]])
def test_a_wait_that_cannot_be_is_refused(seconds: object) -> None:
    """By name."""
    with pytest.raises(BadRequestError) as refusal:
        parse(waitSeconds=seconds)
    assert refusal.value.target == "waitSeconds"
