"""The command line: valid commands are parsed, invalid ones are refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import commands, servers
from dev.environment import ROOT
from dev.servers import HostOptions


def test_arguments_after_two_hyphens_go_to_pytest() -> None:
    """Arguments after -- go to pytest even if they look like those of dev.py."""
    options = commands.parse(["test", "--fast", "--", "-k", "queue", "--fast", "--", "x"])
    assert (options.command, options.fast) == ("test", True)
    assert options.more == ["-k", "queue", "--fast", "--", "x"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: COMMAND"),
        (["tests"], "invalid choice: 'tests'"),
        (["test", "--quick"], "unknown argument of test: --quick"),
        (["test", "--fa"], "unknown argument of test: --fa"),
        (["host", "--app", "x", "y"], "unknown argument of host: y"),
        (["host", "--", "y"], "host takes no arguments after --"),
        (["host", "--port", "many"], "invalid int value: 'many'"),
        (["run", "--workspace", "x"], "--workspace and --dataset together"),
        (["run", "--workspace", "x", "--dataset", "y", "--cloud", "moon"], "invalid choice: 'moon'"),
        (["bench", "app"], "invalid choice: 'app'"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 2, and the message names the argument."""
    with pytest.raises(SystemExit) as ended:
        commands.parse(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_help_shows_examples_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The examples in the help can be parsed."""
    with pytest.raises(SystemExit) as ended:
        commands.parse(["--help"])
    assert ended.value.code == 0
    examples = [line.split("dev.py ")[1].split("   ")[0].split() for line in commands.EXAMPLES.splitlines()[1:]]
    names = {"run", "test", "smoke", "simulate", "integrations", "bench", "power-bi", "host", "screenshots"}
    assert {commands.parse(example).command for example in examples} == names
    assert "bench" in capsys.readouterr().out


def test_arguments_of_the_service_are_passed_on() -> None:
    """All arguments of the service are passed on, including --help: the service has a help of its own."""
    assert commands.parse(["power-bi", "--port", "0", "--seed", "x", "--help"]).more == [
        "--port",
        "0",
        "--seed",
        "x",
        "--help",
    ]
    assert commands.parse(["bench", "devhost", "--count", "9"]).more == ["--count", "9"]


def test_a_key_may_begin_with_a_hyphen() -> None:
    """A key that begins with a hyphen is accepted, because one of 64 generated keys does so."""
    smoke = commands.parse(["smoke", "--url", "https://app.example", "--key", "-x_1", "--token", "--y"])
    assert (smoke.key, smoke.token) == ("-x_1", "--y")
    host = HostOptions.of(commands.parse(["host", "--key=-x", "--keys"]))
    assert host.command()[-2:] == ["--key=-x", "--keys"]


def test_paths_are_relative_to_the_current_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Paths are relative to the current folder, although the devhost runs in the project's folder."""
    monkeypatch.chdir(tmp_path)
    options = HostOptions.of(commands.parse(["host", "--app", "app", "--state", "state", "--keys", "--exact-timers"]))
    assert (options.app, options.state) == (tmp_path / "app", tmp_path / "state")
    assert options.command()[-2:] == ["--keys", "--exact-timers"]
    default = HostOptions.of(commands.parse(["host"]))
    assert (default.app, default.state, default.port) == (ROOT, ROOT / ".dev" / "host", 7071)
    assert default == HostOptions()


@pytest.mark.parametrize("what", commands.BENCHES)
def test_every_measurement_gets_its_arguments(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name on the command line selects a module that exists."""
    received: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        received.append(arguments)
        return 7

    monkeypatch.setattr("dev.bench.polling.main", main)
    monkeypatch.setattr("dev.bench.callers.main", main)
    monkeypatch.setattr("dev.bench.queue.main", main)
    monkeypatch.setattr("dev.bench.batch.main", main)
    monkeypatch.setattr("dev.bench.models.main", main)
    monkeypatch.setattr(servers, "devhost_bench", main)
    assert commands.run(commands.parse(["bench", what, "--x", "1"])) == 7
    assert received == [["--x", "1"]]
