"""Rows of the history and refreshes by id are read in Power BI's format; any other content causes no error."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.codec import decode, encode
from refresh.failure.service_error import service_error
from refresh.history.outcome import Outcome, judge
from refresh.history.rows import State, parse_details, parse_row

ID = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Control characters, line separators and unpaired surrogates."""

# One documented or recorded row for each state.
ROWS: list[tuple[dict[str, Any], State]] = [
    ({"refreshType": "ViaApi", "status": "Unknown"}, "running"),
    ({"refreshType": "ViaEnhancedApi", "status": "Unknown", "extendedStatus": "NotStarted"}, "running"),
    ({"refreshType": "ViaEnhancedApi", "status": "Unknown", "extendedStatus": "InProgress"}, "running"),
    ({"refreshType": "ViaEnhancedApi", "status": "InProgress"}, "running"),
    ({"refreshType": "Scheduled", "status": "Completed"}, "completed"),
    ({"refreshType": "Scheduled", "status": "completed"}, "completed"),
    ({"refreshType": "ViaEnhancedApi", "status": "Unknown", "extendedStatus": "Completed"}, "completed"),
    ({"refreshType": "ViaApi", "status": "Failed"}, "failed"),
    ({"refreshType": "ViaEnhancedApi", "status": "Cancelled", "extendedStatus": "Cancelled"}, "cancelled"),
    ({"refreshType": "ViaEnhancedApi", "status": "Canceled"}, "cancelled"),
    ({"refreshType": "Scheduled", "status": "Disabled"}, "disabled"),
    ({"refreshType": "ViaEnhancedApi", "status": "Failed", "extendedStatus": "TimedOut"}, "timedOut"),
    ({"refreshType": "ViaApi", "status": "SomethingNew"}, "running"),
    ({"refreshType": "ViaApi", "status": "Completed", "extendedStatus": "SomethingNew"}, "running"),
    ({"refreshType": "ViaEnhancedApi", "status": "Completed", "extendedStatus": "Unknown"}, "completed"),
    ({"refreshType": "ViaEnhancedApi", "status": "Failed", "extendedStatus": "Unknown"}, "failed"),
    ({"refreshType": "ViaEnhancedApi", "status": "Completed", "extendedStatus": "InProgress"}, "running"),
    ({"refreshType": "ViaEnhancedApi", "status": "Unknown", "extendedStatus": "Unknown"}, "running"),
    ({"refreshType": "ViaApi", "status": None}, "running"),
    ({"refreshType": "ViaApi"}, "running"),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
# Any values with the names that the parser reads.
HOSTILE = st.fixed_dictionaries(
    {"requestId": st.just(ID)},
    optional={
        name: JSON | JSON.map(json.dumps) | st.sampled_from(["Completed", "Failed", "2026-03-23T13:48:31.017Z"])
        for name in ("refreshType", "status", "extendedStatus", "startTime", "endTime", "initiatedBy", "type")
    }
    | {"serviceExceptionJson": JSON | JSON.map(json.dumps)}
    | {
        "messages": st.lists(JSON | st.dictionaries(st.sampled_from(["code", "message", "type"]), JSON)),
        "refreshAttempts": st.lists(JSON | st.fixed_dictionaries({"serviceExceptionJson": JSON.map(json.dumps)})),
        "objects": st.lists(JSON | st.dictionaries(st.sampled_from(["table", "partition", "status"]), JSON)),
    },
)


@pytest.mark.parametrize(("row", "state"), ROWS)
def test_each_status_has_its_state(row: dict[str, Any], state: State) -> None:
    """Only documented statuses end a refresh; any other status means that it is running."""
    parsed = parse_row({"requestId": ID, **row})
    assert parsed is not None
    assert parsed.state == state


def test_the_id_is_the_request_id_in_lower_case() -> None:
    """The id of a refresh is its `requestId`. The integer `id` in the same row is not used."""
    row = parse_row({"requestId": ID.upper(), "id": 937844652, "refreshType": "ViaApi", "status": "Completed"})
    assert row is not None
    assert row.request_id == ID


@pytest.mark.parametrize("value", [None, [], "text", {}, {"requestId": 5}, {"requestId": "../x"}, {"id": 5}])
def test_a_row_without_an_id_is_ignored(value: object) -> None:
    """A row without an id is ignored, because it could not be assigned to a refresh."""
    assert parse_row(value) is None


def test_details_are_read_with_their_objects() -> None:
    """Details have times without Z, the kind of refresh in `initiatedBy`, and the status of each table."""
    row = parse_details(
        {
            "startTime": "2026-03-23T13:48:31.017",
            "type": "Full",
            "commitMode": "Transactional",
            "status": "Unknown",
            "extendedStatus": "InProgress",
            "currentRefreshType": "Full",
            "numberOfAttempts": 0,
            "objects": [
                {"table": "Sales", "partition": "Sales-2026", "status": "InProgress"},
                {"table": "DimDate", "status": "NotStarted"},
            ],
            "initiatedBy": "ViaEnhancedApi",
        },
        ID.upper(),
    )
    assert row is not None
    assert (row.request_id, row.refresh_type, row.state) == (ID, "ViaEnhancedApi", "running")
    assert (row.type, row.commit_mode) == ("Full", "Transactional")
    assert row.start == datetime(2026, 3, 23, 13, 48, 31, 17000, UTC)
    assert [(o.table, o.partition, o.status) for o in row.objects] == [
        ("Sales", "Sales-2026", "InProgress"),
        ("DimDate", None, "NotStarted"),
    ]


@given(HOSTILE)
def test_any_row_is_read(value: dict[str, Any]) -> None:
    """No row causes an exception, and the resulting texts have a maximum length."""
    for row in (parse_row(value), parse_details(value, ID)):
        assert row is not None
        assert row.request_id == ID
        words = [row.refresh_type, row.status, row.extended_status, row.type, row.commit_mode]
        assert all(word is None or (0 < len(word) <= 64 and not UNSAFE.search(word)) for word in words)


@given(HOSTILE)
def test_the_outcome_of_any_row_survives_storage(value: dict[str, Any]) -> None:
    """The engine stores an outcome as UTF-8. It is the same afterwards."""
    for row in (parse_row(value), parse_details(value, ID)):
        assert row is not None
        outcome = judge(row, ID)
        assert (outcome is None) is (row.state == "running")
        if outcome is not None:
            stored = msgspec.json.encode(encode(outcome))
            assert decode(json.loads(stored), Outcome) == outcome
            assert outcome.error is None or len(outcome.error.message) <= 500


@pytest.mark.parametrize("name", ["\ud800", "Sales\x00", "S" * 200_000], ids=["half a character", "NUL", "200 KB"])
def test_names_of_failed_objects_survive_storage(name: str) -> None:
    """Power BI neither limits nor cleans the names of objects. A queue stores them as UTF-8 in little space."""
    failed = [{"table": name, "partition": name, "status": "Failed"}] * 60
    row = parse_details({"status": "Failed", "objects": failed}, ID)
    assert row is not None
    outcome = judge(row, ID)
    assert outcome is not None
    stored = msgspec.json.encode(encode(outcome))
    assert len(stored) < 60_000


@given(JSON)
def test_any_json_is_read(value: Any) -> None:
    """No JSON value causes an exception."""
    parse_row(value)
    parse_details(value, ID)
    service_error({"serviceExceptionJson": json.dumps(value), "messages": value, "refreshAttempts": value})
