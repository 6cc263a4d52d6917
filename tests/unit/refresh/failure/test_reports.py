"""Every publicly reported failure is reported with its cause."""

import json
from functools import partial
from typing import Any

import msgspec
import pytest

from power_bi.errors import PowerBiError, Throttled
from refresh.history.blame import concerns
from refresh.history.outcome import judge
from refresh.history.rows import parse_details
from refresh.scope.scope import TableRef
from tests.reports import OF_CALLS, OF_REFRESHES, REPORTS, differences, first_expectation, text_of
from tests.unit.power_bi.fake import DATASET, REFRESH, WORKSPACE, client, reply
from tests.unit.refresh.failure.wording import MODEL, failure_of

Json = dict[str, Any]


def row_of(report: Json) -> Json:
    """The row that is read for the failed refresh."""
    failed = {key: value for key, value in report["failed"].items() if key != "enhanced"}
    if "serviceExceptionJson" in failed:
        failed["serviceExceptionJson"] = text_of(failed["serviceExceptionJson"])
    return failed


@pytest.mark.parametrize("name", OF_REFRESHES)
def test_a_failed_refresh(name: str) -> None:
    """The error has the code, the table, whether a retry helps, and the service's own text."""
    expected = first_expectation(REPORTS[name])
    if expected.get("http") == 200:
        # a retry succeeds, so the first failure must count as a transient one
        expected = {"retryable": True}
    error = msgspec.to_builtins(failure_of(row_of(REPORTS[name])))
    assert not differences(error, expected)
    assert len(error["message"]) <= 500


@pytest.mark.parametrize("name", OF_CALLS)
def test_a_refused_call(name: str) -> None:
    """The reports are answers before a refresh starts: a throttle, or a refusal with its reason."""
    report = REPORTS[name]
    ((kind, answers),) = report["answers"].items()
    for status, headers, body in (answer for answer in answers if answer != "works"):
        content = body.encode() if isinstance(body, str) else body
        power_bi, _ = client(reply(status, content, **{key.replace("-", "_"): text for key, text in headers.items()}))
        call = partial(power_bi.start, body={"type": "Full"}) if kind == "start" else power_bi.history
        with pytest.raises(PowerBiError) as caught:
            call(WORKSPACE, DATASET)
        expected = first_expectation(report)
        if expected["http"] == 200:
            assert isinstance(caught.value, Throttled)
        else:
            assert not differences(msgspec.to_builtins(caught.value.failure()), expected)


def test_only_the_request_for_the_failed_table_fails() -> None:
    """Two callers share a refresh. One table fails, and the other is cancelled because of this."""
    report = REPORTS["innocent-caller-of-a-merged-refresh"]
    details = parse_details({"status": "Failed", **row_of(report)}, REFRESH)
    assert details is not None
    outcome = judge(details, MODEL)
    assert outcome is not None
    scopes = [[TableRef(entry["table"]) for entry in caller["refresh"]["objects"]] for caller in report["callers"]]
    concerned = concerns(outcome)
    assert [any(map(concerned, objects)) for objects in scopes] == [want["http"] != 200 for want in report["expect"]]


def test_all_kinds_are_present() -> None:
    """The file has reports of each kind."""
    assert len(REPORTS) >= 28
    assert len(OF_REFRESHES) + len(OF_CALLS) == len(REPORTS)
    assert json.dumps(REPORTS)
