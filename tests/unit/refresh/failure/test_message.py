"""The message fits into 500 characters, and its parts are cut in a fixed order."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.failure.catalogue import CATALOGUE, Failure, ModelNames, failure
from refresh.messages import typed

MODEL = "00000000-1111-2222-3333-444444444444"
REFRESH = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
SENTENCE = "The flux is out of phase with the tide."


def with_sentence(length: int, **more: Any) -> Failure:
    """A failure with a text of the service of this many characters."""
    detail = ("word " * 200)[: length - 1] + "."
    return failure("CredentialsRejected", MODEL, detail=detail, refresh_id=REFRESH, service_code="SomeCode", **more)


def test_the_order() -> None:
    """The parts of a message have this order: the model and its table, the failure, the service's text, the remedy, the
    ids."""
    error = failure(
        "CredentialsRejected",
        MODEL,
        detail=SENTENCE,
        service_code="X1",
        table="Orders",
        partition="2026",
        refresh_id=REFRESH,
        run_id="run-1",
        names=ModelNames(model="Sales", workspace="Finance"),
    )
    parts = (
        "Semantic model Sales in workspace Finance, table Orders, partition 2026: ",
        CATALOGUE["CredentialsRejected"].meaning,
        f": {SENTENCE} ",
        CATALOGUE["CredentialsRejected"].action,
        f" (code X1, refresh {REFRESH}",
    )
    places = [error.message.index(part) for part in parts]
    assert places == sorted(places)
    assert places[0] == 0


def test_the_id_replaces_a_missing_name() -> None:
    """Without a name, the message begins with the id of the model, and does not repeat it at the end."""
    message = failure("RefreshFailed", MODEL).message
    assert message.startswith(f"Semantic model {MODEL}: ")
    assert message.count(MODEL) == 1
    named = failure("RefreshFailed", MODEL, names=ModelNames(model="Sales")).message
    assert named.startswith("Semantic model Sales: ")
    assert f"model {MODEL})" in named


def test_ids_are_cut_first_then_the_advice_then_the_sentence() -> None:
    """The service's text is cut last, because it is more useful than the ids and our advice."""
    advice = CATALOGUE["CredentialsRejected"].action
    failures = {length: with_sentence(length) for length in range(20, 700, 10)}
    assert REFRESH in failures[20].message
    for length, error in failures.items():
        assert len(error.message) <= 500
        assert error.action == advice
        if REFRESH in error.message:
            assert advice in error.message
        if advice in error.message:
            assert "…" not in error.message, length
    assert any(advice in one.message and REFRESH not in one.message for one in failures.values())
    assert any(advice not in one.message and "…" not in one.message for one in failures.values())
    assert "…" in failures[690].message


def test_a_sentence_that_is_too_long_keeps_its_beginning_and_its_end() -> None:
    """A text is cut in the middle, because its end may have names and numbers."""
    detail = f"First it broke. {'Then it went on and on. ' * 40}At last: 'customers', 134 MB"
    message = failure("RefreshFailed", MODEL, detail=detail).message
    assert "First it broke." in message
    assert "'customers', 134 MB" in message
    assert len(message) <= 500


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_longest_names_leave_room_for_the_sentence(code: str) -> None:
    """With all names at their maximum length the message still has the cause."""
    error = failure(
        code,
        MODEL,
        refresh_id=MODEL,
        table="t" * 999,
        partition="p" * 999,
        service_code="c" * 999,
        detail=SENTENCE,
        names=ModelNames(model="m" * 999, workspace="w" * 999),
    )
    assert len(error.message) <= 500
    assert CATALOGUE[code].meaning in error.message
    assert SENTENCE in error.message


def test_keys_without_a_value_are_left_out() -> None:
    """Keys without a value are left out. `retryable` always has a value."""
    assert set(msgspec.to_builtins(failure("RefreshFailed", MODEL))) == {"code", "message", "retryable", "action"}
    full = failure("RefreshFailed", MODEL, service_code="X", table="T", partition="P")
    value = msgspec.to_builtins(full)
    assert set(value) == {"code", "serviceCode", "message", "table", "partition", "retryable", "action"}
    assert typed(value, Failure) == full
    # the format of an older version
    assert typed({**value, "table": None, "more": 1}, Failure).table is None


def test_a_newer_code_is_kept() -> None:
    """A code of a newer version is kept. Its advice is not known here, so the error has that of InternalError."""
    error = failure("SomethingNewer", MODEL)
    assert (error.code, error.action) == ("SomethingNewer", CATALOGUE["InternalError"].action)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("GET / Authorization: Bearer eyJhbGciOi.abc.def failed", "eyJ"),
        ("Server=x;Password=hunter2;Database=y failed", "hunter2"),
        ("AccountKey=abc/def+g== failed", "abc/def"),
        ("https://x.blob.core.windows.net/a?sv=2024&sig=AbC%2f= failed", "AbC"),
        ("https://x.azurewebsites.net/api/f?code=s3cret failed", "s3cret"),
    ],
)
def test_secrets_are_not_shown(text: str, secret: str) -> None:
    """A gateway may quote the request that it refuses, and a data source its connection string."""
    message = failure("UnexpectedAnswer", MODEL, detail=text).message
    assert secret not in message
    assert "failed" in message


@given(*[st.text()] * 6)
def test_texts_of_others_stay_in_one_line(
    detail: str, table: str, code: str, model: str, workspace: str, error_code: str
) -> None:
    """Line breaks and control characters are removed, because they could forge log lines."""
    names = ModelNames(model=model, workspace=workspace)
    error = failure(error_code or "RefreshFailed", MODEL, detail=detail, table=table, service_code=code, names=names)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", error.message)
    assert len(error.message) <= 500


@pytest.mark.parametrize(
    ("code", "sentence", "advice"),
    [
        ("DefinitionInvalid", "must have the property 'X' using refresh policy", 'applyRefreshPolicy" to false'),
        (
            "InvalidRefreshRequest",
            "Partitions cannot be refreshed with ApplyRefreshPolicy",
            'applyRefreshPolicy" to false',
        ),
        ("DefinitionInvalid", "EffectiveDate needs a refresh policy", 'Leave out "refresh.effectiveDate"'),
        ("CredentialsRejected", "The model is not bound to a gateway.", "Bind every data source"),
    ],
)
def test_some_sentences_have_their_own_advice(code: str, sentence: str, advice: str) -> None:
    """Some sentences of Power BI have advice of their own, which is more precise than that of their code."""
    error = failure(code, MODEL, detail=sentence)
    assert advice in (error.action or "")
    assert advice in error.message
