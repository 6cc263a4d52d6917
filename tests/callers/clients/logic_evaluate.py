"""Evaluates the expressions in the shipped workflows by the rules of Logic Apps. Where these are unclear, it is strict.

The evaluator of data-factory-testing-framework does not support `?['key']`, body(), items() and workflow().
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from tests.callers.clients.logic_syntax import Access, Call, Literal, Node, Template, parse_text


class InvalidTemplateError(Exception):
    """An expression that cannot be evaluated: the action that contains it fails."""


class Scope(Protocol):
    """The values that an expression can refer to, by function name."""

    def refer(self, function: str, name: str | None) -> Any:
        """The value of parameters('x'), body('x'), workflow() and the like. Raises InvalidTemplateError."""


def evaluate(value: Any, scope: Scope) -> Any:
    """The JSON value with all expressions replaced with their values."""
    if isinstance(value, str):
        return _value(parse_text(value), scope)
    if isinstance(value, dict):
        return {key: evaluate(inner, scope) for key, inner in value.items()}
    if isinstance(value, list):
        return [evaluate(inner, scope) for inner in value]
    return value


def holds(condition: Any, scope: Scope) -> bool:
    """Whether the condition of an If is met: an expression, or an object of and, or, not, equals and so on."""
    if isinstance(condition, str):
        return bool(evaluate(condition, scope))
    ((name, operands),) = condition.items()
    if name == "and":
        return all(holds(operand, scope) for operand in operands)
    if name == "or":
        return any(holds(operand, scope) for operand in operands)
    if name == "not":
        return not holds(operands, scope)
    return bool(_FUNCTIONS[name.lower()](*(evaluate(operand, scope) for operand in operands)))


def as_text(value: Any) -> str:
    """A value as text, converted by the rules of string() and `@{...}`."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _value(node: Node, scope: Scope) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Template):
        return "".join(as_text(_value(part, scope)) for part in node.parts)
    if isinstance(node, Access):
        return _property(_value(node.target, scope), _value(node.key, scope), safe=node.safe)
    arguments = [_value(argument, scope) for argument in node.arguments]  # if() evaluates both branches
    if node.name in _FUNCTIONS:
        return _FUNCTIONS[node.name](*arguments)
    return scope.refer(node.name, arguments[0] if arguments else None)


def _property(target: Any, key: Any, *, safe: bool) -> Any:
    """A property. If it is missing, the result is null with `?` (`safe`), else an error. A string has no properties in
    either case."""
    if target is None and safe:
        return None
    if isinstance(target, dict) and isinstance(key, str):
        if key in target or safe:
            return target.get(key)
        raise InvalidTemplateError(f"property '{key}' doesn't exist, available are '{', '.join(target)}'.")
    raise InvalidTemplateError(f"property selection is not supported on values of type '{type(target).__name__}'.")


def _join(values: list[Any], between: str) -> str:
    return between.join(as_text(value) for value in values)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "coalesce": _coalesce,
    "concat": lambda *values: "".join(as_text(value) for value in values),
    "empty": lambda value: value is None or len(value) == 0,
    "equals": lambda one, other: one == other,
    "if": lambda condition, yes, no: yes if condition else no,
    "join": _join,
    "string": as_text,
}
"""The functions in the shipped files. If a file uses a new function, add it here."""


def is_reference(call: Call) -> bool:
    """Whether a call refers to data of the run, instead of computing a value."""
    return call.name not in _FUNCTIONS
