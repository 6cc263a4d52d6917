#!/usr/bin/env python3
"""Builds the folder to deploy: `python3 infra/package.py [--backend B]`. Standard library only.

The folder contains the files that `admitted` accepts and, if it is built in a Git clone, `version.txt` with the commit.
Two files are replaced:

* `host.json` names the task hub by the app setting TASKHUB_NAME, and the storage provider of the chosen backend. App
  settings could override the file for the host, but the scale controller of the platform reads the file.
* `requirements.txt` is `requirements.lock`: exact versions with hashes, so that the remote builds of two deployments of
  one commit install the same packages.

`azd` packages this folder (azure.yaml); `.funcignore` admits the same files for tools that read the project itself.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / ".dev" / "package"
LOCK = "requirements.lock"
VERSION = "version.txt"
"""The commit, which triggers/http_health.py reports. The file does not exist without Git or outside of a clone."""

FILES = ("function_app.py", "host.json", "requirements.txt")
FOLDERS = ("triggers", "orchestrators", "entities", "activities", "durable", "refresh", "power_bi", "outbound")
PAGE = "triggers/ui"
SUFFIXES = {".py": FOLDERS, ".html": (PAGE,), ".css": (PAGE,), ".js": (PAGE,), ".svg": (PAGE,)}
"""The admitted files, and the endings of admitted files with their folders. The status page is made of static files."""

HUB = "%TASKHUB_NAME%"
BACKENDS: dict[str, dict[str, Any] | None] = {
    "azureStorage": None,
    # the type from the documentation of Durable Functions; the settings of Azure Storage do not apply to it
    "durableTaskScheduler": {
        "type": "azureManaged",
        "connectionStringName": "DURABLE_TASK_SCHEDULER_CONNECTION_STRING",
    },
}
"""The storage provider in host.json by backend; with None, that of the project is kept."""

PLATFORM = "x86_64-manylinux_2_28"
DEPENDENCIES = ".python_packages/lib/site-packages"
"""Where the Functions host looks for packages if the platform does not build."""


class PackageFailed(Exception):  # noqa: N818
    """The package cannot be built; the message says why."""


def admitted(name: str) -> bool:
    """True if a file is deployed. `name` is its path in the project, with slashes."""
    if "/" not in name:
        return name in FILES
    folders = SUFFIXES.get(PurePosixPath(name).suffix, ())
    return any(name.startswith(f"{folder}/") for folder in folders)


def files(root: Path = ROOT) -> Iterator[str]:
    """The names of the deployed files. Links are excluded, because their targets may be anywhere."""
    for name in FILES:
        if (root / name).is_file() and not (root / name).is_symlink():
            yield name
    for folder in FOLDERS:
        for place, inner, names in os.walk(root / folder):  # does not follow links to folders
            inner.sort()
            for path in (Path(place) / name for name in sorted(names)):
                name = path.relative_to(root).as_posix()
                if admitted(name) and not path.is_symlink():
                    yield name


def host_json(backend: str, root: Path = ROOT) -> dict[str, Any]:
    """The content of host.json for a backend."""
    host: dict[str, Any] = json.loads((root / "host.json").read_text("utf-8"))
    durable = host["extensions"]["durableTask"]
    provider = BACKENDS[backend]
    if provider is not None:
        durable["storageProvider"] = provider
    host["extensions"]["durableTask"] = {"hubName": HUB, **durable}
    return host


def version(root: Path = ROOT) -> str | None:
    """The id of the commit, with `+changes` if files differ from it or are untracked.

    None if Git does not know the folder.
    """
    # a clone that contains this folder belongs to another project
    environ = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)}
    command = ["git", "status", "--porcelain=v2", "--branch"]
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=root, env=environ, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    lines = done.stdout.splitlines()
    commit = lines[0].removeprefix("# branch.oid ")
    if commit == "(initial)":
        return None
    return commit if all(line.startswith("# ") for line in lines) else f"{commit}+changes"


def build(backend: str, target: Path = PACKAGE, root: Path = ROOT) -> list[str]:
    """Rewrites the folder; returns the names of its files. Raises PackageFailed."""
    lock = root / LOCK
    if not lock.is_file():
        raise PackageFailed(f"{LOCK} is missing. Run: python3 infra/lock.py")
    names = list(files(root))
    missing = set(FILES).difference(names)
    if missing:
        raise PackageFailed(f"{', '.join(sorted(missing))} is missing in {root}.")
    shutil.rmtree(target, ignore_errors=True)
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target / name)
    (target / "host.json").write_text(json.dumps(host_json(backend, root), indent=2) + "\n", "utf-8")
    shutil.copyfile(lock, target / "requirements.txt")
    commit = version(root)
    if commit:
        (target / VERSION).write_text(f"{commit}\n", "utf-8")
    return names


def add_dependencies(python_version: str, target: Path = PACKAGE) -> None:
    """Installs the locked packages for Linux into the folder, for a plan without a remote build. Needs uv."""
    command = [
        *(sys.executable, "-m", "uv", "pip", "install", "--require-hashes", "--only-binary", ":all:"),
        *("--python-platform", PLATFORM, "--python-version", python_version),
        *("--target", str(target / DEPENDENCIES), "--requirement", str(target / "requirements.txt")),
    ]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise PackageFailed("The packages cannot be installed. uv is needed: python3 -m pip install uv")


def write_zip(archive: Path, folder: Path = PACKAGE) -> None:
    """Packs the folder. Times and order are fixed, so that equal folders give equal archives."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, path.read_bytes())


def main(arguments: list[str]) -> int:
    """Returns 0; otherwise 1, with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Builds the folder that is deployed, .dev/package.")
    parser.add_argument("--backend", choices=list(BACKENDS), default=os.environ.get("BACKEND") or "azureStorage")
    parser.add_argument("--output", type=Path, default=PACKAGE, help="the folder; its content is replaced")
    options = parser.parse_args(arguments)
    try:
        names = build(options.backend, options.output)
    except PackageFailed as problem:
        print(f"infra/package.py: {problem}", file=sys.stderr)
        return 1
    print(f"{len(names)} files for the backend {options.backend} in {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
