"""How a refresh ended is told truly: code, table, whether another try helps, and what a person can do."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.codec import NotUnderstoodError, decode, encode
from refresh.failure.catalogue import CATALOGUE
from refresh.failure.service_error import ServiceError
from refresh.history.outcome import MAX_FAILED_OBJECTS, Outcome, judge
from refresh.history.rows import RefreshObject, RefreshRow, parse_details, parse_row
from refresh.scope.scope import TableRef

ID = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
MODEL = "00000000-1111-2222-3333-444444444444"
ROW = {"requestId": ID, "refreshType": "ViaEnhancedApi", "startTime": "2026-03-23T06:00:12.4Z"}

EVICTED = "Session cancelled because it is connected to a database that has been evicted to free up memory for others."
NO_CREDENTIALS = "ModelRefreshFailed_CredentialsNotSpecified"
GENERIC = "ModelRefresh_ShortMessage_ProcessingError"


def failed(**parts: Any) -> Outcome:
    """The outcome of a failed refresh that says this of its failure."""
    row = parse_row({**ROW, "status": "Failed", "endTime": "2026-03-23T06:00:14.51Z", **parts})
    assert row is not None
    outcome = judge(row, MODEL)
    assert outcome is not None
    assert outcome.status == "Failed"
    return outcome


def exception(code: str | None = None, text: str | None = None, **parts: Any) -> str:
    """A serviceExceptionJson in its documented form."""
    given = {"errorCode": code, "errorDescription": text, **parts}
    return json.dumps({key: value for key, value in given.items() if value is not None})


def gateway(code: str, *details: tuple[str, str]) -> str:
    """A serviceExceptionJson in its older, nested form."""
    listed = [{"code": name, "detail": {"type": 1, "value": value}} for name, value in details]
    return json.dumps({"error": {"code": code, "pbi.error": {"code": code, "parameters": {}, "details": listed}}})


CASES: dict[str, tuple[dict[str, Any], str, bool, str | None, str]] = {
    # what the row says -> code, retryable, table, the cause whose advice is given
    "no credentials": (
        {"serviceExceptionJson": exception(NO_CREDENTIALS)},
        NO_CREDENTIALS,
        False,
        None,
        "CredentialsRejected",
    ),
    "access denied": (
        {"serviceExceptionJson": exception(GENERIC, "Access was denied.")},
        GENERIC,
        False,
        None,
        "CredentialsRejected",
    ),
    "a table in the description": (
        {"serviceExceptionJson": exception(GENERIC, "The key didn't match any rows. Table: Sales.")},
        GENERIC,
        False,
        "Sales",
        "RefreshFailed",
    ),
    "a marked name": (
        {
            "serviceExceptionJson": exception(
                GENERIC, "Column 'ID' in Table '<oii>Customer</oii>' has a duplicate value"
            )
        },
        GENERIC,
        False,
        "Customer",
        "DefinitionInvalid",
    ),
    "eviction": (
        {"messages": [{"code": "0xC11C0020", "message": EVICTED, "type": "Error"}]},
        "0xC11C0020",
        True,
        None,
        "ModelEvicted",
    ),
    "eviction beside the catch-all": (
        {
            "serviceExceptionJson": exception(GENERIC),
            "messages": [{"code": "0xC11C0020", "message": EVICTED, "type": "Error"}],
        },
        "0xC11C0020",
        True,
        None,
        "ModelEvicted",
    ),
    "eviction in the description": (
        {"serviceExceptionJson": exception(GENERIC, EVICTED)},
        GENERIC,
        True,
        None,
        "ModelEvicted",
    ),
    "eviction without a code": (
        {"messages": [{"message": EVICTED, "type": "Error"}]},
        "ModelEvicted",
        True,
        None,
        "ModelEvicted",
    ),
    "eviction and credentials": (
        {
            "messages": [
                {"code": "0xC11C0020", "message": EVICTED, "type": "Error"},
                {"code": "0xC1000001", "message": "The credentials provided are invalid.", "type": "Error"},
            ]
        },
        "0xC1000001",
        False,
        None,
        "CredentialsRejected",
    ),
    "capacity": (
        {
            "serviceExceptionJson": exception(
                GENERIC,
                "You've exceeded the capacity limit for semantic model refreshes. "
                "Try again when fewer semantic models are being processed.",
            )
        },
        GENERIC,
        True,
        None,
        "CapacityLimitReached",
    ),
    "capacity level": (
        {"messages": [{"message": "Capacity level limit exceeded."}]},
        "CapacityLimitReached",
        True,
        None,
        "CapacityLimitReached",
    ),
    "node level": (
        {"messages": [{"message": "Node level limit exceeded."}]},
        "CapacityLimitReached",
        True,
        None,
        "CapacityLimitReached",
    ),
    "gateway time-out": (
        {"serviceExceptionJson": gateway("DM_GWPipeline_Gateway_TimeoutError")},
        "DM_GWPipeline_Gateway_TimeoutError",
        True,
        None,
        "GatewayTimedOut",
    ),
    "gateway away": (
        {"serviceExceptionJson": exception("GatewayNotReachable")},
        "GatewayNotReachable",
        True,
        None,
        "GatewayTimedOut",
    ),
    "source behind the gateway": (
        {
            "serviceExceptionJson": gateway(
                "DM_GWPipeline_Gateway_MashupDataAccessError",
                ("DM_ErrorDetailNameCode_UnderlyingErrorMessage", "Timeout expired on table 'Stock'"),
                ("DM_ErrorDetailNameCode_UnderlyingHResult", "-2147467259"),
            )
        },
        "DM_GWPipeline_Gateway_MashupDataAccessError",
        False,
        "Stock",
        "GatewayFailed",
    ),
    "credentials behind the gateway": (
        {
            "serviceExceptionJson": gateway(
                "DM_GWPipeline_Gateway_MashupDataAccessError",
                ("DM_ErrorDetailNameCode_UnderlyingErrorMessage", "The credentials provided are invalid."),
                ("Microsoft.Data.Mashup.MashupSecurityException.DataSources", "sql01;Warehouse"),
            )
        },
        "DM_GWPipeline_Gateway_MashupDataAccessError",
        False,
        None,
        "CredentialsRejected",
    ),
    "a table is gone": (
        {"serviceExceptionJson": exception("DirectLake_TableNotFound")},
        "DirectLake_TableNotFound",
        False,
        None,
        "DefinitionInvalid",
    ),
    "crash": (
        {"messages": [{"message": "Container exited unexpectedly with code 0x0000DEAD"}]},
        "EngineCrashed",
        False,
        None,
        "EngineCrashed",
    ),
    "options": (
        {
            "messages": [
                {
                    "message": "RefreshApiRequest for table refresh using refresh policy must have the property "
                    "'CommitMode' = 'Transactional' instead of 'PartialBatch'.",
                    "type": "Error",
                }
            ],
            "serviceExceptionJson": exception(GENERIC),
        },
        "DefinitionInvalid",
        False,
        None,
        "DefinitionInvalid",
    ),
    "warnings do not count": (
        {
            "messages": [
                {"code": "0xC11C0020", "message": EVICTED, "type": "Warning"},
                {"code": "0xC1", "message": "Bad.", "type": "Error"},
            ]
        },
        "0xC1",
        False,
        None,
        "RefreshFailed",
    ),
    "only in the last attempt": (
        {
            "refreshAttempts": [
                {"attemptId": 1, "serviceExceptionJson": exception("GatewayNotReachable")},
                {"attemptId": 2, "serviceExceptionJson": exception(NO_CREDENTIALS)},
                {"attemptId": 3, "type": "Query"},
            ]
        },
        NO_CREDENTIALS,
        False,
        None,
        "CredentialsRejected",
    ),
    "an earlier attempt was overcome": (
        {
            "refreshAttempts": [
                {"attemptId": 1, "serviceExceptionJson": exception(NO_CREDENTIALS)},
                {"attemptId": 2, "serviceExceptionJson": exception("GatewayNotReachable")},
            ]
        },
        "GatewayNotReachable",
        True,
        None,
        "GatewayTimedOut",
    ),
    "the failed object": (
        {
            "serviceExceptionJson": exception("SomethingNew"),
            "objects": [
                {"table": "Date", "partition": "Date", "status": "Completed"},
                {"table": "Sales", "partition": "2026", "status": "Failed"},
            ],
        },
        "SomethingNew",
        False,
        "Sales",
        "RefreshFailed",
    ),
    "JSON in JSON": (
        {"serviceExceptionJson": json.dumps(exception(NO_CREDENTIALS))},
        NO_CREDENTIALS,
        False,
        None,
        "CredentialsRejected",
    ),
    "an object, not a string": (
        {"serviceExceptionJson": {"errorCode": "GatewayNotReachable"}},
        "GatewayNotReachable",
        True,
        None,
        "GatewayTimedOut",
    ),
    "broken JSON": ({"serviceExceptionJson": '{"errorCode": "Gateway'}, "RefreshFailed", False, None, "RefreshFailed"),
    "empty": ({"serviceExceptionJson": ""}, "RefreshFailed", False, None, "RefreshFailed"),
    "absent": ({}, "RefreshFailed", False, None, "RefreshFailed"),
}


@pytest.mark.parametrize("name", CASES)
def test_why_a_refresh_failed(name: str) -> None:
    """Code, table, `retryable` and advice for each failure that is documented or was seen."""
    parts, code, retryable, table, cause = CASES[name]
    error = failed(**parts).error
    assert error is not None
    assert (error.code, error.retryable, error.table) == (code, retryable, table)
    assert error.action == CATALOGUE[cause].action
    assert CATALOGUE[cause].retryable == retryable


def test_the_partition_is_named_with_its_table() -> None:
    """The failed object knows both."""
    error = failed(
        objects=[{"table": "Sales", "partition": "2026", "status": "Failed"}], messages=[{"message": "x"}]
    ).error
    assert error is not None
    assert (error.table, error.partition) == ("Sales", "2026")


def test_the_failed_object_is_named_without_any_error() -> None:
    """Where the service says nothing but which table failed, that is passed on."""
    error = failed(objects=[{"table": "Sales", "status": "Failed"}]).error
    assert error is not None
    assert (error.code, error.table) == ("RefreshFailed", "Sales")


def test_the_data_source_is_named_if_the_service_names_it() -> None:
    """A credential failure without it sends people searching."""
    error = failed(**CASES["credentials behind the gateway"][0]).error
    assert error is not None
    assert "sql01;Warehouse" in error.message


def test_the_message_stands_alone() -> None:
    """Which model, what failed, which table, code and refresh, and what to do, in 500 characters."""
    text = "The key didn't match any rows. Table: Sales. " + "More and more. " * 100
    error = failed(serviceExceptionJson=exception("SomethingNew", text)).error
    assert error is not None
    message = error.message
    for part in (MODEL, "table Sales", "SomethingNew", ID, "The key didn't match", CATALOGUE["RefreshFailed"].action):
        assert part in message
    assert len(message) <= 500


@pytest.mark.parametrize(
    ("status", "extended", "ended", "code"),
    [
        ("Cancelled", "Cancelled", "Cancelled", "RefreshCancelled"),
        ("Disabled", None, "Failed", "RefreshDisabled"),
        ("Failed", "TimedOut", "Failed", "RefreshTimedOut"),
    ],
)
def test_other_bad_ends_have_their_own_code(status: str, extended: str | None, ended: str, code: str) -> None:
    """None of them is tried again: a person or a limit ended it."""
    row = parse_row({**ROW, "status": status, "extendedStatus": extended})
    assert row is not None
    outcome = judge(row, MODEL)
    assert outcome is not None
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code, outcome.error.retryable) == (ended, code, False)


def test_a_completed_refresh_has_no_error() -> None:
    """Failures of earlier attempts were overcome by the service itself; only the status of the whole counts."""
    attempts = [{"attemptId": 1, "serviceExceptionJson": exception(NO_CREDENTIALS)}, {"attemptId": 2}]
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
    """Even with failed attempts: the service is trying again."""
    row = parse_details({"status": status, "refreshAttempts": [{"serviceExceptionJson": exception("x")}]}, ID)
    assert row is not None
    assert judge(row, MODEL) is None


def test_an_unknown_status_is_no_outcome() -> None:
    """Newer code may have stored it: this code waits instead of guessing."""
    with pytest.raises(NotUnderstoodError, match="Perhaps"):
        decode({"status": "Perhaps"}, Outcome)


def test_the_failed_objects_are_named_up_to_a_bound() -> None:
    """A caller whose object is not named gets another try, alone."""
    objects = [RefreshObject("Done", None, "Completed"), RefreshObject("Sales", "2026", "failed")]
    outcome = judge(RefreshRow(ID, "ViaEnhancedApi", "Failed", objects=tuple(objects)), MODEL)
    assert outcome is not None
    assert outcome.failed_objects == (TableRef("Sales", "2026"),)
    many = tuple(RefreshObject(f"T{number}", None, "Failed") for number in range(1_000))
    outcome = judge(RefreshRow(ID, "ViaEnhancedApi", "Failed", objects=many), MODEL)
    assert outcome is not None
    assert outcome.failed_objects == tuple(TableRef(entry.table) for entry in many[:MAX_FAILED_OBJECTS])


@settings(deadline=None)
@given(
    st.sampled_from(["Failed", "Cancelled", "Disabled", "TimedOut"]),
    st.builds(ServiceError, *[st.none() | st.text(min_size=1)] * 4),
)
def test_every_error_fits(status: str, error: ServiceError) -> None:
    """Whatever the service calls its codes and tables: 500 characters, one line, the advice whole, and stored alike."""
    outcome = judge(RefreshRow(ID, "ViaApi", status, error=error), MODEL)
    assert outcome is not None
    assert outcome.error is not None
    message = outcome.error.message
    assert len(message) <= 500
    assert message.endswith(outcome.error.action or "?")
    assert decode(json.loads(json.dumps(encode(outcome))), Outcome) == outcome
