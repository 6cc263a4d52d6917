"""Reading the values of a request's body: one rule for all keys.

Pipelines send parameters as text, and some tools write every number with a fraction, so a number or a boolean is taken
as text, too, and a whole number with a fraction of zero.
"""

import re
from collections.abc import Mapping
from uuid import UUID

from refresh.text import cut

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?")


class BadRequestError(ValueError):
    """The request cannot be served as it is. `target` names the offending key; nothing has been started."""

    def __init__(self, message: str, target: str | None = None, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.message, self.target, self.code = message, target, code

    def to_json(self) -> dict[str, object]:
        """The body of a 400 answer."""
        return {"error": {"code": self.code, "message": self.message, "target": self.target}}


def guid(value: Mapping[str, object], key: str) -> UUID:
    """A required GUID. uuid.UUID alone would take braces, urn: and missing hyphens, which Power BI does not write."""
    text = value.get(key)
    if text is None:
        raise BadRequestError(f"{key} is required.", key)
    if not isinstance(text, str) or not _GUID.fullmatch(text):
        raise BadRequestError(f"{key} must be a GUID such as 01234567-89ab-cdef-0123-456789abcdef.", key)
    return UUID(text)


def choice(value: Mapping[str, object], key: str, choices: tuple[str, ...]) -> str:
    """One of some words, in any case; the first if the key is missing."""
    text = value.get(key, choices[0])
    for word in choices:
        if isinstance(text, str) and text.lower() == word.lower():
            return word
    raise BadRequestError(f"{key} must be one of {', '.join(choices)}.", key)


def boolean(value: Mapping[str, object], key: str, *, default: bool) -> bool:
    """true or false, also as text."""
    given = value.get(key, default)
    if isinstance(given, str) and given.strip().lower() in ("true", "false"):
        return given.strip().lower() == "true"
    if not isinstance(given, bool):
        raise BadRequestError(f"{key} must be true or false.", key)
    return given


def number(value: Mapping[str, object], key: str, default: float) -> float:
    """A number, also as text. It may be out of any range, or not a number at all (NaN): compare so that NaN fails."""
    given = value.get(key, default)
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        return float(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise BadRequestError(f"{key} must be a number.", key)
    return float(given) if abs(given) < 1e300 else float("nan")


def whole_number(value: Mapping[str, object], key: str, most: int, default: int = 0) -> int:
    """A whole number from 0 to `most`, also as text or with a fraction of zero."""
    try:
        given = number(value, key, default)
    except BadRequestError:
        given = -1.0
    if not (0 <= given <= most and given.is_integer()):
        raise BadRequestError(f"{key} must be a whole number from 0 to {most}.", key)
    return int(given)


def shown(key: str) -> str:
    """A caller's own key as an error may show it: cut, without line breaks and control characters."""
    return cut(repr(key)[1:-1], 64)
