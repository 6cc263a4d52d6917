"""The end of a refresh, with all data of Power BI about it, gives one outcome."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import NotUnderstoodError, decode, encode
from refresh.failure.catalogue import ModelNames
from refresh.failure.service_error import ServiceError, merged_error, service_error
from refresh.history.outcome import MAX_FAILED_OBJECTS, Outcome, judge
from refresh.history.rows import RefreshObject, RefreshRow, parse_details, parse_row
from refresh.scope.scope import TableRef
from tests.unit.refresh.failure.wording import described, failure_of, nested, underlying

ID = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
MODEL = "00000000-1111-2222-3333-444444444444"
ROW = {"requestId": ID, "refreshType": "ViaEnhancedApi", "startTime": "2026-03-23T06:00:12.4Z"}
NO_CREDENTIALS = "ModelRefreshFailed_CredentialsNotSpecified"

Json = dict[str, Any]


def ended(**parts: Any) -> Outcome:
    """The outcome of a refresh that has ended."""
    row = parse_row({**ROW, "status": "Failed", "endTime": "2026-03-23T06:00:14.51Z", **parts})
    assert row is not None
    outcome = judge(row, MODEL)
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({}, "RefreshFailed"),
        ({"serviceExceptionJson": ""}, "RefreshFailed"),
        ({"serviceExceptionJson": '{"errorCode": "Gateway'}, "RefreshFailed"),
        (described("", NO_CREDENTIALS), "CredentialsRejected"),
        ({"messages": [{"message": "Odd.", "type": "Warning"}]}, "RefreshFailed"),
        (
            {
                "refreshAttempts": [
                    {"attemptId": 1, **described("", "GatewayNotReachable")},
                    {"attemptId": 2, **described("", NO_CREDENTIALS)},
                    {"attemptId": 3, "type": "Query"},
                ]
            },
            "CredentialsRejected",
        ),
        (
            {
                "refreshAttempts": [
                    {"attemptId": 1, **described("", NO_CREDENTIALS)},
                    {"attemptId": 2, **described("", "GatewayNotReachable")},
                ]
            },
            "GatewayTimedOut",
        ),
    ],
)
def test_the_places_of_the_cause(parts: Json, code: str) -> None:
    """The cause may be missing or be in any place. Of the attempts, only the last failed one counts."""
    outcome = ended(**parts)
    assert outcome.status == "Failed"
    assert outcome.error is not None
    assert outcome.error.code == code


def test_a_code_in_one_place_and_a_text_in_another_are_one_error() -> None:
    """A generic code and a text in the messages give one error."""
    error = failure_of(
        {**described("", "SomethingNew"), "messages": [{"message": "The password has expired.", "type": "Error"}]}
    )
    assert error.code == "CredentialsRejected"
    assert error.service_code == "SomethingNew"
    assert "password has expired" in error.message


def test_the_failed_object_is_named_without_an_error() -> None:
    """If the service shows only which table failed, the error names that table."""
    error = failure_of({"objects": [{"table": "Sales", "partition": "2026", "status": "Failed"}]})
    assert (error.code, error.table, error.partition) == ("RefreshFailed", "Sales", "2026")


@pytest.mark.parametrize(
    ("status", "extended", "outcome", "code"),
    [
        ("Cancelled", "Cancelled", "Cancelled", "RefreshCancelled"),
        ("Disabled", None, "Failed", "RefreshDisabled"),
        ("Failed", "TimedOut", "Failed", "RefreshTimedOut"),
    ],
)
def test_other_bad_ends_have_their_own_code(status: str, extended: str | None, outcome: str, code: str) -> None:
    """A refresh that was cancelled, disabled or timed out is not retried, because a user or a setting caused this."""
    found = ended(status=status, extendedStatus=extended)
    assert found.error is not None
    assert (found.status, found.error.code, found.error.retryable) == (outcome, code, False)


def test_a_completed_refresh_has_no_error() -> None:
    """Only the status of the refresh counts. Earlier attempts may have failed, but the service itself recovered."""
    attempts = [{"attemptId": 1, **described("", NO_CREDENTIALS)}, {"attemptId": 2}]
    row = parse_row({**ROW, "status": "Completed", "endTime": "2026-03-23T06:03:40.05Z", "refreshAttempts": attempts})
    assert row is not None
    assert judge(row, MODEL) == Outcome(
        status="Completed",
        refresh_id=ID,
        refresh_type="ViaEnhancedApi",
        started_at="2026-03-23T06:00:12.400Z",
        ended_at="2026-03-23T06:03:40.050Z",
    )


@pytest.mark.parametrize("status", ["Unknown", "InProgress", "NotStarted", "Reticulating"])
def test_a_running_refresh_has_no_outcome(status: str) -> None:
    """A running refresh has no outcome even after failed attempts, because the service is retrying."""
    row = parse_details({"status": status, "refreshAttempts": [described("", "x")]}, ID)
    assert row is not None
    assert judge(row, MODEL) is None


def test_an_unknown_status_is_not_an_outcome() -> None:
    """Newer code may have stored an unknown status, so this code waits instead of guessing."""
    with pytest.raises(NotUnderstoodError, match="Perhaps"):
        decode({"status": "Perhaps"}, Outcome)


def test_the_failed_objects_are_named_up_to_a_limit() -> None:
    """Only a limited number of failed objects is named. A request whose object is not named gets another attempt of its
    own."""
    objects = [RefreshObject("Done", None, "Completed"), RefreshObject("Sales", "2026", "failed")]
    outcome = judge(RefreshRow(ID, "ViaEnhancedApi", "Failed", objects=tuple(objects)), MODEL)
    assert outcome is not None
    assert outcome.failed_objects == (TableRef("Sales", "2026"),)
    many = tuple(RefreshObject(f"T{number}", None, "Failed") for number in range(1_000))
    outcome = judge(RefreshRow(ID, "ViaEnhancedApi", "Failed", objects=many), MODEL)
    assert outcome is not None
    assert outcome.failed_objects == tuple(TableRef(entry.table) for entry in many[:MAX_FAILED_OBJECTS])


def test_the_row_of_the_history_completes_the_details() -> None:
    """The cause comes from the history, and the objects from the details. The structure has priority over the text."""
    by_id = service_error({"objects": [{"table": "Sales", "partition": "26", "status": "Failed"}]})
    listed = service_error(described("Login failed. Table: Other. Partition: p."))
    assert by_id is not None
    assert listed is not None
    both = merged_error(by_id, listed)
    assert (both.cause, both.table, both.partition) == ("CredentialsRejected", "Sales", "26")
    assert merged_error(ServiceError(), listed) == listed


def test_known_names_are_in_the_message() -> None:
    """The name of the model is shown instead of its id."""
    row = parse_details({"status": "Failed", **nested("X", underlying("Odd."))}, ID)
    assert row is not None
    outcome = judge(row, MODEL, ModelNames(model="Sales"))
    assert outcome is not None
    assert outcome.error is not None
    assert outcome.error.message.startswith("Semantic model Sales: ")


@given(
    st.sampled_from(["Failed", "Cancelled", "Disabled", "TimedOut"]),
    st.builds(ServiceError, **dict.fromkeys(("code", "text", "table", "partition"), st.none() | st.text(min_size=1))),
)
def test_every_error_fits(status: str, error: ServiceError) -> None:
    """With any codes and tables of the service, an error has at most 500 characters and survives storage."""
    outcome = judge(RefreshRow(ID, "ViaApi", status, error=error), MODEL)
    assert outcome is not None
    assert outcome.error is not None
    assert len(outcome.error.message) <= 500
    assert decode(json.loads(json.dumps(encode(outcome))), Outcome) == outcome


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["code", "message", "error", "details", "detail", "value", "table", "x"]), inner
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_value_is_accepted(value: Any) -> None:
    """Any value at any place causes no exception, neither unchanged nor as a text."""
    text = json.dumps(value)
    for given_value in (value, text, json.dumps(text), f"x: {text} Table: T."):
        row = {"serviceExceptionJson": given_value, "messages": given_value, "objects": given_value}
        service_error({**row, "refreshAttempts": given_value})
        service_error({**row, "messages": [given_value], "refreshAttempts": [given_value]})
