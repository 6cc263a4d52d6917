"""The options of an enhanced refresh are checked before they are sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.scope.body import refresh_body
from refresh.scope.options import MAX_OBJECTS, OptionError, check_options
from refresh.scope.scope import RefreshOptions

GOOD: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "full"}, {"type": "Full"}),
    ({"type": "DATAONLY"}, {"type": "DataOnly"}),
    ({"retryCount": "1"}, {"type": "Full", "retryCount": 1}),
    ({"retryCount": " 3 "}, {"type": "Full", "retryCount": 3}),
    ({"maxParallelism": "4.0"}, {"type": "Full", "maxParallelism": 4}),
    # these types cannot apply refresh policies, but Power BI applies them by default
    ({"type": "calculate"}, {"type": "Calculate", "applyRefreshPolicy": False}),
    ({"type": "clearValues"}, {"type": "ClearValues", "applyRefreshPolicy": False}),
    (
        {"type": "defragment", "applyRefreshPolicy": "false"},
        {"type": "Defragment", "applyRefreshPolicy": False},
    ),
    (
        {"objects": [{"table": "Sales", "partition": "P"}], "applyRefreshPolicy": "False"},
        {"type": "Full", "objects": [{"table": "Sales", "partition": "P"}], "applyRefreshPolicy": False},
    ),
    (
        {"objects": [{"table": "Sales"}], "applyRefreshPolicy": "True", "effectiveDate": "2026-03-31"},
        {"type": "Full", "objects": [{"table": "Sales"}], "applyRefreshPolicy": True, "effectiveDate": "2026-03-31"},
    ),
    ({"retryCount": 0}, {"type": "Full", "retryCount": 0}),
    ({"maxParallelism": 2.0}, {"type": "Full", "maxParallelism": 2}),
    ({"applyRefreshPolicy": "False"}, {"type": "Full", "applyRefreshPolicy": False}),
    ({"timeout": "5:00:00"}, {"type": "Full", "timeout": "05:00:00"}),
    ({"timeout": "23:59:59"}, {"type": "Full", "timeout": "23:59:59"}),
    ({"effectiveDate": "2026-03-31"}, {"type": "Full", "effectiveDate": "2026-03-31"}),
    (
        {"effectiveDate": "2026-03-31T10:00:00.1234567Z"},
        {"type": "Full", "effectiveDate": "2026-03-31T10:00:00.1234567Z"},
    ),
    (
        {"objects": [{"partition": "P", "table": "Sales"}, {"table": "Größe ½"}]},
        {"type": "Full", "objects": [{"table": "Sales", "partition": "P"}, {"table": "Größe ½"}]},
    ),
    (
        {"commitMode": "partialbatch", "applyRefreshPolicy": "false"},
        {"type": "Full", "commitMode": "PartialBatch", "applyRefreshPolicy": False},
    ),
    ({"commitMode": "transactional"}, {"type": "Full", "commitMode": "Transactional"}),
]

BAD: list[tuple[Any, str]] = [
    (None, "refresh"),
    ([], "refresh"),
    ("full", "refresh"),
    ({"Type": "full"}, "refresh.Type"),
    ({"queryOnDemand": True}, "refresh.queryOnDemand"),
    ({"notifyOption": "NoNotification"}, "refresh.notifyOption"),
    ({"type": "Add"}, "refresh.type"),
    ({"type": None}, "refresh.type"),
    ({"type": ["Full"]}, "refresh.type"),
    ({"commitMode": "all"}, "refresh.commitMode"),
    ({"commitMode": "PartialBatch"}, "refresh.applyRefreshPolicy"),
    ({"commitMode": "PartialBatch", "applyRefreshPolicy": True}, "refresh.applyRefreshPolicy"),
    ({"type": "calculate", "applyRefreshPolicy": True}, "refresh.applyRefreshPolicy"),
    ({"type": "clearValues", "applyRefreshPolicy": "true"}, "refresh.applyRefreshPolicy"),
    ({"type": "defragment", "applyRefreshPolicy": True}, "refresh.applyRefreshPolicy"),
    ({"objects": [{"table": "T", "partition": "P"}], "applyRefreshPolicy": True}, "refresh.applyRefreshPolicy"),
    (
        {"objects": [{"table": "S"}, {"table": "T", "partition": "P"}], "applyRefreshPolicy": "TRUE"},
        "refresh.applyRefreshPolicy",
    ),
    ({"effectiveDate": "2026-03-31", "applyRefreshPolicy": False}, "refresh.effectiveDate"),
    ({"effectiveDate": "2026-03-31", "type": "calculate"}, "refresh.effectiveDate"),
    ({"effectiveDate": "2026-03-31", "type": "defragment", "applyRefreshPolicy": False}, "refresh.effectiveDate"),
    ({"effectiveDate": "2026-03-31", "objects": [{"table": "T", "partition": "P"}]}, "refresh.effectiveDate"),
    (
        {"effectiveDate": "2026-03-31", "commitMode": "partialBatch", "applyRefreshPolicy": False},
        "refresh.effectiveDate",
    ),
    ({"maxParallelism": 0}, "refresh.maxParallelism"),
    ({"maxParallelism": "1001"}, "refresh.maxParallelism"),
    ({"retryCount": "2.5"}, "refresh.retryCount"),
    ({"retryCount": "-1"}, "refresh.retryCount"),
    ({"retryCount": ""}, "refresh.retryCount"),
    ({"maxParallelism": True}, "refresh.maxParallelism"),
    ({"maxParallelism": 1.5}, "refresh.maxParallelism"),
    ({"maxParallelism": float("inf")}, "refresh.maxParallelism"),
    ({"retryCount": -1}, "refresh.retryCount"),
    ({"retryCount": "1e3"}, "refresh.retryCount"),
    ({"retryCount": "٣"}, "refresh.retryCount"),
    ({"applyRefreshPolicy": 1}, "refresh.applyRefreshPolicy"),
    ({"applyRefreshPolicy": "yes"}, "refresh.applyRefreshPolicy"),
    ({"timeout": "24:00:00"}, "refresh.timeout"),
    ({"timeout": "00:00:00"}, "refresh.timeout"),
    ({"timeout": "1:00"}, "refresh.timeout"),
    ({"timeout": "01:00:00\n02:00:00"}, "refresh.timeout"),
    ({"timeout": 3600}, "refresh.timeout"),
    ({"effectiveDate": "2026-02-30"}, "refresh.effectiveDate"),
    ({"effectiveDate": "31.3.2026"}, "refresh.effectiveDate"),
    ({"effectiveDate": 20260331}, "refresh.effectiveDate"),
    ({"objects": []}, "refresh.objects"),
    ({"objects": {"table": "Sales"}}, "refresh.objects"),
    ({"objects": [{"table": "T"}] * (MAX_OBJECTS + 1)}, "refresh.objects"),
    ({"objects": ["Sales"]}, "refresh.objects[0]"),
    ({"objects": [{"table": "Sales"}, {"partition": "P"}]}, "refresh.objects[1].table"),
    ({"objects": [{"table": "Sales"}, {"table": " "}]}, "refresh.objects[1].table"),
    ({"objects": [{"table": "Sales", "partition": 2026}]}, "refresh.objects[0].partition"),
    ({"objects": [{"table": "Sales", "partitions": []}]}, "refresh.objects[0].partitions"),
    ({"objects": [{"table": "x" * 513}]}, "refresh.objects[0].table"),
    ({"objects": [{"table": "a\x00b"}]}, "refresh.objects[0].table"),
    ({"objects": [{"table": "\ud800"}]}, "refresh.objects[0].table"),
]


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_options_have_a_canonical_form(value: dict[str, Any], expected: dict[str, Any]) -> None:
    """The canonical form has Power BI's casing, real numbers and booleans, and always a type."""
    assert check_options(value) == expected


