"""The contents of a deployment: only the app, with any packing tool, with locked packages.

Three readers must agree: infra/package.py, which builds the folder that azd deploys; Core Tools, which read .funcignore
in their own way; and tools that read .funcignore as git would (VS Code); here, git stands for them. The rules of Core
Tools follow their source (GitIgnoreParser): regular expressions anchored at the root of the project
and open at the end, * for a part of a name, ** across folders, brackets literal; a line with ! wins over all others.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from infra import lock, package
from triggers import http_health

ROOT = Path(__file__).parents[2]
FUNCIGNORE = (ROOT / ".funcignore").read_text("utf-8")

SECRETS = (
    ".env",
    ".env.prod",
    "local.settings.json",
    "local.settings.prod.json",
    "key.pem",
    "server.pfx",
    "state.db",
    "state.sqlite3-wal",
    "host.sqlite",
    "id_rsa",
    ".azure/dev/.env",
    ".dev/host/state.sqlite",
    ".git/config",
    ".venv/lib/secret.py",
    "triggers/.env",
    "triggers/key.pem",
    "refresh/local.settings.json",
    "power_bi/token.json",
    "activities/openapi/key.pem",
    "triggers_old/http_start.py",
    "mytriggers/x.py",
    "tests/triggers/x.py",
    "infra/main.json",
    "devhost/host.py",
    "dev.py",
    "requirements-dev.txt",
    "requirements.lock",
    "refresh/__pycache__/errors.cpython-312.pyc",
)
"""Files that may be in a working folder but must not be deployed."""

APP = ("function_app.py", "host.json", "requirements.txt", "triggers/http_start.py", "triggers/openapi/document.py")


Names = Iterable[str]


def by_package(names: Names) -> set[str]:
    """The files that infra/package.py puts into a package."""
    return set(filter(package.admitted, names))


def by_core_tools(names: Names) -> set[str]:
    """The files that Core Tools pack."""
    lines = [line.strip() for line in FUNCIGNORE.splitlines()]
    denying = [_pattern(line) for line in lines if line and line[0] not in "#!"]
    admitting = [_pattern(line[1:]) for line in lines if line.startswith("!")]
    denied = re.compile(rf"^(({')|('.join(denying)}))\b", re.ASCII)
    let_in = re.compile(rf"^(({')|('.join(admitting)}))\b", re.ASCII)
    return {name for name in names if let_in.search(name) or not denied.search(name)}


def _pattern(line: str) -> str:
    escaped = re.sub(r"[-\[\]/{}()+?.\\^$|]", r"\\\g<0>", line.removeprefix("/"))
    return escaped.replace("**", "(.+)").replace("*", r"([^\/]+)")


def by_git(names: Names) -> set[str]:
    """The files that are packed by a tool that reads .funcignore as git would."""
    with tempfile.TemporaryDirectory() as folder:
        init = ["git", "init", "--quiet"]
        subprocess.run(init, cwd=folder, check=True)
        for name in names:
            if not name.startswith(".git/"):
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).touch()
        command = ["git", "ls-files", "--others", f"--exclude-from={ROOT / '.funcignore'}", "-z"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return set(filter(None, done.stdout.decode().split("\0")))


READERS: dict[str, Callable[[Names], set[str]]] = {
    "package": by_package,
    "core tools": by_core_tools,
    "git": by_git,
}


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("reader", READERS)
def test_other_files_are_not_packed(reader: str) -> None:
    assert READERS[reader](SECRETS) == set()


@pytest.mark.parametrize("reader", READERS)
def test_the_app_is_packed(reader: str) -> None:
    assert READERS[reader](APP) == set(APP)


def test_all_readers_pack_the_same_files_of_the_repository() -> None:
    names = tracked()
    packed = {reader: packs(names) for reader, packs in READERS.items()}
    assert packed["package"] == packed["core tools"] == packed["git"]
    assert len(packed["package"]) > 50
    assert {name.split("/")[0] for name in packed["package"]} <= {*package.FILES, *package.FOLDERS}


def test_no_file_of_the_app_is_missing() -> None:
    """Every file in the folders of the app is packed."""
    inside = {name for name in tracked() if name.split("/")[0] in package.FOLDERS}
    assert {name for name in inside if not package.admitted(name)} == set()


def test_every_package_that_the_app_imports_is_admitted() -> None:
    """A new top-level folder that the code imports has to be added to the list."""
    own = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    imported = set()
    for name in package.files():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / name).read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    imported.add(node.module.split(".")[0])
    assert imported & own <= set(package.FOLDERS)


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """A copy of the app with all files that must not be packed."""
    root = tmp_path / "work"
    for name in package.files():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    shutil.copyfile(ROOT / package.LOCK, root / package.LOCK)
    for name in SECRETS:
        if not (root / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("secret", "utf-8")
    return root


def test_a_package_holds_the_app_and_nothing_else(working_folder: Path, tmp_path: Path) -> None:
    """The working folder also has .env, keys, settings and a state database. None of these is packed, and links are not
    followed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.py").write_text("secret", "utf-8")
    (working_folder / "refresh" / "linked").symlink_to(tmp_path / "outside", target_is_directory=True)
    (working_folder / "refresh" / "linked.py").symlink_to(tmp_path / "outside" / "secret.py")
    target = tmp_path / "package"
    package.build("azureStorage", target, working_folder)
    packed = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert packed == set(package.files(ROOT))
    assert not any(path.read_text("utf-8") == "secret" for path in target.rglob("*") if path.is_file())


