"""The files that other tools read are valid by their schemas: azure.yaml, host.json, workflows, issue forms.

The schemas of workflows and issue forms come with check-jsonschema. Those of azd and of host.json are in no package;
the ones in tests/data/schemas are written from the documentation, only as large as these files need, and strict.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from infra import package, picture

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "tests" / "data" / "schemas"
GITHUB = ROOT / ".github"


def faults(schema: str, value: Any) -> list[str]:
    """The errors of a file according to a schema."""
    validator = jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{schema}.schema.json").read_text("utf-8")))
    return [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in validator.iter_errors(value)]


def azure_yaml() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    return parsed


def test_azure_yaml_is_valid() -> None:
    assert faults("azure", azure_yaml()) == []
    assert faults("azure", {**azure_yaml(), "service": {}}) != [], "the check can fail"


@pytest.mark.parametrize("backend", [None, *package.BACKENDS])
def test_host_json_is_valid_for_every_backend(backend: str | None) -> None:
    """Each variant of host.json is valid. `None` is the file of the project, which the development host and Core Tools
    read."""
    host = json.loads((ROOT / "host.json").read_text("utf-8")) if backend is None else package.host_json(backend)
    # the schema requires the type of the provider; without it, the host uses Azure Storage
    host["extensions"]["durableTask"]["storageProvider"].setdefault("type", "AzureStorage")
    assert faults("host", host) == []
    host["extensions"]["durableTask"]["maxQueuePollingIntervall"] = "00:00:05"
    assert faults("host", host) != [], "the check can fail"


def test_the_scripts_that_azure_yaml_runs_exist() -> None:
    """Each hook runs the same file with both shells."""
    config = azure_yaml()
    hooks = {**config["hooks"], **config["services"]["app"]["hooks"]}
    assert set(hooks) == {"preprovision", "postdeploy", "postdown", "prepackage"}
    for hook in hooks.values():
        posix, windows = hook["posix"]["run"].split(), hook["windows"]["run"].split()
        assert (posix[0], windows[0]) == ("python3", "python")
        assert posix[1:] == windows[1:]
        assert (ROOT / posix[1]).is_file()


def test_the_output_after_a_deployment_stays_visible() -> None:
    """azd erases the output of a hook unless its shell block has `interactive`."""
    hook = azure_yaml()["hooks"]["postdeploy"]
    assert all(hook[shell]["interactive"] is True for shell in ("posix", "windows"))


def test_azd_deploys_the_folder_of_the_package() -> None:
    service = azure_yaml()["services"]["app"]
    assert ROOT / service["project"] / service["dist"] == package.PACKAGE
    tag = "'azd-service-name': 'app'"
    assert tag in (ROOT / "infra" / "modules" / "functionApp.bicep").read_text("utf-8")


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [("vendor.github-workflows", "workflows/*.yml"), ("vendor.github-issue-forms", "ISSUE_TEMPLATE/[a-z]*_*.yml")],
)
def test_the_files_of_github_are_valid(schema: str, pattern: str) -> None:
    files = sorted(map(str, GITHUB.glob(pattern)))
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflows_run_the_tests_on_every_supported_python() -> None:
    workflow = yaml.safe_load((GITHUB / "workflows" / "test.yml").read_text("utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]


def test_the_deployment_signs_in_without_a_secret() -> None:
    """The deployment uses OIDC: the job may request a token, and the workflow has no secret of GitHub."""
    text = (GITHUB / "workflows" / "azure-dev.yml").read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"id-token": "write", "contents": "read"}
    assert "secrets." not in text
    assert "--federated-credential-provider" in text


def test_the_deployment_signs_in_for_its_environment() -> None:
    """A tag has no credential of its own. The documented credential names the environment of the job."""
    job = yaml.safe_load((GITHUB / "workflows" / "azure-dev.yml").read_text("utf-8"))["jobs"]["deploy"]
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert f"repo:OWNER/REPO:environment:{job['environment']}" in text


def test_the_deployment_of_a_pipeline_knows_every_parameter() -> None:
    """Each parameter is a variable of the repository, which `azd pipeline config` sets. A variable that is not set
    gives the default."""
    parameters = (ROOT / "infra" / "main.bicepparam").read_text("utf-8")
    env = yaml.safe_load((GITHUB / "workflows" / "azure-dev.yml").read_text("utf-8"))["jobs"]["deploy"]["env"]
    assert env == {name: f"${{{{ vars.{name} }}}}" for name in env}
    # azd sets the others by itself
    own = {name for name in env if not name.startswith("AZURE_")}
    copied = azure_yaml()["pipeline"]["variables"]
    assert sorted(copied) == sorted(own)
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", parameters))
    assert own - {"SMOKE_WORKSPACE", "SMOKE_DATASET"} == read - {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    assert read <= set(env)
    assert set(re.findall(r"readEnvironmentVariable\('\w+', '([^']*)'\)", parameters)) == {""}


def test_every_action_is_pinned() -> None:
    """Only actions of GitHub and Microsoft are used, each in a major version."""
    for path in (GITHUB / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
            for step in job["steps"]:
                if "uses" in step:
                    owner, version = step["uses"].split("/")[0], step["uses"].split("@")[1]
                    assert owner in ("actions", "Azure"), step
                    assert version.startswith("v"), step


def test_the_picture_is_drawn_from_its_source() -> None:
    """The picture has a hash of its source. If the tool is installed, the picture is drawn again and compared."""
    assert picture.up_to_date(), f"run: {picture.COMMAND}"
    dot = picture.program()
    if dot is not None:
        assert picture.draw(dot) == picture.PICTURE.read_text("utf-8")


def test_the_development_container_is_json_with_what_azd_needs() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    features = " ".join(container["features"])
    assert all(tool in features for tool in ("azd", "azure-cli", "node", "core-tools"))
    assert "infra/tools.py" in container["postCreateCommand"]


def test_the_runbook_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    named = set(re.findall(r"\b(?:infra|docs|\.github)/[\w./-]+\w\.(?:kql|py|bicep|json|yml|md)\b", text))
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_terminal_of_the_runbook_is_valid_shell() -> None:
    shell = shutil.which("sh")
    if shell is None:
        pytest.skip("there is no sh on this machine")
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.S)
    done = subprocess.run([shell, "-n"], input=block, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
