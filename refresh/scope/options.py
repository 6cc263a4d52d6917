"""The options of an enhanced refresh: checked before they are sent, and converted to one canonical form.

Power BI answers 202 to most mistakes and fails the refresh minutes later, so mistakes that can be detected here are
refused here. Sources: Microsoft's "Enhanced refresh with the Power BI REST API" and the reference of
refresh-dataset-in-group.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from refresh.scope.values import OptionError, boolean, whole_number
from refresh.text import cut

__all__ = ["OptionError", "check_options"]

TYPES = ("Full", "ClearValues", "Calculate", "DataOnly", "Automatic", "Defragment")
COMMIT_MODES = ("Transactional", "PartialBatch")
WITHOUT_POLICY = ("ClearValues", "Calculate", "Defragment")
"""Types that cannot be combined with incremental refresh policies."""
MAX_OBJECTS = 1000
MAX_NAME = 512
MAX_PARALLELISM = 1000
MAX_RETRIES = 100

_TIMEOUT = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,7})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)

Json = dict[str, Any]


def check_options(value: object) -> Json | None:
    """The options in canonical form: known keys in fixed order, Power BI's casing, real numbers, an explicit type.

    So requests with the same meaning compare equal. None for an empty object, which is a standard refresh by Power BI's
    own rule. Raises OptionError for the first option that cannot be used.
    """
    if not isinstance(value, dict):
        raise OptionError("refresh", '"refresh" must be an object of options for an enhanced refresh.')
    for key in value:
        if key not in _CHECKS:
            target = f"refresh.{cut(str(key), 64)}"
            hint = ' Put it next to "refresh", not inside it.' if key == "notifyOption" else ""
            raise OptionError(target, f'"{target}" is not a known option.{hint} Known options: {", ".join(_CHECKS)}.')
    if not value:
        return None
    # Power BI's own default is Automatic, which can complete without loading any data
    value = {"type": "Full", **value}
    options = {key: check(value[key], f"refresh.{key}") for key, check in _CHECKS.items() if key in value}
    _check_policy(options)
    if options["type"] in WITHOUT_POLICY:
        # Power BI applies policies by default, but these types cannot be combined with policies
        options["applyRefreshPolicy"] = False
    return {key: options[key] for key in _CHECKS if key in options}


def _check_policy(options: Json) -> None:
    """Refuses options that conflict with an incremental refresh policy, whether or not a table has one."""
    policy, target = options.get("applyRefreshPolicy"), "refresh.applyRefreshPolicy"
    if options.get("commitMode") == "PartialBatch" and policy is not False:
        raise OptionError(
            target,
            f'"{target}" must be false if "refresh.commitMode" is PartialBatch; otherwise, the refresh would fail.',
        )
    if options["type"] in WITHOUT_POLICY and policy is True:
        raise OptionError(
            target,
            f'"{target}" cannot be true: the type {options["type"]} cannot be combined with refresh policies.',
        )
    partitions = any("partition" in entry for entry in options.get("objects", ()))
    if partitions and policy is True:
        raise OptionError(
            target,
            f'"{target}" must be false if "refresh.objects" names partitions: a refresh policy selects the '
            "partitions itself.",
        )
    if "effectiveDate" not in options:
        return
    target = "refresh.effectiveDate"
    if policy is False:
        raise OptionError(target, f'"{target}" needs a refresh policy, but "refresh.applyRefreshPolicy" is false.')
    if options["type"] in WITHOUT_POLICY:
        raise OptionError(target, f'"{target}" needs a refresh policy, but the type {options["type"]} applies none.')
    if partitions:
        raise OptionError(target, f'"{target}" needs a refresh policy, which cannot apply to individual partitions.')


def _one_of(choices: tuple[str, ...]) -> Callable[[object, str], str]:
    def check(value: object, target: str) -> str:
        for choice in choices:
            if isinstance(value, str) and value.strip().lower() == choice.lower():
                return choice
        raise OptionError(target, f'"{target}" must be one of {", ".join(choices)}.')

    return check


def _whole_number(lowest: int, highest: int) -> Callable[[object, str], int]:
    return lambda value, target: whole_number(value, target, lowest, highest)


def _objects(value: object, target: str) -> list[dict[str, str]]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_OBJECTS:
        raise OptionError(
            target, f'"{target}" must be a list of 1 to {MAX_OBJECTS} tables; leave it out for the whole model.'
        )
    return [_object(entry, f"{target}[{index}]") for index, entry in enumerate(value)]


def _object(value: object, target: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise OptionError(target, f'"{target}" must be an object with the key "table" and optionally "partition".')
    for key in value:
        if key not in ("table", "partition"):
            unknown = f"{target}.{cut(str(key), 64)}"
            raise OptionError(unknown, f'"{unknown}" is not a known key; the known keys are "table" and "partition".')
    if "table" not in value:
        raise OptionError(f"{target}.table", f'"{target}.table" is required.')
    return {key: _name(value[key], f"{target}.{key}") for key in ("table", "partition") if key in value}


def _name(value: object, target: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME:
        raise OptionError(target, f'"{target}" must be a name of 1 to {MAX_NAME} characters.')
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise OptionError(target, f'"{target}" must not contain control characters.')
    return value


def _effective_date(value: object, target: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if _DATE.fullmatch(text) and _exists(text):
        return text
    raise OptionError(target, f'"{target}" must be a date such as 2026-03-31 or 2026-03-31T00:00:00Z.')


def _exists(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
        # fractions of a second do not matter here
        datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    except ValueError:
        return False
    return True


def _timeout(value: object, target: str) -> str:
    match = _TIMEOUT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not any(int(part) for part in match.groups()):
        raise OptionError(target, f'"{target}" must be hh:mm:ss above zero, at most 23:59:59, such as 05:00:00.')
    return f"{int(match[1]):02}:{match[2]}:{match[3]}"


_CHECKS: dict[str, Callable[[object, str], Any]] = {
    "type": _one_of(TYPES),
    "commitMode": _one_of(COMMIT_MODES),
    "maxParallelism": _whole_number(1, MAX_PARALLELISM),
    "retryCount": _whole_number(0, MAX_RETRIES),
    "objects": _objects,
    "applyRefreshPolicy": boolean,
    "effectiveDate": _effective_date,
    "timeout": _timeout,
}
