"""The environment is made once, and again only when it must be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dev import environment

ROOT = Path(__file__).resolve().parents[3]
OLD_PYTHON = """
import runpy, sys
sys.version_info = (3, 9, 1)
sys.argv = ["dev.py", "test"]
runpy.run_path(%r, run_name="__main__")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the files that say what is installed."""
    (tmp_path / "requirements.txt").write_text("requests\n")
    (tmp_path / "requirements-dev.txt").write_text("-r requirements.txt\npytest\n")
    (tmp_path / "devhost").mkdir()
    (tmp_path / "devhost" / "pyproject.toml").write_text("[project]\n")
    return tmp_path


def test_stamp_changes_with_requirements_and_python(project: Path) -> None:
    """Each of the files and the Python version counts; the line ends do not."""
    first = environment.stamp_text(project, "3.11")
    assert environment.stamp_text(project, "3.12") != first
    (project / "requirements.txt").write_bytes(b"requests\r\n")
    assert environment.stamp_text(project, "3.11") == first
    (project / "requirements.txt").write_text("requests>=2\n")
    assert environment.stamp_text(project, "3.11") != first


def test_stamp_tells_the_files_apart(project: Path) -> None:
    """A line that moves from one file to the other is a change."""
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
    """Read from pyvenv.cfg, as venv, virtualenv and uv write it."""
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
    """What pip could not install is not taken for installed the next time."""
    _stand_in(project, monkeypatch, fails=True)
    with pytest.raises(environment.EnvironmentFailed):
        environment.prepare()
    commands = _stand_in(project, monkeypatch)
    environment.prepare()
    assert [command[2] for command in commands] == ["pip"]


def test_a_failure_shows_the_end_of_the_output() -> None:
    """The sentence says what failed, the last lines why, the first ones are left out."""
    code = "import sys; [print(f'line {n}') for n in range(50)]; sys.stdout.flush(); sys.exit('no such package')"
    with pytest.raises(environment.EnvironmentFailed) as failed:
        environment._checked([sys.executable, "-c", code], "pip could not do it.")
    assert str(failed.value).startswith("pip could not do it.\n")
    assert "no such package" in str(failed.value)
    assert "line 49" in str(failed.value)
    assert "line 2\n" not in str(failed.value)


def test_an_old_python_gets_a_sentence() -> None:
    """dev.py says which Python it needs, before it imports anything that an old one could not read."""
    code = OLD_PYTHON % str(ROOT / "dev.py")
    # nowhere to find a newer one
    done = subprocess.run([sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dev.py needs Python 3.11 or newer, and this is 3.9.1. Run it with a newer one.\n"


def _stand_in(project: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False) -> list[list[str]]:
    """Commands are kept instead of run; `venv` leaves a Python behind."""
    commands: list[list[str]] = []

    def checked(command: list[str], problem: str) -> None:
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
