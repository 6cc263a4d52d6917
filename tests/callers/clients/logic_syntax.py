"""The Workflow Definition Language: parses the strings of a definition into literals and expression trees.

A text is an expression if it begins with `@`, a template if it contains `@{...}`, else a literal; `@@` means `@`.
Source: the workflow definition language reference of Azure Logic Apps.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass


class ExpressionError(ValueError):
    """A string is not a valid expression. The message has the fault and its place."""


@dataclass(frozen=True)
class Literal:
    """A text, a number, true, false or null."""

    value: str | int | float | bool | None


@dataclass(frozen=True)
class Call:
    """`name(argument, ...)`. The name is stored in lower case, because names are case-insensitive."""

    name: str
    arguments: tuple["Node", ...]


@dataclass(frozen=True)
class Access:
    """`target.key` or `target['key']`. `safe`: it has a `?`, with which a missing property is null."""

    target: "Node"
    key: "Node"
    safe: bool


@dataclass(frozen=True)
class Template:
    """A text with expressions in it."""

    parts: tuple["Node", ...]


Node = Literal | Call | Access | Template

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\?\.|\?\[|[()\[\],.]))"
)
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def parse_text(text: str) -> Node:
    """Parses a string of a definition. Raises ExpressionError."""
    if text.startswith("@@"):
        return Literal(text[1:])
    if text.startswith("@") and not text.startswith("@{"):
        return _Parser(text, 1, len(text)).whole()
    return _template(text)


def walk(node: Node) -> Iterator[Node]:
    """The node and all nodes below it."""
    yield node
    below: tuple[Node, ...] = ()
    if isinstance(node, Call):
        below = node.arguments
    elif isinstance(node, Access):
        below = (node.target, node.key)
    elif isinstance(node, Template):
        below = node.parts
    for inner in below:
        yield from walk(inner)


def _template(text: str) -> Node:
    parts: list[Node] = []
    literal, place = "", 0
    while place < len(text):
        if text.startswith("@@{", place):
            literal, place = literal + "@{", place + 3
        elif text.startswith("@{", place):
            if literal:
                parts.append(Literal(literal))
                literal = ""
            end = _end_of_braces(text, place + 2)
            parts.append(_Parser(text, place + 2, end).whole())
            place = end + 1
        else:
            literal, place = literal + text[place], place + 1
    if not parts:
        return Literal(literal)
    if literal:
        parts.append(Literal(literal))
    return Template(tuple(parts))


def _end_of_braces(text: str, start: int) -> int:
    quoted = False
    for place in range(start, len(text)):
        if text[place] == "'":
            quoted = not quoted
        elif text[place] == "}" and not quoted:
            return place
    raise ExpressionError(f"@{{ at {start - 2} is not closed")


class _Parser:
    """Recursive descent over `text[start:end]`."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text, self._place, self._end = text, start, end

    def whole(self) -> Node:
        node = self._expression()
        if self._text[self._place : self._end].strip():
            raise ExpressionError(f"{self._text[self._place : self._end].strip()!r} is left over at {self._place}")
        return node

    def _peek(self) -> tuple[str, str, int]:
        """The kind, the text and the end position of the next token. The kind is empty at the end of the text."""
        found = _TOKEN.match(self._text, self._place, self._end)
        if found and found.lastgroup:
            return found.lastgroup, found[found.lastgroup], found.end()
        rest = self._text[self._place : self._end].strip()
        if rest:
            raise ExpressionError(f"{rest[:20]!r} at {self._place} is not a part of an expression")
        return "", "", self._end

    def _take(self, sign: str) -> bool:
        kind, token, end = self._peek()
        if kind == "sign" and token == sign:
            self._place = end
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionError(f"{sign!r} is missing at {self._place}")

    def _expression(self) -> Node:
        node = self._primary()
        while True:
            if self._take("?["):
                node = self._index(node, safe=True)
            elif self._take("["):
                node = self._index(node, safe=False)
            elif self._take("?."):
                node = Access(node, self._name(), safe=True)
            elif self._take("."):
                node = Access(node, self._name(), safe=False)
            else:
                return node

    def _index(self, target: Node, *, safe: bool) -> Node:
        key = self._expression()
        self._expect("]")
        return Access(target, key, safe)

    def _name(self) -> Literal:
        kind, token, end = self._peek()
        if kind != "name":
            raise ExpressionError(f"a name is missing at {self._place}")
        self._place = end
        return Literal(token)

    def _primary(self) -> Node:
        kind, token, end = self._peek()
        self._place = end
        if kind == "text":
            return Literal(token[1:-1].replace("''", "'"))
        if kind == "number":
            return Literal(float(token) if "." in token else int(token))
        if kind == "name":
            if self._take("("):
                return Call(token.lower(), self._arguments())
            if token.lower() in _CONSTANTS:
                return Literal(_CONSTANTS[token.lower()])
            raise ExpressionError(f"{token} at {end - len(token)} is not a function call")
        raise ExpressionError("the expression ends too early" if not kind else f"{token!r} is out of place")

    def _arguments(self) -> tuple[Node, ...]:
        if self._take(")"):
            return ()
        arguments = [self._expression()]
        while self._take(","):
            arguments.append(self._expression())
        self._expect(")")
        return tuple(arguments)
