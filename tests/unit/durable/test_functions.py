"""For the worker, functions with the engine as a parameter look like functions with a text."""

import asyncio
import inspect
from typing import Any, get_type_hints

from durable.engine import Engine
from durable.functions import PARAMETER, engine_input, with_engine
from tests.unit.durable.engine_server import binding

BINDING = binding("http://127.0.0.1:1/")


async def call_back(order: Any, engine: Engine) -> str:
    """An activity."""
    return f"{order} {type(engine).__name__}"


def test_the_function_gets_the_engine() -> None:
    """The engine is created from the text of the binding for each call."""

    async def main() -> Any:
        return await with_engine(call_back)(order="x", engine=BINDING)

    assert asyncio.run(main()) == "x Engine"


def test_the_worker_sees_name_signature_and_a_text() -> None:
    """The worker finds parameters by the signature, and checks their annotations with the bindings."""
    given = with_engine(call_back)
    assert given.__name__ == "call_back"
    assert given.__doc__ == "An activity."
    assert list(inspect.signature(given).parameters) == ["order", PARAMETER]
    assert inspect.iscoroutinefunction(given)
    assert given.__annotations__ == {"order": Any, PARAMETER: str, "return": str}
    assert get_type_hints(given)[PARAMETER] is str
    assert call_back.__annotations__[PARAMETER] is Engine


class Blueprint:
    """Records the bindings."""

    def __init__(self) -> None:
        self.bound: list[dict[str, Any]] = []

    def generic_input_binding(self, **facts: Any) -> Any:
        """The method of azure.functions with this name."""
        self.bound.append(facts)
        return lambda function: function


def test_the_binding_is_the_durable_client() -> None:
    """The type of the binding makes it the durable client. The SDK's own decorator would pass its own client."""
    blueprint = Blueprint()
    engine_input(blueprint)(call_back)
    assert blueprint.bound == [{"arg_name": PARAMETER, "type": "durableClient"}]
