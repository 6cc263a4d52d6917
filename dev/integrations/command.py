"""`dev.py integrations`: writes the generated files in integrations/, or lists those that are out of date."""

from __future__ import annotations

from pathlib import Path

from dev.environment import ROOT
from dev.integrations import logic_apps, openapi
from dev.integrations.data_factory import example, templates
from dev.integrations.data_factory.pipelines import all_pipelines

FOLDER = ROOT / "integrations"
GENERATED_FOLDERS = (
    "adf/pipeline",
    "adf/arm",
    "adf/template",
    "adf/linkedService",
    "adf/dataset",
    "synapse/pipeline",
    "logic_apps/consumption",
    "logic_apps/standard",
)
"""Folders that hold generated files only."""


def files() -> dict[str, bytes]:
    """The content of every generated file by its path in integrations/."""
    contents: dict[str, bytes] = {}
    for pipeline in all_pipelines():
        contents[f"adf/pipeline/{pipeline.name}.json"] = templates.text(templates.pipeline_file(pipeline))
        contents[f"adf/arm/{pipeline.name}.json"] = templates.text(templates.arm_template(pipeline))
        contents[f"adf/template/{pipeline.name}.zip"] = templates.template_zip(pipeline)
    parent = example.example()
    contents[f"adf/pipeline/{parent.name}.json"] = templates.text(templates.pipeline_file(parent))
    for pipeline in (*all_pipelines(), parent):
        if synapse := templates.for_synapse(pipeline):
            contents[f"synapse/pipeline/{pipeline.name}.json"] = templates.text(templates.pipeline_file(synapse))
    contents[f"adf/arm/{parent.name}.json"] = templates.text(templates.example_template())
    contents[f"adf/dataset/{example.FILES}.json"] = templates.text(example.dataset())
    for name, service in templates.linked_services().items():
        contents[f"adf/linkedService/{name}.json"] = templates.text(service)
    texts = {**{f"logic_apps/{path}": text for path, text in logic_apps.texts().items()}, **openapi.texts()}
    return {**contents, **{name: text.encode() for name, text in texts.items()}}


def stale(folder: Path = FOLDER) -> list[str]:
    """Files that are missing, that differ from their sources, or that have no source."""
    contents = files()
    present = {
        path.relative_to(folder).as_posix()
        for name in GENERATED_FOLDERS
        for path in (folder / name).rglob("*")
        if path.is_file()
    }
    present |= {name for name in contents if (folder / name).is_file()}
    differing = {name for name in present & contents.keys() if _content(folder / name) != contents[name]}
    return sorted((present ^ contents.keys()) | differing)


def write(folder: Path = FOLDER) -> list[str]:
    """Brings the files up to date; returns the names of the files that it changed."""
    contents, changed = files(), stale(folder)
    for name in changed:
        path = folder / name
        if name in contents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents[name])
        else:
            path.unlink()
    return changed


def run(*, check: bool) -> int:
    """Writes the files; with `check` writes nothing and returns 1 if any is out of date."""
    changed = stale() if check else write()
    state = "out of date" if check else "written"
    for name in changed:
        print(f"{state}: integrations/{name}")
    print(f"{len(files())} files, {len(changed)} {state}")
    return 1 if check and changed else 0


def _content(path: Path) -> bytes:
    """A file's content with the line ends of the repository, which a checkout on Windows may have changed."""
    content = path.read_bytes()
    return content if path.suffix == ".zip" else content.replace(b"\r\n", b"\n")
