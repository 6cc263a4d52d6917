"""The constraints of route parameters, e.g. `int` in `{n:int}`, as ASP.NET reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime


class BadTemplate(Exception):  # noqa: N818
    """A route that the platform refuses."""


def constraint(text: str, whole: str) -> Callable[[str], bool]:
    name, _, tail = text.partition("(")
    argument = tail.removesuffix(")")
    simple: Mapping[str, Callable[[str], bool]] = {
        "int": lambda v: _integer(v, 31),
        "long": lambda v: _integer(v, 63),
        "alpha": lambda v: re.fullmatch("[a-zA-Z]*", v) is not None,
        "bool": lambda v: v.lower() in ("true", "false"),
        "guid": _guid,
        "datetime": _datetime,
        "decimal": _number,
        "double": _number,
        "float": _number,
        "required": bool,
    }
    if not tail and name in simple:
        return simple[name]
    if name == "regex":
        pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
        return lambda v: pattern.search(v) is not None
    numbers = [int(n) for n in argument.split(",")] if re.fullmatch(r"\s*-?\d+\s*(,\s*-?\d+\s*)?", argument) else []
    if name == "length" and numbers:
        return lambda v: numbers[0] <= len(v) <= numbers[-1]
    if name == "minlength" and numbers:
        return lambda v: len(v) >= numbers[0]
    if name == "maxlength" and numbers:
        return lambda v: len(v) <= numbers[0]
    if name == "min" and numbers:
        return lambda v: _integer(v, 63) and int(v) >= numbers[0]
    if name == "max" and numbers:
        return lambda v: _integer(v, 63) and int(v) <= numbers[0]
    if name == "range" and len(numbers) == 2:
        return lambda v: _integer(v, 63) and numbers[0] <= int(v) <= numbers[1]
    raise BadTemplate(f"route {whole!r} has the unknown constraint {text!r}")


def _integer(value: str, bits: int) -> bool:
    return re.fullmatch(r"\s*[+-]?\d+\s*", value) is not None and -(2**bits) <= int(value) < 2**bits


def _number(value: str) -> bool:
    try:
        float(value.replace(",", ""))
    except ValueError:
        return False
    return True


def _guid(value: str) -> bool:
    digits = "[0-9a-fA-F]"
    dashed = f"{digits}{{8}}-{digits}{{4}}-{digits}{{4}}-{digits}{{4}}-{digits}{{12}}"
    return re.fullmatch(rf"{dashed}|{digits}{{32}}|\{{{dashed}\}}|\({dashed}\)", value) is not None


def _datetime(value: str) -> bool:
    for shape in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %I:%M%p", "%m/%d/%Y", "%m-%d-%Y"):
        try:
            datetime.strptime(value, shape)  # noqa: DTZ007
        except ValueError:
            continue
        return True
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
