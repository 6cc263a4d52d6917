"""The environment is created once and updated only when its requirements have changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dev import environment, launch

ROOT = Path(__file__).resolve().parents[3]
OLD_PYTHON = """
import runpy, sys
sys.version_info = (3, 9, 1)
sys.argv = ["dev.py", "test"]
runpy.run_path(%r, run_name="__main__")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the requirements files."""
    (tmp_path / "requirements.txt").write_text("requests\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\npytest\n")
    (tmp_path / "devhost").mkdir()
    (tmp_path / "devhost" / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def test_stamp_changes_with_requirements_and_python(project: Path) -> None:
    """Each file and the Python version change the stamp; line ends do not."""
    first = environment.stamp_text(project, "3.11")
    assert environment.stamp_text(project, "3.12") != first
    (project / "requirements.txt").write_bytes(b"requests\r\n")
    assert environment.stamp_text(project, "3.11") == first
    (project / "requirements.txt").write_text("requests>=2\n")
    assert environment.stamp_text(project, "3.11") != first


def test_stamp_distinguishes_the_files(project: Path) -> None:
    """A line that moves from one file to another changes the stamp."""
    first = environment.stamp_text(project, "3.11")
    (project / "requirements.txt").write_text("requests\npytest\n")
    (project / "requirements-dev.txt").write_text("-r requirements.txt\n")
    assert environment.stamp_text(project, "3.11") != first


@pytest.mark.parametrize(
    ("config", "version"),
    [
        ("home = /x\nversion = 3.12.4\n", "3.12"),
        ("version_info = 3.13.0.final.0\n", "3.13"),
        ("home = /x\n", "unknown"),
    ],
)
def test_version_of_an_environment(tmp_path: Path, config: str, version: str) -> None:
    """The version is read from pyvenv.cfg, in the forms of venv, virtualenv and uv."""
    (tmp_path / "pyvenv.cfg").write_text(config)
    assert environment.python_version(tmp_path) == version


def test_nothing_is_installed_twice(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call does nothing; a changed file makes it install again."""
    commands = _stand_in(project, monkeypatch)
    environment.prepare()
    assert [command[2] for command in commands] == ["venv", "pip"]
    environment.prepare()
    assert len(commands) == 2
    (project / "requirements-dev.txt").write_text("hypothesis\n")
    environment.prepare()
    assert [command[2] for command in commands] == ["venv", "pip", "pip"]


def test_a_failed_installation_is_tried_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed installation leaves no stamp."""
    _stand_in(project, monkeypatch, fails=True)
    with pytest.raises(environment.EnvironmentFailed):
        environment.prepare()
    commands = _stand_in(project, monkeypatch)
    environment.prepare()
    assert [command[2] for command in commands] == ["pip"]


def test_a_failure_shows_the_end_of_the_output() -> None:
    """The message says what failed, followed by the last lines of the output."""
    code = "import sys; [print(f'line {n}') for n in range(50)]; sys.stdout.flush(); sys.exit('no such package')"
    with pytest.raises(environment.EnvironmentFailed) as failed:
        environment._checked("Installing", [sys.executable, "-c", code], "pip could not do it.")
    assert str(failed.value).startswith("pip could not do it.\n")
    assert "no such package" in str(failed.value)
    assert "line 49" in str(failed.value)
    assert "line 2\n" not in str(failed.value)


def test_progress_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, progress is one line with the latest output. Elsewhere there is a line at the start and a line at
    the end."""
    command = [sys.executable, "-c", "print('Collecting rich')"]
    environment._checked("Installing", command, "failed")
    assert re.fullmatch(r"Installing \.\.\.\n  done after \d+ s\n", capsys.readouterr().err)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    environment._checked("Installing", command, "failed")
    assert re.search(r"\r +\d+ s  Collecting rich\x1b\[K", capsys.readouterr().err)


def test_the_seconds_go_on_without_output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """pip installs for a minute without output, but the line on the terminal is redrawn again and again."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = environment._Progress("Installing", sys.stderr)
    progress.show("Installing collected packages")
    drawn = ""
    while drawn.count("Installing collected packages") < 3:
        drawn += capsys.readouterr().err
    progress.end("done")


def test_an_old_python_gets_a_message() -> None:
    """The message comes before dev.py imports anything that an old Python cannot parse."""
    code = OLD_PYTHON % str(ROOT / "dev.py")
    # PATH has no folder with a newer Python
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dev.py needs Python 3.11 or newer; this is Python 3.9.1. Run it with a newer Python.\n"


@pytest.mark.skipif(os.name == "nt", reason="scripts of POSIX")
def test_an_old_python_finds_one_that_runs(tmp_path: Path) -> None:
    """A program that cannot run, or is an older Python, is passed over. The shim of pyenv for a version that is not
    active cannot run."""
    for folder, text in (("1", "exit 127"), ("2", "exit 1"), ("3", f'exec {sys.executable} "$@"')):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "python3.12"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    (tmp_path / "1" / "python3.13").write_text("not a program")
    (tmp_path / "1" / "python3.13").chmod(0o755)
    paths = [str(tmp_path / folder) for folder in "123"]
    assert launch.newer_python(os.pathsep.join(paths)) == str(tmp_path / "3" / "python3.12")
    assert launch.newer_python(os.pathsep.join(paths[:2])) is None


def _stand_in(project: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[list[str]]:
    """Records commands instead of running them; `venv` creates a Python."""
    commands: list[list[str]] = []

    def checked(title: str, command: list[str], problem: str) -> None:
        commands.append(command)
        if "venv" in command:
            (project / ".venv").mkdir()
            (project / ".venv" / "python").touch()
        if fails and "pip" in command:
            raise environment.EnvironmentFailed(problem)

    monkeypatch.setattr(environment, "ROOT", project)
    monkeypatch.setattr(environment, "VENV", project / ".venv")
    monkeypatch.setattr(environment, "PYTHON", project / ".venv" / "python")
    monkeypatch.setattr(environment, "_checked", checked)
    return commands
