"""The deployed package starts and serves a refresh with only its own files and its locked packages.

It is built like a deployment (infra/package.py) and installed like the remote build (the lock, with hashes) into its
own environment, in a folder from which no file of the project can be imported. Only the host, which is copied next to
it, is from this project."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import devhost
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, Devhost
from infra import package
from tests.e2e.world import FAST, QUICK, WORKSPACE, when

DATASET = "22222222-aaaa-bbbb-cccc-0000000000aa"
ENDS_WITHIN = 60


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with only the locked packages. Skips the test if they cannot be downloaded."""
    folder = tmp_path_factory.mktemp("environment")
    python = folder / "venv" / "bin" / "python"
    for command in (
        ["venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
        ["pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(package.ROOT / package.LOCK)],
    ):
        done = subprocess.run([sys.executable, "-m", "uv", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the locked packages cannot be installed here: {done.stderr.strip()[-200:]}")
    return python


@pytest.mark.parametrize("backend", package.BACKENDS)
def test_the_package_serves_a_refresh(backend: str, environment: Path, tmp_path: Path) -> None:
    app = tmp_path / "app"
    package.build(backend, app)
    host = tmp_path / "host" / "devhost"
    shutil.copytree(Path(devhost.__file__).parent, host, ignore=shutil.ignore_patterns("__pycache__"))
    with serve(PowerBiService()) as service:
        requests.post(f"{service.base_url}/control/datasets/{DATASET}", json=QUICK, timeout=10).raise_for_status()
        env = {**FAST, "POWER_BI_API_URL": service.base_url}
        env |= {"TASKHUB_NAME": "refreshhub", "PYTHONPATH": str(host.parent)}
        command = f"{environment} -m devhost --app {{app}} --port {{port}} --state {{state}} --key {KEY}"
        with Devhost(app, tmp_path / "state", env=env, command=f"{command} --exact-timers") as running:
            started = running.post("/api/refreshes", json={"workspaceId": WORKSPACE, "datasetId": DATASET})
            assert started.status_code == 202, started.text
            uri = started.json()["statusUri"]
            final = when(lambda: requests.get(uri, timeout=30), lambda answer: answer.status_code != 202, ENDS_WITHIN)
    assert final.status_code == 200, final.text
    assert final.json()["status"] == "Completed"


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_a_package_for_elastic_premium_brings_its_packages(version: str, tmp_path: Path) -> None:
    """A package for Elastic Premium contains its Python packages, for Linux and the Python of the app. The test is
    skipped if they cannot be fetched."""
    package.build("azureStorage", tmp_path)
    try:
        package.add_dependencies(version, tmp_path)
    except package.PackageFailed as problem:
        pytest.skip(f"the locked packages cannot be fetched here: {problem}")
    folder = tmp_path / package.DEPENDENCIES
    assert (folder / "azure" / "durable_functions").is_dir()
    compiled = {path.name.split(".")[1] for path in folder.rglob("*.so") if "cpython" in path.name}
    assert compiled == {f"cpython-{version.replace('.', '')}-x86_64-linux-gnu"}
