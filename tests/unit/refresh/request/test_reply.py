"""How a caller wants to hear the outcome: what is taken, and what is refused with its name."""

import json
from typing import Any

import pytest

from refresh.request.reply import Reply, parse_reply
from refresh.request.values import BadRequestError
from refresh.settings import Settings

URI = "https://prod-01.westeurope.logic.azure.com:443/workflows/1?sp=a&sig=secret"


def parse(**keys: Any) -> Reply:
    """What such a body asks for."""
    return parse_reply(json.dumps(keys).encode(), Settings())


def refused(**keys: Any) -> BadRequestError:
    """The refusal of such a body."""
    with pytest.raises(BadRequestError) as refusal:
        parse(**keys)
    return refusal.value


def test_no_caller_has_to_wait_or_to_be_called() -> None:
    """Without the keys the start answers at once, and that is all."""
    assert parse() == parse(callBackUri=None) == Reply(wait_seconds=0, call_back_uri=None)


@pytest.mark.parametrize("seconds", [0, 0.5, 45, 200, "0", "45", " 0.5 "])
def test_a_wait_is_taken(seconds: float | str) -> None:
    """Fractions and texts, too."""
    assert parse(waitSeconds=seconds).wait_seconds == float(seconds)


@pytest.mark.parametrize("seconds", [-1, 200.1, 1e400, float("nan"), "5 s", "200.1", "-1", "", True, None, [5]])
def test_a_wait_that_cannot_be_is_refused(seconds: object) -> None:
    """By name."""
    assert refused(waitSeconds=seconds).target == "waitSeconds"


def test_a_callback_is_taken() -> None:
    """As it was sent: it may be signed."""
    assert parse(callBackUri=URI, waitSeconds=0).call_back_uri == URI
    assert parse(callBackUri=URI, waitSeconds="0").call_back_uri == URI


@pytest.mark.parametrize("uri", ["", 5, True, [], {}, "logic.azure.com", f" {URI}", URI + "#part", URI + "\n"])
def test_what_is_no_uri_is_refused(uri: object) -> None:
    """By name."""
    assert refused(callBackUri=uri).target == "callBackUri"


def test_a_host_that_is_not_allowed_is_refused() -> None:
    """The sentence names host and setting, and nothing that may be secret."""
    error = refused(callBackUri="https://evil.example/path/inner?sig=secret")
    assert (error.target, error.code) == ("callBackUri", "CallbackHostNotAllowed")
    assert "evil.example" in error.message
    assert "CALLBACK_ALLOWED_HOSTS" in error.message
    assert not any(word in error.message for word in ("path", "inner", "sig", "secret"))


def test_one_way_to_hear_the_outcome_is_enough() -> None:
    """A caller that is called back is answered at once."""
    assert refused(callBackUri=URI, waitSeconds=5).target == "waitSeconds"
