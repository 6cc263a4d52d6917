"""Decorators for functions that use the engine."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from durable.engine import Engine

F = TypeVar("F", bound=Callable[..., Any])

PARAMETER = "engine"
BINDING = "durableClient"


def engine_input(blueprint: Any) -> Callable[[F], F]:
    """A decorator that passes an `Engine` as the parameter `engine` of an async function.

    The SDK's own decorator passes its client, which hides the address of the engine's API.
    """

    def decorate(function: F) -> F:
        return blueprint.generic_input_binding(arg_name=PARAMETER, type=BINDING)(with_engine(function))  # type: ignore[no-any-return]

    return decorate


def with_engine(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The function as the worker calls it: with the text of the binding."""

    @functools.wraps(function)
    async def called(**arguments: Any) -> Any:
        arguments[PARAMETER] = Engine(arguments[PARAMETER])
        return await function(**arguments)

    # the worker checks the annotations of bound parameters, and follows __wrapped__ only for the signature
    called.__annotations__ = {**function.__annotations__, PARAMETER: str}
    return called