def test_a_package_is_written_again(working_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "package"
    target.mkdir()
    (target / "left.py").write_text("of the last build", "utf-8")
    package.build("azureStorage", target, working_folder)
    assert not (target / "left.py").exists()


def test_a_package_without_a_lock_is_not_built(working_folder: Path, tmp_path: Path) -> None:
    (working_folder / package.LOCK).unlink()
    with pytest.raises(package.PackageFailed, match=r"infra/lock\.py"):
        package.build("azureStorage", tmp_path / "package", working_folder)


@pytest.mark.parametrize("backend", package.BACKENDS)
def test_a_package_installs_exactly_what_is_locked(backend: str, tmp_path: Path) -> None:
    package.build(backend, tmp_path / "package")
    assert (tmp_path / "package" / "requirements.txt").read_bytes() == (ROOT / package.LOCK).read_bytes()


def test_the_backend_decides_the_storage_provider_and_nothing_else() -> None:
    project = json.loads((ROOT / "host.json").read_text("utf-8"))
    storage, scheduler = package.host_json("azureStorage"), package.host_json("durableTaskScheduler")
    assert scheduler["extensions"]["durableTask"]["storageProvider"]["type"] == "azureManaged"
    for host in (project, storage, scheduler):
        host["extensions"]["durableTask"].pop("hubName", None)
    assert storage == project
    scheduler["extensions"]["durableTask"]["storageProvider"] = project["extensions"]["durableTask"]["storageProvider"]
    assert scheduler == project


def test_the_settings_that_the_packaged_host_json_names_are_deployed() -> None:
    app = (ROOT / "infra" / "modules" / "functionApp.bicep").read_text("utf-8")
    named = set(re.findall(r"%(\w+)%", package.HUB))
    provider = package.BACKENDS["durableTaskScheduler"]
    assert provider
    for name in {*named, provider["connectionStringName"]}:
        assert f"{name}:" in app


def test_equal_packages_make_equal_archives(tmp_path: Path) -> None:
    """Packages with the same files make equal archives, so that deployments of the same commit can be recognised."""
    digests = set()
    for name in ("one", "two"):
        package.build("azureStorage", tmp_path / name)
        package.write_zip(tmp_path / f"{name}.zip", tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / f"{name}.zip").read_bytes()).hexdigest())
    assert len(digests) == 1
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert set(archive.namelist()) - {package.VERSION} == set(package.files())


def commit_all(folder: Path) -> None:
    """Makes the folder a Git repository with one commit."""
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "one")
    for arguments in (("init", "--quiet"), ("add", "--all", "--force"), (*author, *commit)):
        command = ["git", *arguments]
        subprocess.run(command, cwd=folder, check=True)


def test_a_package_has_the_commit_that_the_app_reports(working_folder: Path, tmp_path: Path) -> None:
    """The package has the commit of the working folder, and says whether a file was changed."""
    shutil.rmtree(working_folder / ".git")
    commit_all(working_folder)
    package.build("azureStorage", tmp_path / "package", working_folder)
    commit = http_health.deployed_version(tmp_path / "package" / http_health.VERSION_FILE.name)
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40,64}", commit)
    (working_folder / "host.json").write_text((ROOT / "host.json").read_text("utf-8") + "\n", "utf-8")
    package.build("azureStorage", tmp_path / "package", working_folder)
    assert http_health.deployed_version(tmp_path / "package" / package.VERSION) == f"{commit}+changes"


def test_a_folder_in_the_clone_of_another_project_has_no_commit(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").touch()
    commit_all(tmp_path)
    assert package.version(tmp_path)
    assert package.version(tmp_path / "app") is None


def test_a_package_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert package.version() is None


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff\xfe", b"a" * 39, b"a" * 100_000, b"a" * 40 + b" and more"])
def test_the_app_reports_nothing_but_a_commit(content: bytes, tmp_path: Path) -> None:
    (tmp_path / package.VERSION).write_bytes(content)
    assert http_health.deployed_version(tmp_path / package.VERSION) is None
    assert http_health.deployed_version(tmp_path / "missing") is None


def locked() -> dict[str, list[Requirement]]:
    """The locked requirements by name. A name may be locked several times, for different versions of Python."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / package.LOCK).read_text("utf-8").splitlines():
        if line and line[0] not in "# ":
            requirement = Requirement(line.removesuffix("\\").strip())
            found.setdefault(requirement.name.lower().replace("_", "-"), []).append(requirement)
    return found


def test_the_lock_is_what_uv_makes_of_the_requirements() -> None:
    """The lock is the result of uv for the requirements. This test needs the package index; the next two do not."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "infra" / "lock.py"), "--check"], capture_output=True, text=True, check=False
    )
    if done.returncode and "not up to date" not in done.stderr:
        pytest.skip(f"uv cannot resolve here: {done.stderr.strip().splitlines()[-1:]}")
    assert done.returncode == 0, done.stderr


def test_the_lock_fits_the_requirements() -> None:
    """Every direct requirement is locked to a version that it allows, for every Python."""
    lines = (line.split("#")[0].strip() for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines())
    for requirement in (Requirement(line) for line in lines if line):
        pins = locked()[requirement.name]
        for pin in pins:
            (version,) = (specifier.version for specifier in pin.specifier)
            assert requirement.specifier.contains(version), (requirement, pin)


def test_the_lock_is_complete_and_hashed() -> None:
    """The dependencies of locked packages are locked, as far as they are installed here. Each package has hashes."""
    text = (ROOT / package.LOCK).read_text("utf-8")
    assert lock.COMMAND in text.splitlines()[1]
    for block in re.split(r"\n(?=\S)", text):
        if not block.startswith("#"):
            assert "--hash=sha256:" in block, block.splitlines()[0]
    for name in locked():
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # the requirement is for another Python or platform
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert need.name.lower().replace("_", "-") in locked(), f"{name} needs {need}"
