"""The tools of the deployment's checks are installed once, with a time limit. If this fails, the tools are named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra import tools
from infra.tools import InstallationFailed, Tool


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    return tmp_path


def tool(code: str, version: str = "tool==1") -> Tool:
    """A tool whose installation runs this Python code. The code gets the folder of the tool as its argument."""
    return Tool("tool", version, lambda place, _version: [[sys.executable, "-c", code, str(place)]])


COUNT = "import sys; open(sys.argv[1] + '/../runs', 'a').write('x')"


def test_a_tool_is_installed_once(folder: Path) -> None:
    for _ in range(2):
        tool(COUNT).install()
    assert (folder / "runs").read_text("utf-8") == "x"
    assert tool(COUNT).installed() == folder / "tool"


def test_another_version_is_installed_again(folder: Path) -> None:
    tool(COUNT).install()
    (folder / "tool" / "of the old version").touch()
    newer = tool(COUNT, "tool==2")
    assert newer.installed() is None
    newer.install()
    assert (folder / "runs").read_text("utf-8") == "xx"
    assert not (folder / "tool" / "of the old version").exists()


def test_a_broken_installation_is_not_used() -> None:
    """A tool that is not completely installed is not used: its check is skipped instead of failing."""
    broken = tool("import sys; sys.exit('no network')")
    with pytest.raises(InstallationFailed, match="no network"):
        broken.install()
    assert broken.installed() is None


def test_an_installation_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "SECONDS", 0.2)
    slow = tool("import threading; threading.Event().wait()")
    with pytest.raises(InstallationFailed, match="timed out"):
        slow.install()
    assert slow.installed() is None


def test_without_npm_the_parser_of_kql_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(tools, "CHECKOV", tool("pass", "checkov==0"))
    assert tools.main() == 1
    problem = capsys.readouterr().err
    assert "language-service" in problem
    assert "node and npm" in problem
