"""Route templates as the Functions host's router (ASP.NET) reads them. First match in order of registration wins."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
Values = dict[str, str | None]


class BadTemplate(Exception):  # noqa: N818
    """A route the platform refuses."""


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    optional: bool
    catch_all: bool
    default: str | None
    constraints: tuple[Callable[[str], bool], ...]

    def accepts(self, value: str) -> bool:
        return all(constraint(value) for constraint in self.constraints)


_Segment = list[str | _Parameter]


class Template:
    """One route template, e.g. `items/{n:int}`, `files/{*rest}`, `d/{x=5}`, `dot/{a}.{b?}`. Raises BadTemplate."""

    def __init__(self, text: str) -> None:
        if text.startswith(("/", "~")):
            raise BadTemplate(f"route {text!r} starts with {text[0]!r}; the host refuses it: leave that out")
        self.text = text
        self._segments = [_segment(s, text) for s in _split(text.strip("/"), text)]

    def match(self, path: list[str]) -> Values | None:
        """The values for a path cut at its slashes (still percent-encoded); None if it does not match."""
        values: Values = {}
        for n, segment in enumerate(self._segments):
            first = segment[0]
            if isinstance(first, _Parameter) and first.catch_all:
                rest = "/".join(path[n:])
                values[first.name] = decode(rest) if rest else first.default
                return values
            if n >= len(path):
                if not (len(segment) == 1 and isinstance(first, _Parameter)):
                    return None
                if first.default is not None:
                    values[first.name] = first.default
                elif not first.optional:
                    return None
                continue
            if not _match_segment(segment, path[n], values):
                return None
        return values if len(path) <= len(self._segments) else None


class Router(Generic[T]):
    """Routes in the order they are added."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = [p.lower() for p in prefix.strip("/").split("/") if p]
        self._routes: list[tuple[Template, frozenset[str], T]] = []

    def add(self, template: str, methods: Iterable[str], target: T) -> None:
        """No methods means every method."""
        self._routes.append((Template(template), frozenset(m.upper() for m in methods), target))

    def find(self, method: str, raw_path: str) -> tuple[T, Values] | None:
        """The first route for a method and a percent-encoded path; None: 404, also for a wrong method."""
        parts = raw_path.removeprefix("/").removesuffix("/").split("/")
        if [p.lower() for p in parts[: len(self._prefix)]] != self._prefix:
            return None
        path = parts[len(self._prefix) :]
        if path == [""]:
            path = []
        if "" in path:
            return None
        for template, methods, target in self._routes:
            if not methods or method.upper() in methods:
                values = template.match(path)
                if values is not None:
                    return target, values
        return None


def decode(text: str) -> str:
    """Percent-decoding as ASP.NET does it: an encoded slash stays encoded."""
    return "".join(part if part.lower() == "%2f" else unquote(part) for part in re.split("(%2[fF])", text))


def _match_segment(segment: _Segment, text: str, values: Values) -> bool:
    if len(segment) == 1 and isinstance(segment[0], str):
        return decode(text).lower() == segment[0].lower()
    shapes = [segment]
    last = segment[-1]
    if len(segment) > 2 and isinstance(last, _Parameter) and last.optional and segment[-2] == ".":
        shapes.append(segment[:-2])
    for shape in shapes:
        parameters = [p for p in shape if isinstance(p, _Parameter)]
        pattern = "".join(re.escape(p) if isinstance(p, str) else "(.+)" for p in shape)
        found = re.fullmatch(pattern, decode(text), re.IGNORECASE | re.DOTALL)
        if found and all(p.accepts(v) for p, v in zip(parameters, found.groups(), strict=True)):
            values.update((p.name, v) for p, v in zip(parameters, found.groups(), strict=True))
            return True
    return False


def _split(text: str, whole: str) -> list[str]:
    """Cuts at slashes outside braces."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
        if depth < 0:
            raise BadTemplate(f"route {whole!r} has a brace too many")
    if depth:
        raise BadTemplate(f"route {whole!r} has an unclosed brace")
    return [p for p in [*parts, current] if p]


def _segment(text: str, whole: str) -> _Segment:
    segment: _Segment = []
    rest = text
    while rest:
        if not rest.startswith("{"):
            literal, brace, rest = rest.partition("{")
            segment.append(literal)
            rest = brace + rest
            continue
        end = _closing(rest)
        segment.append(_parameter(rest[1:end], whole))
        rest = rest[end + 1 :]
    return segment


def _closing(text: str) -> int:
    depth = 0
    for n, character in enumerate(text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return n
    raise BadTemplate(f"unclosed brace in {text!r}")


def _parameter(text: str, whole: str) -> _Parameter:
    catch_all = text.startswith("*")
    text = text.lstrip("*")
    name = re.match(r"[^:=?]*", text)[0]  # type: ignore[index]
    if not name:
        raise BadTemplate(f"route {whole!r} has a parameter without a name")
    rest = text[len(name) :]
    constraints: list[Callable[[str], bool]] = []
    while rest.startswith(":"):
        written, rest = _constraint_text(rest[1:])
        constraints.append(_constraint(written, whole))
    default = rest[1:] if rest.startswith("=") else None
    return _Parameter(name, rest == "?", catch_all, default, tuple(constraints))


def _constraint_text(text: str) -> tuple[str, str]:
    depth = 0
    for n, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in ":=?":
            return text[:n], text[n:]
    return text, ""


def _constraint(text: str, whole: str) -> Callable[[str], bool]:
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
