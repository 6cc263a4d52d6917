"""The command line: what is understood, and what is refused at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import cli
from dev.environment import ROOT
from dev.servers import HostOptions


def test_arguments_after_two_hyphens_go_to_pytest() -> None:
    """Also those that look like ours."""
    options = cli.parse(["test", "--fast", "--", "-k", "queue", "--fast", "--", "x"])
    assert (options.command, options.fast) == ("test", True)
    assert options.more == ["-k", "queue", "--fast", "--", "x"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "required: COMMAND"),
        (["tests"], "invalid choice: 'tests'"),
        (["test", "--quick"], "test does not know --quick"),
        (["test", "--fa"], "test does not know --fa"),
        (["host", "--app", "x", "y"], "host does not know y"),
        (["host", "--", "y"], "host takes nothing after --"),
        (["host", "--port", "many"], "invalid int value: 'many'"),
        (["run", "--workspace", "x"], "--workspace and --dataset together"),
        (["run", "--workspace", "x", "--dataset", "y", "--cloud", "moon"], "invalid choice: 'moon'"),
        (["bench", "app"], "invalid choice: 'app'"),
    ],
)
def test_what_is_not_known_is_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2 and a sentence that names it."""
    with pytest.raises(SystemExit) as ended:
        cli.parse(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_help_shows_examples_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The help names the commands, and the examples can be parsed."""
    with pytest.raises(SystemExit) as ended:
        cli.parse(["--help"])
    assert ended.value.code == 0
    examples = [line.split("dev.py ")[1].split("   ")[0].split() for line in cli.EXAMPLES.splitlines()[1:]]
    commands = {"run", "test", "simulate", "openapi", "bench", "power-bi", "host"}
    assert {cli.parse(example).command for example in examples} == commands
    assert "bench" in capsys.readouterr().out


def test_arguments_of_the_service_are_passed_on() -> None:
    """dev.py does not need to know what the service knows, nor its help."""
    assert cli.parse(["power-bi", "--port", "0", "--seed", "x", "--help"]).more == [
        "--port",
        "0",
        "--seed",
        "x",
        "--help",
    ]
    assert cli.parse(["bench", "devhost", "--count", "9"]).more == ["--count", "9"]


def test_paths_are_those_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Relative to where the command was given, though the devhost runs in the project's folder."""
    monkeypatch.chdir(tmp_path)
    options = HostOptions.of(cli.parse(["host", "--app", "app", "--state", "state", "--keys", "--exact-timers"]))
    assert (options.app, options.state) == (tmp_path / "app", tmp_path / "state")
    assert options.command()[-2:] == ["--keys", "--exact-timers"]
    default = HostOptions.of(cli.parse(["host"]))
    assert (default.app, default.state, default.port) == (ROOT, ROOT / ".dev" / "host", 7071)
    assert default == HostOptions()
