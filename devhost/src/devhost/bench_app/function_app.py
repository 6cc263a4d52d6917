"""The app that `python -m devhost.bench` measures: one orchestration of five activities, one after the other."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

app = df.DFApp()


@app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
def add_one(number: int) -> int:
    return number + 1


@app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
def five_steps(context: Any) -> Generator[Any, Any, int]:
    number = 0
    for _ in range(5):
        number = yield context.call_activity("add_one", number)
    return number
