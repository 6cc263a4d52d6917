"""Failures in the wording of public reports, and the expected errors for callers: `reports.json`.

The keys of a report:

* `name`, and `why`: the reason for the report.
* `failed`: Power BI's data about the failed refresh (`serviceExceptionJson`, `messages`, `objects`), and `enhanced`.
* `answers`, instead of `failed`: the HTTP answers by kind of call, in order. "works" is a normal answer.
* `then`: true if later refreshes complete.
* `request`: the options of the caller. `callers`: the options of each caller, if there are several.
* `expect`: the expected answer for the caller, or a list with one for each caller.

The keys of an expected answer:

* `http`, `status`, and keys of `error`.
* `says`: texts that the message contains. `not`: texts that it does not contain.
* `action_says`: texts that the action contains.
* `refreshes`: the number of refreshes.
"""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

REPORTS: dict[str, Json] = {
    report["name"]: report for report in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
}
OF_REFRESHES = [name for name, report in REPORTS.items() if "failed" in report]
OF_CALLS = [name for name, report in REPORTS.items() if "answers" in report]
_KEYS = ("code", "serviceCode", "table", "partition", "retryable")


def text_of(value: object) -> str:
    """The text of a `serviceExceptionJson`, which reports contain as text or as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def first_expectation(report: Json) -> Json:
    """The expectation for the first caller."""
    expected = report["expect"]
    return dict(expected[0] if isinstance(expected, list) else expected)


def differences(error: Json, expected: Json) -> list[str]:
    """The differences of an error object from the expected one."""
    message, action = error.get("message", "").lower(), (error.get("action") or "").lower()
    found = [f"{key} is {error.get(key)!r}" for key in _KEYS if key in expected and error.get(key) != expected[key]]
    found += [f"message without {part!r}" for part in expected.get("says", ()) if part.lower() not in message]
    found += [f"message with {part!r}" for part in expected.get("not", ()) if part.lower() in message]
    found += [f"action without {part!r}" for part in expected.get("action_says", ()) if part.lower() not in action]
    return found
