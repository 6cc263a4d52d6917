"""Orchestrations of released versions that are in flight during an update: the current code replays their histories.

`tests/histories/record.py` records them, one folder for each version.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.durable_functions.orchestrator import Orchestrator

from devhost.app.index import Function
from devhost.histories import History, replay_history
from durable import names
from refresh.run.state import Polling, Recording
from tests.histories.record import FOLDER, version
from tests.simulation.platform import app_functions

RECORDED = sorted(FOLDER.glob("*/*.json"))
ORCHESTRATORS = (
    names.REFRESH_REQUEST,
    names.REFRESH_RUN,
    names.DELIVER_CALLBACK,
    names.REFRESH_BATCH,
    names.BATCH_NOTE,
)
ADVICE = (
    "An instance in flight would fail. Keep the old branch for it: raise defaultVersion in host.json, and branch on "
    "context.version in the orchestrator; docs/operations.md describes updates. Do not record the histories of a "
    "release again."
)


def functions() -> list[Function]:
    """All functions of the app."""
    return list(app_functions().values())


def broken(recorded: Sequence[Path], changed: Sequence[Function] | None = None) -> list[str]:
    """A message for each history that the functions break: those of the current code or, if given, the changed ones."""
    app = changed or functions()
    deviations = {path: replay_history(path, app) for path in recorded}
    return [f"{path.parent.name}/{path.name}: {deviation}" for path, deviation in deviations.items() if deviation]


def test_this_version_is_recorded() -> None:
    """Each orchestrator has histories of the version that new instances get."""
    recorded = {History.load(path).orchestrator for path in RECORDED if path.parent.name == version()}
    assert recorded == set(ORCHESTRATORS)


def test_recorded_histories_still_replay() -> None:
    """No change to the code breaks an instance of a released version."""
    assert len(RECORDED) >= 30
    assert broken(RECORDED) == [], ADVICE


def _one_more_activity(original: Callable[..., Any]) -> Callable[..., Any]:
    def changed(context: Any) -> Any:
        yield context.call_activity("read_run", {})
        return (yield from original(context))

    return changed


@pytest.mark.parametrize("name", ORCHESTRATORS)
def test_a_breaking_change_of_an_orchestrator_is_reported(name: str) -> None:
    """The test of the histories reports an orchestrator whose first action has changed."""
    changed = functions()
    place = next(at for at, function in enumerate(changed) if function.durable_name == name)
    handler: Any = changed[place].handler
    mistaken = Orchestrator.create(_one_more_activity(handler.orchestrator_function))
    changed[place] = replace(changed[place], handler=mistaken)
    recorded = [path for path in RECORDED if History.load(path).orchestrator == name]
    assert len(broken(recorded, changed)) == len(recorded) > 0


def test_a_step_that_is_skipped_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the histories reports a run that does not record its refresh in the queue."""
    orchestrator: Any = importlib.import_module("orchestrators.refresh_run")
    original = orchestrator.next_step

    def skipping(run: Any, at: str) -> Any:
        return original(run.to(Polling()) if isinstance(run.phase, Recording) else run, at)

    monkeypatch.setattr(orchestrator, "next_step", skipping)
    assert broken(RECORDED) != []
