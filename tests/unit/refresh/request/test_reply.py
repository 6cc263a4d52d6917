"""How a caller gets the outcome: valid keys, and refusals that name the wrong key."""

import json
from typing import Any

import pytest

from refresh.request.reply import Reply, parse_reply
from refresh.request.values import BadRequestError
from refresh.settings import Settings

URI = "https://prod-01.westeurope.logic.azure.com:443/workflows/1?sp=a&sig=secret"


def parse(**keys: Any) -> Reply:
    """The reply that such a body requests."""
    return parse_reply(json.dumps(keys).encode(), Settings())


def refused(**keys: Any) -> BadRequestError:
    """The refusal of such a body."""
    with pytest.raises(BadRequestError) as refusal:
        parse(**keys)
    return refusal.value


def test_wait_and_callback_are_optional() -> None:
    """Without both keys, the start answers at once."""
    assert parse() == parse(callBackUri=None) == Reply(wait_seconds=0, call_back_uri=None)


@pytest.mark.parametrize("seconds", [0, 0.5, 45, 200, "0", "45", " 0.5 "])
def test_a_valid_wait(seconds: float | str) -> None:
    """A wait may have fractions, and may be a text."""
    assert parse(waitSeconds=seconds).wait_seconds == float(seconds)


@pytest.mark.parametrize("seconds", [-1, 200.1, 1e400, float("nan"), "5 s", "200.1", "-1", "", True, None, [5]])
def test_an_invalid_wait_is_refused(seconds: object) -> None:
    """The refusal names the key."""
    assert refused(waitSeconds=seconds).target == "waitSeconds"


def test_a_valid_callback() -> None:
    """The URI stays unchanged, because it may be signed."""
    assert parse(callBackUri=URI, waitSeconds=0).call_back_uri == URI
    assert parse(callBackUri=URI, waitSeconds="0").call_back_uri == URI


@pytest.mark.parametrize("uri", ["", 5, True, [], {}, "logic.azure.com", f" {URI}", URI + "#part", URI + "\n"])
def test_an_invalid_uri_is_refused(uri: object) -> None:
    """The refusal names the key."""
    assert refused(callBackUri=uri).target == "callBackUri"


def test_a_host_that_is_not_allowed_is_refused() -> None:
    """The message has the host and the setting, but no secret part of the URI."""
    error = refused(callBackUri="https://evil.example/path/inner?sig=secret")
    assert (error.target, error.code) == ("callBackUri", "CallbackHostNotAllowed")
    assert "evil.example" in error.message
    assert "CALLBACK_ALLOWED_HOSTS" in error.message
    assert not any(word in error.message for word in ("path", "inner", "sig", "secret"))


def test_wait_and_callback_together_are_refused() -> None:
    """A start with a callback gets its answer at once, so it cannot wait."""
    assert refused(callBackUri=URI, waitSeconds=5).target == "waitSeconds"
