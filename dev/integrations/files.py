"""`dev.py integrations`: writes the files, or says which are not what the generator makes."""

from pathlib import Path

from dev.environment import ROOT
from dev.integrations import templates
from dev.integrations.pipelines import shipped

FOLDER = ROOT / "integrations"
GENERATED = ("adf/pipeline", "adf/arm", "adf/template", "adf/linkedService", "synapse/pipeline")
"""Folders that hold nothing but generated files."""


def files() -> dict[str, bytes]:
    """Every generated file by its path in integrations/."""
    made: dict[str, bytes] = {}
    for pipeline in shipped():
        made[f"adf/pipeline/{pipeline.name}.json"] = templates.text(templates.pipeline_file(pipeline))
        made[f"adf/arm/{pipeline.name}.json"] = templates.text(templates.arm_template(pipeline))
        made[f"adf/template/{pipeline.name}.zip"] = templates.template_zip(pipeline)
        if of_synapse := templates.for_synapse(pipeline):
            made[f"synapse/pipeline/{pipeline.name}.json"] = templates.text(templates.pipeline_file(of_synapse))
    for name, service in templates.linked_services().items():
        made[f"adf/linkedService/{name}.json"] = templates.text(service)
    return made


def stale(folder: Path = FOLDER) -> list[str]:
    """Files that are missing, that differ from what the generator makes, or that it does not make."""
    made = files()
    there = {
        path.relative_to(folder).as_posix()
        for name in GENERATED
        for path in (folder / name).glob("*")
        if path.is_file()
    }
    differing = {name for name in there & made.keys() if _plain(folder / name) != made[name]}
    return sorted((there ^ made.keys()) | differing)


def write(folder: Path = FOLDER) -> list[str]:
    """Makes the files what they should be; returns the names of those that were not."""
    made, changed = files(), stale(folder)
    for name in changed:
        path = folder / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[name])
        else:
            path.unlink()
    return changed


def run(*, check: bool) -> int:
    """Writes them; with `check` only looks, and returns 1 if any is not what it should be."""
    changed = stale() if check else write()
    for name in changed:
        print(f"{'not up to date' if check else 'written'}: integrations/{name}")
    print(f"{len(files())} files, {len(changed)} {'not up to date' if check else 'written'}")
    return 1 if check and changed else 0


def _plain(path: Path) -> bytes:
    """A file without the line ends that a checkout on Windows may have given it."""
    content = path.read_bytes()
    return content if path.suffix == ".zip" else content.replace(b"\r\n", b"\n")
