"""Checks of the values that callers send to the control routes; every refusal names the key."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[object], Any]
"""Returns the checked value; raises Refusal with the end of a sentence that begins with the key."""

Range = tuple[float, float]
"""A range in seconds, from which a value is drawn."""
YEAR = 366 * 86_400
"""A year in seconds: longer than any wait, and short enough to be added to a date."""

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class BadControl(ValueError):  # noqa: N818
    """A control call that cannot be carried out; the message names the key."""


class Refusal(Exception):  # noqa: N818
    """Why a value is invalid, as the end of a sentence."""


def checked(values: object, checks: Mapping[str, Check], what: str) -> dict[str, Any]:
    """The values of a JSON object by key. Raises BadControl for unknown keys and for invalid values."""
    if not isinstance(values, Mapping):
        raise BadControl(f"{what}: a JSON object is needed")
    found = {}
    for key, value in values.items():
        if key not in checks:
            raise BadControl(f"{what}: unknown key {key!r}; known keys: {', '.join(checks)}")
        try:
            found[key] = checks[key](value)
        except Refusal as problem:
            raise BadControl(f'{what}: "{key}" {problem}') from None
    return found


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Refusal("must be true or false")
    return value


def text(value: object) -> str:
    """Any text that is not empty."""
    if not isinstance(value, str) or not value:
        raise Refusal("must be a string that is not empty")
    return value


def dataset_id(value: object) -> str:
    """The id of a model in lower case. Raises BadControl."""
    try:
        return guid(str(value))
    except Refusal as problem:
        raise BadControl(f'"datasetId" {problem}') from None


def guid(value: object) -> str:
    """A GUID, in lower case."""
    if not isinstance(value, str) or not GUID.fullmatch(value.lower()):
        raise Refusal("must be a GUID")
    return value.lower()


def optional(check: Check) -> Check:
    """The same check, which also accepts None."""
    return lambda value: None if value is None else check(value)


def one_of(*words: object) -> Check:
    """One of the given words or numbers."""

    def check(value: object) -> object:
        # excludes True, which is equal to 1
        if isinstance(value, bool) or value not in words:
            raise Refusal(f"must be one of {', '.join(map(str, words))}")
        return value

    return check


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`."""

    def check(value: object) -> float:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not fits or not low <= float(value) <= high:  # type: ignore[arg-type]
            raise Refusal(f"must be a number from {low} to {high}")
        return float(value)  # type: ignore[arg-type]

    return check


def whole(low: int) -> Check:
    """A whole number, at least `low`."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise Refusal(f"must be a whole number from {low}")
        return value

    return check


def seconds(value: object) -> Range:
    """A number of seconds, or `[least, most]`: a range from which values are drawn, depending on the seed."""
    single = number(0, YEAR)
    if not isinstance(value, list | tuple):
        fixed: float = single(value)
        return fixed, fixed
    if len(value) != 2:
        raise Refusal("must be seconds or [least, most]")
    low, high = (single(end) for end in value)
    if low > high:
        raise Refusal("must be [least, most]")
    return low, high


def list_of(check: Check) -> Check:
    """A list of valid values, as a tuple."""

    def every(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Refusal("must be a list")
        return tuple(check(entry) for entry in value)

    return every


def fields(**checks: Check) -> Check:
    """A JSON object with these keys, all optional."""

    def check(value: object) -> dict[str, Any]:
        try:
            return checked(value, checks, "entry")
        except BadControl as problem:
            raise Refusal(f"has a bad {problem}") from None

    return check
