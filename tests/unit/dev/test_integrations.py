"""The generated files in integrations/ match their sources, and the command updates them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dev.integrations import command, custom_connector


def test_all_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change to a source, run `python3 dev.py integrations`."""
    assert command.stale() == []
    assert command.run(check=True) == 0
    assert capsys.readouterr().out == f"{len(command.files())} files, 0 out of date\n"


def test_the_command_updates_files(tmp_path: Path) -> None:
    """A changed file, a missing file and a superfluous file are found and corrected."""
    folder = tmp_path / "integrations"
    shutil.copytree(command.FOLDER, folder)
    (folder / "adf/arm/refresh-with-web-key.json").write_text("{}", encoding="utf-8")
    (folder / "synapse/pipeline/refresh-with-web-key.json").unlink()
    (folder / "adf/template/of-old.zip").write_bytes(b"")
    wrong = [
        "adf/arm/refresh-with-web-key.json",
        "adf/template/of-old.zip",
        "synapse/pipeline/refresh-with-web-key.json",
    ]
    assert command.stale(folder) == wrong
    assert command.write(folder) == wrong
    assert command.stale(folder) == []
    assert (folder / "adf/README.md").exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("datasetId", "Dataset ID"),
        ("statusUri", "Status URI"),
        ("failuresInARow", "Failures In A Row"),
        ("p95Seconds", "P95 Seconds"),
        ("code", "Code"),
    ],
)
def test_labels_of_the_connector(name: str, label: str) -> None:
    """A form shows the words of a key as its label, including one-letter words and digits."""
    schema = custom_connector._property(name, {"type": "string"})
    assert schema["x-ms-summary"] == label
