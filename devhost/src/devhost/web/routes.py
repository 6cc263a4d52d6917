"""Route templates of the Functions host's router (ASP.NET). The first match in order of registration is used."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

from devhost.web.constraints import BadTemplate, constraint

T = TypeVar("T")
Values = dict[str, str | None]


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
            raise BadTemplate(f"route {text!r} starts with {text[0]!r}, which the host refuses: remove this character")
        self.text = text
        self._segments = [_segment(s, text) for s in _split(text.strip("/"), text)]

    def match(self, path: list[str]) -> Values | None:
        """The values for a path, given as its percent-encoded segments; None if it does not match."""
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

    def example_with(self, other: Template) -> str | None:
        """A path that both templates match, built from their literals and a few sample values; None if none was
        found."""
        most = max(len(self._segments), len(other._segments))
        for length in range(most, -1, -1):
            path: list[str] = []
            for n in range(length):
                ours, theirs = self._segment_at(n), other._segment_at(n)
                matches = (t for t in _samples(ours, theirs) if _fits(ours, t) and _fits(theirs, t))
                path.append(next(matches, ""))
            if "" not in path and self.match(path) is not None and other.match(path) is not None:
                return "/".join(path)
        return None

    def _segment_at(self, n: int) -> _Segment | None:
        return self._segments[n] if n < len(self._segments) else None


class Router(Generic[T]):
    """Routes in the order of registration."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = [p.lower() for p in prefix.strip("/").split("/") if p]
        self._routes: list[tuple[Template, frozenset[str], T]] = []

    def add(self, template: str, methods: Iterable[str], target: T) -> None:
        """Adds a route. Without methods it is for all methods."""
        self._routes.append((Template(template), frozenset(m.upper() for m in methods), target))

    def find(self, method: str, raw_path: str) -> tuple[T, Values] | None:
        """The first route for a method and a percent-encoded path; None (404) even if only the method is wrong."""
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

    def overlaps(self) -> Iterator[tuple[T, T, str]]:
        """Pairs of targets whose routes match the same request, with an example path. The first of a pair gets the
        request."""
        for n, (template, methods, target) in enumerate(self._routes):
            for later, other_methods, other in self._routes[n + 1 :]:
                if methods and other_methods and not methods & other_methods:
                    continue
                example = template.example_with(later)
                if example is not None:
                    yield target, other, "/".join([*self._prefix, example])


_USUAL = ("x", "1", "true", "abc", "00000000-0000-0000-0000-000000000000", "2026-01-01", "1.5", "100")


def _samples(*segments: _Segment | None) -> Iterator[str]:
    """Sample texts for two segments; the literals of either come first."""
    for segment in segments:
        if segment and all(isinstance(part, str) for part in segment):
            yield "".join(part for part in segment if isinstance(part, str))
    for usual in _USUAL:
        for segment in segments:
            yield "".join(part if isinstance(part, str) else usual for part in segment or [])
        yield usual


def _fits(segment: _Segment | None, text: str) -> bool:
    """Whether a segment matches a text. A missing segment counts as a match, because a catch-all may match there;
    match() decides."""
    if segment is None or (isinstance(segment[0], _Parameter) and segment[0].catch_all):
        return True
    return _match_segment(segment, text, {})


def decode(text: str) -> str:
    """Percent-decoding as in ASP.NET: an encoded slash stays encoded."""
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
    """Splits at slashes outside braces."""
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
        constraints.append(constraint(written, whole))
    default = rest[1:] if rest.startswith("=") else None
    return _Parameter(name, rest == "?", catch_all, default, tuple(constraints))


def _constraint_text(text: str) -> tuple[str, str]:
    depth = 0
    for n, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in ":=?":
            return text[:n], text[n:]
    return text, ""
