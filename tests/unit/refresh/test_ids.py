"""Ids are GUIDs that are parsed, not pasted. Instance ids distinguish requests, runs and callbacks."""

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.ids import (
    CALLBACK_PREFIX,
    REQUEST_ID,
    callback_instance,
    callback_prefix,
    dataset_of,
    key_prefix,
    keyed_request,
    parse_guid,
    request_prefix,
    run_instance,
    submission_of,
)

MODEL = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
OTHER = "00000000-1111-2222-3333-444444444444"
KEYS = st.text(min_size=1, max_size=200)


@pytest.mark.parametrize("text", [MODEL, MODEL.upper(), f"  {MODEL}\n"])
def test_a_guid_is_read_in_lower_case(text: str) -> None:
    """A GUID may be in upper case or have blanks around it. The result is in lower case."""
    assert parse_guid(text) == MODEL


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        [],
        "",
        UUID(MODEL),
        MODEL[1:],
        f"{{{MODEL}}}",
        MODEL.replace("-", ""),
        f"{MODEL}/../x",
        f"{MODEL}\n{MODEL}",
        MODEL.replace("9", "٩"),
        MODEL.replace("a", "g"),
        f"urn:uuid:{MODEL}",
    ],
)
def test_an_invalid_guid_gives_none(value: object) -> None:
    """An invalid text gives None, because it would become part of a URL."""
    assert parse_guid(value) is None


@given(KEYS, st.integers(1, 10**6), st.from_regex(r"[0-9a-f]{16}", fullmatch=True))
def test_a_keyed_request_is_found_by_its_key(key: str, submission: int, fingerprint: str) -> None:
    """The id of a request is valid for the engine. It begins with the prefix of the key, which begins with that of the
    dataset."""
    request = keyed_request(MODEL, key, submission, fingerprint)
    assert REQUEST_ID.fullmatch(request)
    assert request.startswith(key_prefix(MODEL, key))
    assert key_prefix(MODEL, key).startswith(request_prefix(MODEL))
    assert submission_of(request, key_prefix(MODEL, key)) == submission
    assert request.endswith(fingerprint)


@given(KEYS, KEYS)
def test_no_prefix_of_a_key_is_that_of_another(one: str, other: str) -> None:
    """The id of a request begins neither with the prefix of another key, nor with that of the same key of another
    dataset."""
    if one != other:
        assert not keyed_request(MODEL, one, 1, "f").startswith(key_prefix(MODEL, other))
    assert not keyed_request(MODEL, one, 1, "f").startswith(key_prefix(OTHER, one))


def test_an_id_shows_nothing_of_its_key() -> None:
    """The id does not show the key, which may be a name that must not be in the log."""
    assert "payroll" not in keyed_request(MODEL, "payroll", 1, "f")


@pytest.mark.parametrize("rest", ["", "x-f", "-1-f", "1234567890-f", "1.5-f"])
def test_an_invalid_submission_gives_0(rest: str) -> None:
    """An invalid submission number gives 0. So does a number that no caller reaches."""
    prefix = key_prefix(MODEL, "key")
    assert submission_of(prefix + rest, prefix) == 0


def test_submissions_are_counted_under_their_own_key_only() -> None:
    """The id of another key is not a submission of this one."""
    assert submission_of(keyed_request(MODEL, "other", 7, "f"), key_prefix(MODEL, "key")) == 0


def test_each_incarnation_of_a_run_has_an_instance() -> None:
    """Each incarnation has an instance id of its own, so a repeated start finds the same instance."""
    assert run_instance("a-r1", 1) != run_instance("a-r1", 2)
    assert re.fullmatch(r"a-r1-g\d+", run_instance("a-r1", 12))


def test_the_same_uri_is_the_same_callback() -> None:
    """Adding a URI twice adds one callback. Its id shows nothing of the URI, which contains a secret."""
    uri = "https://example.com/hook?sig=secret"
    assert callback_instance("a", uri) == callback_instance("a", uri)
    assert len({callback_instance("a", uri), callback_instance("b", uri), callback_instance("a", uri + "x")}) == 3
    assert callback_instance("a", uri).startswith(callback_prefix("a"))
    assert callback_prefix("a").startswith(CALLBACK_PREFIX)
    assert "secret" not in callback_instance("a", uri)
    assert not callback_instance("a-b", uri).startswith(callback_prefix("a-c"))


def test_the_dataset_is_read_from_instance_ids() -> None:
    """The ids of requests, runs and callbacks contain the dataset. Other instances have none."""
    request = f"{request_prefix(MODEL)}0123456789abcdef"
    instances = [request, run_instance(f"{request}-r1", 1), callback_instance(request, "https://example.com/x")]
    assert [dataset_of(instance) for instance in instances] == [MODEL] * 3
    assert [dataset_of(other) for other in ("", "callback-", "@dataset_queue@x", MODEL, f"x{request}")] == [None] * 5
