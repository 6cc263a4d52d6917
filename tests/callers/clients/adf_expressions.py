"""The expressions of pipelines, evaluated by Microsoft's data-factory-testing-framework.

Later versions than 0.2.17 need .NET. This version needs it only for dates, which our pipelines do not use. This module
adds features of Data Factory that the package lacks: `union` of objects, `?.`, and `activity('x').error`.
"""

import sys
import types
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Json = dict[str, Any]

_STUB = "data_factory_testing_framework._pythonnet"


class ExpressionError(ValueError):
    """An expression that cannot be parsed or evaluated."""


@dataclass
class State:
    """The data that expressions can refer to. `results`: `output` and `error` of the activities that have ended."""

    parameters: Json
    system: Json
    variables: Json = field(default_factory=dict)
    results: dict[str, Json] = field(default_factory=dict)


def evaluated(value: Any, state: State) -> Any:
    """The value with each expression in it replaced with its result. Raises ExpressionError."""
    if is_expression(value):
        return evaluate(value["value"], state)
    if isinstance(value, dict):
        return {key: evaluated(inner, state) for key, inner in value.items()}
    return [evaluated(inner, state) for inner in value] if isinstance(value, list) else value


def is_expression(value: Any) -> bool:
    """True for `{"value": ..., "type": "Expression"}`."""
    return isinstance(value, dict) and value.get("type") == "Expression" and set(value) == {"value", "type"}


def evaluate(text: str, state: State) -> Any:
    """The result of one expression. Raises ExpressionError."""
    framework = _framework()
    try:
        return framework.evaluator.evaluate(_plain(text), framework.state(state))
    except framework.broken as problem:
        raise ExpressionError(f"{text}: {type(problem).__name__}: {problem}") from problem


def check_syntax(text: str) -> None:
    """Raises ExpressionError for a syntax error or an unknown function."""
    framework = _framework()
    try:
        framework.evaluator._parse(_plain(text))
    except framework.unreadable as problem:
        raise ExpressionError(f"{text}: {str(problem).splitlines()[0]}") from problem


def _plain(text: str) -> str:
    """The expression without `?.` on system variables: they always have a value, even if it is null."""
    return text.replace("pipeline()?.", "pipeline().")


@dataclass(frozen=True)
class _Framework:
    evaluator: Any
    state: Any
    broken: tuple[type[Exception], ...]
    unreadable: type[Exception]


@cache
def _framework() -> _Framework:
    _leave_out_dotnet()
    from data_factory_testing_framework._functions.evaluator import ExpressionEvaluator
    from data_factory_testing_framework._functions.evaluator.exceptions import (
        ExpressionEvaluationError,
        ExpressionParsingError,
    )
    from data_factory_testing_framework._functions.functions_repository import FunctionsRepository
    from data_factory_testing_framework.exceptions._user_error import UserError
    from data_factory_testing_framework.state import (
        PipelineRunState,
        PipelineRunVariable,
        RunParameter,
        RunParameterType,
    )
    from lark.exceptions import LarkError

    lists = FunctionsRepository._functions["union"]
    FunctionsRepository.register(
        "union", lambda *given: _merged(*given) if isinstance(given[0], dict) else lists(*given)
    )

    class Known(PipelineRunState):
        """The framework's state, with the errors of activities."""

        results: dict[str, Json]

        def get_activity_result_by_name(self, name: str) -> Json:
            return self.results[name]

    class Reader(ExpressionEvaluator):
        """The framework's evaluator with a cache of parsed expressions: loops evaluate the same expressions many
        times."""

        def __init__(self) -> None:
            super().__init__()
            self._trees = cache(super()._parse)

        def _parse(self, expression: str) -> Any:
            return self._trees(expression)

    def known(state: State) -> Known:
        kinds = ((RunParameterType.Pipeline, state.parameters), (RunParameterType.System, state.system))
        parameters = [RunParameter(kind, name, value) for kind, values in kinds for name, value in values.items()]
        variables = [PipelineRunVariable(name, value) for name, value in state.variables.items()]
        made = Known(parameters, variables)
        made.results = state.results
        return made

    broken = (
        UserError,
        LarkError,
        ExpressionParsingError,
        ExpressionEvaluationError,
        LookupError,
        TypeError,
        ValueError,
    )
    return _Framework(Reader(), known, broken, LarkError)


def _merged(*objects: Json) -> Json:
    """`union` of objects: if a name occurs several times, its last value counts."""
    result: Json = {}
    for one in objects:
        result |= one
    return result


def _leave_out_dotnet() -> None:
    """Replaces the modules that would load .NET for the date functions with empty modules."""
    if _STUB not in sys.modules:
        package, module = types.ModuleType(_STUB), types.ModuleType(f"{_STUB}.csharp_datetime")
        package.__path__ = []
        module.CSharpDateTime = type("CSharpDateTime", (), {})  # type: ignore[attr-defined]
        sys.modules[_STUB], sys.modules[module.__name__] = package, module
