"""Orchestration versions: which instances a host runs, does not run, or fails."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from devhost.app.settings import BadSettings, load_host_settings
from devhost.engine import Versioning
from devhost.engine.versions import compare
from devhost_tests.simulated import Simulation

APP = Path(__file__).parent / "rules_app"


def text(value: object) -> str:
    """An input in the form that the durable client sends."""
    return json.dumps(json.dumps(value))


def host(version: str | None, *rule: Any) -> Simulation:
    return Simulation(APP, versioning=Versioning(version, *rule))


def moves_to(world: Simulation, version: str | None, *rule: Any) -> None:
    """Opens the state with a host of a different version."""
    world.settings["versioning"] = Versioning(version, *rule)
    world._open()


def status(world: Simulation, instance: str) -> Any:
    row = world.hub.status(instance)
    assert row is not None
    return row["runtimeStatus"]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (None, "1.0"),
        ("", "0"),
        ("1.2", "1.10"),
        ("1.0", "1.0.0"),
        ("1.9.9", "2.0"),
        ("10", "9"),  # as texts: a single number is not a .NET version
        ("a", "B"),
        ("1.0-beta", "1.0.a"),
    ],
)
def test_older_and_newer(older: str | None, newer: str) -> None:
    """Versions are compared as in DurableTask.Core."""
    assert compare(older, newer) < 0 < compare(newer, older)
    assert compare(older, older) == compare(newer, newer) == 0


def test_an_instance_keeps_its_version_through_continue_as_new() -> None:
    """An instance keeps its version even on a host of a newer version. A child without a version gets that of the
    host."""
    world = host("1.0")
    world.start("generations", "i", text(0))
    world.run()
    moves_to(world, "2.0")
    for n in range(3):
        world.hub.raise_event("i", f"go-{n}", str(n), world.now)
        world.engine.commit()
        world.run()
    assert world.output("i") == 2
    versions = [json.loads(c.value)["history"][1]["Version"] for c in world.calls if c.kind == "episode"]
    assert set(versions) == {"1.0"}
    world.hub.start("parent", "j", text(1), world.now, "1.0")
    world.engine.commit()
    world.run()
    assert world.output("j") == 1
    assert (world.engine.instances["j"].version, world.engine.instances["child"].version) == ("1.0", "2.0")


@pytest.mark.parametrize("older", ["1.0", None])
def test_a_rollback_parks_newer_instances(older: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """An older host does not run newer instances. Running and pending ones keep their state and events, and continue
    with newer code."""
    world = host("2.0")
    world.start("collects", "running")
    world.run()
    world.start("collects", "pending")
    moves_to(world, older)
    with caplog.at_level(logging.WARNING):
        for instance in ("running", "pending"):
            for name in ("one", "two"):
                world.hub.raise_event(instance, name, json.dumps(name), world.now)
        world.engine.commit()
        world.run()
    assert (status(world, "running"), status(world, "pending")) == ("Running", "Pending")
    assert world.engine.idle, "no busy loop"
    assert "instance running (collects) has version 2.0 and is not run" in caplog.text
    assert caplog.text.count("instance running") == 1
    world.start("one_step", "own", text(1))
    world.run()
    assert world.output("own") == 1
    moves_to(world, "2.0")
    world.run()
    assert world.output("running") == world.output("pending") == ["one", "two"]


def test_work_in_flight_for_a_parked_instance_is_kept() -> None:
    """If a host does not run an instance, the result of its activity waits for newer code."""
    world = host("2.0")
    world.start("one_step", "i", text(1))
    world.step()
    moves_to(world, "1.0")
    world.run()
    assert status(world, "i") == "Running"
    moves_to(world, "2.1")
    world.run()
    assert world.output("i") == 1


def test_older_and_unversioned_instances_run_on_a_newer_host() -> None:
    """A newer host also runs older instances, so newer code has to keep its old branches until these have ended."""
    world = host(None)
    world.start("versions", "none")
    moves_to(world, "1.0")
    world.start("versions", "one")
    moves_to(world, "2.0")
    world.run()
    assert (world.output("none"), world.output("one")) == (None, "1.0")


def test_strict_takes_its_own_version_only() -> None:
    """With the rule Strict, a host runs neither newer nor older instances."""
    world = host("1.0")
    world.start("one_step", "old", text(1))
    moves_to(world, "2.0", "Strict")
    world.start("one_step", "own", text(2))
    world.run()
    assert status(world, "old") == "Pending"
    assert world.output("own") == 2


def test_none_takes_all() -> None:
    """With the rule None, a host also runs newer instances."""
    world = host("2.0")
    world.start("one_step", "i", text(1))
    moves_to(world, "1.0", "None")
    world.run()
    assert world.output("i") == 1


def test_fail_fails_at_once() -> None:
    """With the failure strategy Fail, an instance of another version fails with the message of the real engine."""
    world = host("2.0")
    world.start("collects", "i")
    world.run()
    moves_to(world, "1.0", "CurrentOrOlder", "Fail")
    world.hub.raise_event("i", "one", "1", world.now)
    world.engine.commit()
    world.run()
    row = world.hub.status("i")
    assert row is not None
    assert row["runtimeStatus"] == "Failed"
    assert row["output"] == "VersionMismatch: Orchestration version did not comply with Worker Versioning"


def test_entities_have_no_version() -> None:
    """Entities run on every host, even with the rule Strict."""
    world = host("2.0", "Strict")
    world.hub.signal("log", "k", "add", text(1), world.now)
    world.engine.commit()
    moves_to(world, "1.0", "Strict")
    world.run()
    assert world.hub.entity_state("log", "k") == [1]


# ---- host.json ----------------------------------------------------------------------------------------------------


def settings(tmp_path: Path, durable: dict[str, Any]) -> Versioning:
    (tmp_path / "host.json").write_text(json.dumps({"extensions": {"durableTask": durable}}))
    return load_host_settings(tmp_path, {}).versioning


def test_versions_in_host_json(tmp_path: Path) -> None:
    """Values are case-insensitive names or numbers, as in .NET. By default, newer instances do not run."""
    assert settings(tmp_path, {}) == Versioning(None, "CurrentOrOlder", "Reject")
    assert settings(tmp_path, {"defaultVersion": "1.2", "versionMatchStrategy": "strict"}) == Versioning(
        "1.2", "Strict"
    )
    assert settings(tmp_path, {"versionMatchStrategy": 0, "versionFailureStrategy": "FAIL"}).failure == "Fail"


def test_a_wrong_value_is_refused(tmp_path: Path) -> None:
    """The message lists the valid values."""
    with pytest.raises(
        BadSettings, match="versionMatchStrategy is 'Newer'; it must be one of None, Strict, CurrentOrOlder"
    ):
        settings(tmp_path, {"versionMatchStrategy": "Newer"})


def test_other_keys_are_accepted(tmp_path: Path) -> None:
    """Keys of host.json that the devhost does not use cause no error."""
    durable = {
        "hubName": "h",
        "tracing": {"distributedTracingEnabled": True, "version": "V2"},
        "storageProvider": {"type": "azureManaged", "maxQueuePollingInterval": "00:00:05", "partitionCount": 4},
        "maxConcurrentActivityFunctions": 10,
    }
    assert settings(tmp_path, durable) == Versioning()
