"""integrations/command/refresh_model.py with files that cannot be written: --output, and the outputs of GitHub."""

import json
import shutil
from pathlib import Path

import pytest

from tests.callers.clients.adf_http import Answer, Call
from tests.callers.command import environment, refresh
from tests.callers.servers import json_answer, serving
from tests.e2e.world import WORKSPACE

KEY = environment(REFRESH_KEY="secret")


@pytest.mark.parametrize("path", ["missing/status.json", ".", "file/status.json"])
def test_an_output_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    """The exit code is that of invalid arguments, and the service gets no request."""
    (tmp_path / "file").touch()
    calls: list[Call] = []

    def app(call: Call) -> Answer:
        calls.append(call)
        return json_answer({"id": "1", "status": "Completed"}, 200)

    with serving(app) as url:
        ended = refresh(url, WORKSPACE, "--output", str(tmp_path / path), env=KEY)
    assert ended.code == 2, ended.text
    assert "The file of --output cannot be written: " in ended.text
    assert "No refresh was requested." in ended.text
    assert calls == []


def test_the_check_leaves_files_as_they_are(tmp_path: Path) -> None:
    """A start that is refused neither changes an existing file nor leaves a new one."""
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("before", "utf-8")
    with serving(lambda call: json_answer({}, 400)) as url:
        for file in (old, new):
            assert refresh(url, WORKSPACE, "--output", str(file), env=KEY).code == 2
    assert (old.read_text("utf-8"), new.exists()) == ("before", False)


@pytest.mark.parametrize(("status", "code"), [("Completed", 0), ("Failed", 1), ("TimedOut", 4)])
def test_a_file_that_cannot_be_written_at_the_end(tmp_path: Path, status: str, code: int) -> None:
    """The command reports it, and the exit code is that of the outcome."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def app(call: Call) -> Answer:
        shutil.rmtree(folder)
        return json_answer({"id": "1", "status": status}, 424)

    env = {**KEY, "GITHUB_OUTPUT": str(folder / "outputs")}
    with serving(app) as url:
        ended = refresh(url, WORKSPACE, "--output", str(folder / "status.json"), "--json", env=env)
    assert ended.code == code, ended.text
    assert ended.text.count(" could not be written: ") == 2
    assert json.loads(ended.text[ended.text.index("{") : ended.text.rindex("}") + 1])["status"] == status
