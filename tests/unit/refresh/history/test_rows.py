"""Rows of the history and refreshes by id are read as Power BI writes them, and nothing that it writes breaks us."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refresh.failure.service_error import service_error
from refresh.history.rows import RefreshRow, State, parse_details, parse_row
from refresh.times import parse_time

ID = "9b2a5aa3-6207-47f9-8520-ed61b24c8634"

# One documented or recorded row per state.
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
# Anything at all under the names that the parser looks at.
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
    """Only documented words end a refresh; whatever else stands there is running."""
    parsed = parse_row({"requestId": ID, **row})
    assert parsed is not None
    assert parsed.state == state


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-11-19T08:37:51.133Z", datetime(2024, 11, 19, 8, 37, 51, 133000, UTC)),
        ("2024-11-19T08:37:58.28Z", datetime(2024, 11, 19, 8, 37, 58, 280000, UTC)),
        ("2024-11-19T08:37:51.4759519Z", datetime(2024, 11, 19, 8, 37, 51, 475951, UTC)),
        ("2026-03-23T06:00:00Z", datetime(2026, 3, 23, 6, tzinfo=UTC)),
        ("2021-12-10T08:40:31.57", datetime(2021, 12, 10, 8, 40, 31, 570000, UTC)),
        ("2021-12-10T08:40:31", datetime(2021, 12, 10, 8, 40, 31, tzinfo=UTC)),
        ("2021-12-10T08:40:31+02:00", datetime(2021, 12, 10, 6, 40, 31, tzinfo=UTC)),
        ("2021-12-10T08:40:31.5-0130", datetime(2021, 12, 10, 10, 10, 31, 500000, UTC)),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2021-02-30T08:40:31Z", None),
        ("2021-12-10T08:40:31+99:99", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1700000000, None),
    ],
)
def test_times_are_utc_with_any_number_of_digits(text: object, expected: datetime | None) -> None:
    """With or without Z, 0 to 7 fraction digits; what is no time is absent."""
    assert parse_time(text) == expected


def test_the_id_is_the_request_id_in_lower_case() -> None:
    """The integer `id` beside it is of no use."""
    row = parse_row({"requestId": ID.upper(), "id": 937844652, "refreshType": "ViaApi", "status": "Completed"})
    assert row is not None
    assert row.request_id == ID


@pytest.mark.parametrize("value", [None, [], "text", {}, {"requestId": 5}, {"requestId": "../x"}, {"id": 5}])
def test_a_row_without_an_id_is_nobodys(value: object) -> None:
    """It could be matched to no refresh."""
    assert parse_row(value) is None


def test_details_are_read_with_their_objects() -> None:
    """By id: no Z, the kind of refresh in `initiatedBy`, and how far each table is."""
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


def test_a_row_is_small_in_a_durable_value() -> None:
    """Histories travel through the engine; a row without an error stays under 600 bytes."""
    row = parse_row({"requestId": ID, **dict.fromkeys(("refreshType", "status", "extendedStatus", "type"), "x" * 500)})
    assert row is not None
    assert len(json.dumps(row.to_json())) < 600


@settings(deadline=None)
@given(HOSTILE)
def test_whatever_a_row_holds_it_is_read_and_survives_storage(value: dict[str, Any]) -> None:
    """Never an exception, only scalars out, bounded, and the stored row is the same row."""
    for row in (parse_row(value), parse_details(value, ID)):
        assert row is not None
        stored = json.loads(json.dumps(row.to_json()))
        assert RefreshRow.from_json(stored) == row
        error = stored.pop("error") or {}
        assert all(item is None or isinstance(item, str) for item in [*stored.values(), *error.values()])
        assert len(error.get("text") or "") <= 600
        json.dumps(row.to_json(), ensure_ascii=False).encode()


@settings(deadline=None)
@given(JSON)
def test_any_json_is_read(value: Any) -> None:
    """Never an exception."""
    parse_row(value)
    parse_details(value, ID)
    service_error({"serviceExceptionJson": json.dumps(value), "messages": value, "refreshAttempts": value})
