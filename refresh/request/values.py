"""Reads the values of a request's body by key. Numbers and booleans follow `refresh.scope.values`."""

import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from uuid import UUID

from refresh.scope import values
from refresh.scope.values import OptionError
from refresh.text import cut

T = TypeVar("T")

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class BadRequestError(ValueError):
    """A request that cannot be accepted. `target` names the key at fault; nothing has been started."""

    def __init__(self, message: str, target: str | None = None, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.message, self.target, self.code = message, target, code

    def to_json(self) -> dict[str, object]:
        """The body of a 400 answer."""
        return {"error": {"code": self.code, "message": self.message, "target": self.target}}


def guid(value: Mapping[str, object], key: str) -> UUID:
    """A required GUID. uuid.UUID alone would accept braces, urn: and missing hyphens, which Power BI does not use."""
    text = value.get(key)
    if text is None:
        raise BadRequestError(f'"{key}" is required.', key)
    if not isinstance(text, str) or not _GUID.fullmatch(text):
        raise BadRequestError(f'"{key}" must be a GUID such as 01234567-89ab-cdef-0123-456789abcdef.', key)
    return UUID(text)


def choice(value: Mapping[str, object], key: str, choices: tuple[str, ...]) -> str:
    """One of several words, case-insensitive; the first one if the key is missing."""
    text = value.get(key, choices[0])
    for word in choices:
        if isinstance(text, str) and text.lower() == word.lower():
            return word
    raise BadRequestError(f'"{key}" must be one of {", ".join(choices)}.', key)


def boolean(value: Mapping[str, object], key: str, *, default: bool) -> bool:
    """true or false, also as a string."""
    return _checked(lambda: values.boolean(value.get(key, default), key))


def number(value: Mapping[str, object], key: str, default: float) -> float:
    """A number, also as a string. It can be out of range, or NaN: write comparisons so that NaN fails."""
    return _checked(lambda: values.number(value.get(key, default), key))


def whole_number(value: Mapping[str, object], key: str, highest: int, default: int = 0) -> int:
    """A whole number from 0 to `highest`, also as a string or in a form such as 3.0."""
    return _checked(lambda: values.whole_number(value.get(key, default), key, 0, highest))


def shown_key(key: str) -> str:
    """A caller's own key, safe for an error message: shortened, without line breaks or control characters."""
    return cut(repr(key)[1:-1], 64)


def shown_keys(keys: list[str]) -> str:
    """The names of keys as an error message lists them."""
    return ", ".join(f'"{key}"' for key in keys)


def _checked(read: Callable[[], T]) -> T:
    try:
        return read()
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None