@pytest.mark.parametrize(("value", "target"), BAD)
def test_options_that_power_bi_would_refuse_are_refused_by_name(value: object, target: str) -> None:
    """The target of the error names the place. The message is complete even without the target."""
    with pytest.raises(OptionError) as caught:
        check_options(value)
    assert caught.value.target == target
    assert caught.value.message.startswith(f'"{target}"')
    assert caught.value.message.endswith(".")


def test_an_empty_object_is_a_standard_refresh() -> None:
    """An empty object means a standard refresh, as an empty body does for Power BI."""
    assert check_options({}) is None


def test_the_body_of_a_standard_refresh_is_only_its_notify_option() -> None:
    """Any other key would make the refresh an enhanced one, which shared capacities refuse."""
    assert refresh_body(None, "MailOnFailure") == {"notifyOption": "MailOnFailure"}


def test_the_body_of_an_enhanced_refresh_has_a_type_and_no_notify_option() -> None:
    """Without a type, Power BI would refresh only tables that it considers out of date."""
    assert refresh_body(RefreshOptions(retry_count=2)) == {"type": "Full", "retryCount": 2}
    assert refresh_body(RefreshOptions(type="Calculate")) == {"type": "Calculate"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = [
    "type",
    "commitMode",
    "maxParallelism",
    "retryCount",
    "objects",
    "applyRefreshPolicy",
    "effectiveDate",
    "timeout",
]


@given(JSON | st.dictionaries(st.sampled_from(KEYS), JSON | st.lists(st.dictionaries(st.just("table"), JSON))))
def test_any_json_is_checked_or_refused(value: Any) -> None:
    """Any value is accepted or raises OptionError. An accepted value is canonical: checking it again changes
    nothing."""
    try:
        options = check_options(value)
    except OptionError:
        return
    assert options is None or check_options(json.loads(json.dumps(options))) == options
