"""Evaluates the expressions that the shipped workflows use, the way Logic Apps does, where it is known the strict way.

The evaluator of data-factory-testing-framework knows neither `?['key']` nor body(), items() and workflow().
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from tests.callers.clients.logic_syntax import Access, Call, Literal, Node, Template, parse_text


class InvalidTemplateError(Exception):
    """An expression that cannot be evaluated: the action that holds it fails."""


class Scope(Protocol):
    """What an expression can refer to, by the names of the functions."""

    def refer(self, function: str, name: str | None) -> Any:
        """The value of parameters('x'), body('x'), workflow() and the like. Raises InvalidTemplateError."""


def evaluate(value: Any, scope: Scope) -> Any:
    """A JSON value with all expressions in it replaced by what they stand for."""
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
    """What string() and the braces of a template make of a value."""
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
    arguments = [_value(argument, scope) for argument in node.arguments]  # all of them, also those of if()
    if node.name in _FUNCTIONS:
        return _FUNCTIONS[node.name](*arguments)
    return scope.refer(node.name, arguments[0] if arguments else None)


def _property(target: Any, key: Any, *, safe: bool) -> Any:
    """With `?` what is not there is null; a text has no properties either way."""
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
"""Those of the shipped files. Any other is refused, so a new one in a file must be added here."""


def is_reference(call: Call) -> bool:
    """Whether a call refers to something of the run rather than computing a value."""
    return call.name not in _FUNCTIONS
