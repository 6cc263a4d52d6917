"""Files for tools that the tests cannot run (VS Code, Core Tools): they are valid, and their references exist."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dev import commands
from dev.servers import HostOptions
from infra import package
from tests.unit.test_repository import requirements, sample_settings

ROOT = Path(__file__).resolve().parents[2]
VSCODE = ROOT / ".vscode"

Json = dict[str, Any]

SCHEMASTORE = ROOT / "tests" / "data" / "schemas" / "schemastore"
NEWER_THAN_SCHEMASTORE = {
    "extensions/durableTask": {"defaultVersion", "versionMatchStrategy", "maxConcurrentEntityFunctions"},
    "extensions/durableTask/storageProvider": {"useInstanceTableEtag"},
    "extensions/durableTask/tracing": {"distributedTracingEnabled", "version"},
}
"""Settings of host.json that the schema of editors does not know; docs/operations.md explains each."""


def read(name: str) -> Json:
    """A file of .vscode, which is JSON with comments on lines of their own."""
    text = (VSCODE / name).read_text("utf-8")
    found: Json = json.loads("\n".join("" if line.lstrip().startswith("//") else line for line in text.splitlines()))
    return found


def tasks() -> dict[str, Json]:
    return {task["label"]: task for task in read("tasks.json")["tasks"]}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


@pytest.mark.parametrize("path", sorted(VSCODE.iterdir()), ids=lambda path: path.name)
def test_files_of_vs_code_are_valid(path: Path) -> None:
    """Each is a JSON object. Its variables are among those that VS Code replaces."""
    variables = {name for text in strings(read(path.name)) for name in re.findall(r"\$\{(\w+)", text)}
    assert variables <= {"workspaceFolder", "file"}


def test_f5_starts_core_tools() -> None:
    """The first configuration attaches to the port of the Functions extension after its task has started the host."""
    first = read("launch.json")["configurations"][0]
    assert (first["type"], first["request"], first["connect"]["port"]) == ("debugpy", "attach", 9091)
    host = tasks()[first["preLaunchTask"]]
    assert (host["type"], host["command"], host["isBackground"]) == ("func", "host start", True)


def test_tasks_and_modules_exist() -> None:
    """The configurations and tasks refer to existing tasks and modules."""
    launched = read("launch.json")["configurations"]
    named = {one["preLaunchTask"] for one in launched if "preLaunchTask" in one}
    for task in tasks().values():
        before = task.get("dependsOn", [])
        named |= {before} if isinstance(before, str) else set(before)
    assert named <= tasks().keys()
    assert all(importlib.util.find_spec(one["module"]) for one in launched if "module" in one)


def test_commands_of_the_tasks_exist() -> None:
    """Each dev.py command can be parsed. A task for which others wait ends with a line that the service prints."""
    shell = [task for task in tasks().values() if task["type"] == "shell"]
    for task in shell:
        for command in (task["command"], task["windows"]["command"]):
            program, script, *arguments = command.split()
            assert (program.rstrip("3"), script) == ("python", "dev.py")
            assert commands.parse(arguments).command
    [service] = [task for task in shell if task.get("isBackground")]
    pattern = service["problemMatcher"]["background"]["endsPattern"]
    printed = (ROOT / "dev/power_bi/__main__.py").read_text("utf-8")
    assert re.search(pattern.replace("http", "{"), printed)


def test_paths_in_settings_exist() -> None:
    """The paths are folders of the project, or the environment that dev.py creates."""
    settings = read("settings.json")
    assert settings["azureFunctions.pythonVenv"] == ".venv"
    # a folder: in it, the Python extension finds the interpreter of Windows or of other systems
    assert settings["python.defaultInterpreterPath"] == "${workspaceFolder}/.venv"
    assert all((ROOT / folder).is_dir() for folder in settings["python.analysis.extraPaths"])
    assert (ROOT / settings["python.testing.pytestArgs"][-1]).is_dir()
    assert all(re.fullmatch(r"[\w-]+\.[\w-]+", name) for name in read("extensions.json")["recommendations"])


def test_host_json_fits_core_tools_and_azure() -> None:
    """The file has version 2.0, and a range of extension bundles that the Python worker needs: 4.x from an existing
    version."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert host["version"] == "2.0"
    assert host["extensionBundle"]["id"] == "Microsoft.Azure.Functions.ExtensionBundle"
    found = re.fullmatch(r"\[(\d+)\.(\d+)\.\d+, (\d+)\.0\.0\)", host["extensionBundle"]["version"])
    assert found
    lowest, minor, beyond = map(int, found.groups())
    assert (lowest, beyond) == (4, 5)
    assert minor <= 32, "newer bundles exist, but Azure did not resolve ranges that begin above 4.32"
    assert re.fullmatch(r"\d\d:\d\d:\d\d", host["functionTimeout"])


