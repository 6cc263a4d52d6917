"""Values as callers send them: one rule for numbers and booleans, wherever they occur in a request.

Pipelines send every parameter as text, and some tools write every number with a fraction. So `2`, `2.0` and `"2"` are
the same number, `true` and `"True"` the same boolean. No other forms are accepted.
"""

import math
import re

_WHOLE = re.compile(r"[0-9]{1,9}(?:\.0{1,9})?", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)


class OptionError(ValueError):
    """A value that cannot be used. `target` names its place, such as `refresh.objects[2].table`."""

    def __init__(self, target: str, message: str) -> None:
        super().__init__(message)
        self.target, self.message = target, message


def whole_number(value: object, target: str, lowest: int, highest: int) -> int:
    """A whole number within bounds. Raises OptionError."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
        return value
    raise OptionError(target, f'"{target}" must be a whole number from {lowest} to {highest}.')


def number(value: object, target: str) -> float:
    """A number. It can be infinite or NaN: write comparisons so that NaN fails. Raises OptionError."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise OptionError(target, f'"{target}" must be a number.')
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def boolean(value: object, target: str) -> bool:
    """True or false. Raises OptionError."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise OptionError(target, f'"{target}" must be true or false.')