def test_local_settings_fit_core_tools() -> None:
    """`func start` needs the worker and a storage account; values must be strings, and none may be a secret."""
    sample = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))
    assert (sample["IsEncrypted"], set(sample)) == (False, {"IsEncrypted", "Values"})
    assert sample_settings()["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert sample_settings()["AzureWebJobsStorage"] == "UseDevelopmentStorage=true"
    assert all(isinstance(value, str) for value in sample_settings().values())


def test_requirements_fit_a_remote_build() -> None:
    """Oryx installs requirements.txt of the root: packages by name only, no paths, no options."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert len(requirements("requirements.txt")) == len(packages)
    assert not any(line.startswith("-") or "://" in line for line in packages)


def unknown(schema: Json, value: Json) -> dict[str, set[str]]:
    """The keys that a schema does not know, by their place. Any other error fails the test."""
    found: dict[str, set[str]] = {}
    for fault in jsonschema.Draft4Validator(schema).iter_errors(value):
        assert fault.validator == "additionalProperties", fault
        known = set(fault.schema["properties"])
        found["/".join(map(str, fault.absolute_path))] = set(fault.instance) - known
    return found


def test_editors_accept_host_json() -> None:
    """The file is valid by SchemaStore's schema for version 2.0, except for settings that are newer than the schema."""
    schema = json.loads((SCHEMASTORE / "host.json").read_text("utf-8"))
    version_2 = {**schema["oneOf"][1], "definitions": schema["definitions"]}
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert unknown(version_2, host) == NEWER_THAN_SCHEMASTORE
    host["extensionBundle"]["versions"] = host["extensionBundle"].pop("version")
    assert "extensionBundle" in unknown(version_2, host), "the check can fail"


def test_editors_accept_local_settings() -> None:
    """The file is valid by SchemaStore's schema."""
    schema = json.loads((SCHEMASTORE / "local.settings.json").read_text("utf-8"))
    sample = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))
    jsonschema.validate(sample, schema)
    sample["Values"]["FUNCTIONS_WORKER_RUNTIME"] = "pyhton"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(sample, schema)


def branches(template: Json) -> Iterator[Json]:
    """A template of Azure Pipelines for each of its conditions, with what the service inserts if it is true."""
    conditions = set(re.findall(r"\$\{\{ if [^}]*\}\}", json.dumps(template)))
    assert conditions
    for condition in sorted(conditions):
        yield inserted(template, condition)


def inserted(value: Any, condition: str) -> Any:
    """A copy of a value in which the content of this condition replaces it. Other conditions are left out."""
    if isinstance(value, dict):
        plain = {key: inserted(inner, condition) for key, inner in value.items() if not key.startswith("${{ if ")}
        return {**plain, **value.get(condition, {})}
    if not isinstance(value, list):
        return value
    found: list[Any] = []
    for inner in value:
        conditional = isinstance(inner, dict) and all(key.startswith("${{ if ") for key in inner)
        found += inner.get(condition, []) if conditional else [inserted(inner, condition)]
    return found


def test_the_step_templates_are_valid() -> None:
    """The action for GitHub and the step for Azure Pipelines are valid by the schemas of these services."""
    found = importlib.util.find_spec("check_jsonschema")
    assert found
    assert found.origin
    vendored = Path(found.origin).parent / "builtin_schemas" / "vendor"
    folder = ROOT / "integrations" / "command"
    action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
    step = yaml.safe_load((folder / "azure-pipelines-step.yml").read_text("utf-8"))
    for name, values in (("github-actions", [action]), ("azure-pipelines", list(branches(step)))):
        schema = json.loads((vendored / f"{name}.json").read_text("utf-8"))
        for value in values:
            jsonschema.validate(value, schema)
            broken = {key: inner for key, inner in value.items() if key not in ("runs", "steps")}
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(broken, schema)


def test_the_document_names_what_exists() -> None:
    """The document names the existing configurations of VS Code, the port, and the folders of both state stores."""
    section = (ROOT / "docs/development.md").read_text("utf-8").split("## The tools of Azure Functions")[1]
    text = " ".join(section.split())
    names = [one["name"] for one in read("launch.json")["configurations"][1:]]
    assert [name for name in names if f"*{name}*" not in text] == []
    assert read("settings.json")["azurite.location"] in text
    assert str(Path(*HostOptions().state.parts[-2:])) in text
    assert str(HostOptions().port) in text
    packed = package.host_json("azureStorage")["extensions"]["durableTask"]["hubName"]
    own = json.loads((ROOT / "host.json").read_text("utf-8"))["extensions"]["durableTask"]
    assert packed == "%TASKHUB_NAME%"
    assert "hubName" not in own, "the document says that the project's own file uses another hub"
