"""The deployment is compiled from its sources, has the settings of the code and no secrets, and one access control."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra import compile as compilation
from infra import policies, workbook
from refresh.settings import Settings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")

SET_BY_THE_PLATFORM = {
    "WEBSITE_HOSTNAME",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_SLOT_NAME",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "AZURE_CLIENT_SECRET",
}
"""Variables that the settings read. Azure sets them, or a developer who signs in as a service principal."""
FOR_DEVELOPMENT = {"EXACT_TIMERS"}
"""Settings that the code refuses unless Power BI is on the same machine."""

Json = dict[str, Any]


@cache
def template() -> Json:
    parsed: Json = json.loads((INFRA / "main.json").read_text("utf-8"))
    return parsed


@cache
def modules() -> dict[str, Json]:
    """The compiled modules with resources, by name."""
    return dict(policies.modules(template()))


def templates(value: Json | None = None) -> Iterator[Json]:
    """The template and all nested templates."""
    value = template() if value is None else value
    yield value
    resources = value["resources"]
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"])


def resource(module: str, kind: str) -> Json:
    """The only resource of a type in a module."""
    found = [one for one in modules()[module]["resources"] if one["type"] == kind]
    assert len(found) == 1, (module, kind)
    return dict(found[0])


def settings_read() -> set[str]:
    """The names of the app settings that the code reads: the upper-case texts in the module of Settings."""
    source = inspect.getsource(sys.modules[Settings.__module__])
    return set(re.findall(r'"([A-Z][A-Z_]+)"', source)) - SET_BY_THE_PLATFORM - FOR_DEVELOPMENT


def test_the_settings_of_the_deployment_are_those_that_the_code_reads() -> None:
    source = (INFRA / "settings.bicep").read_text("utf-8")
    deployed = re.findall(r"\{ name: '(\w+)'", source)
    assert len(deployed) == len(set(deployed))
    assert set(deployed) == settings_read()
    assert len(deployed) > 10


def test_settings_of_the_host_do_not_collide_with_those_of_the_code() -> None:
    source = (INFRA / "modules" / "functionApp.bicep").read_text("utf-8")
    block = source[source.index("var hostSettings") : source.index("resource storage")]
    host = set(re.findall(r"^\s+([A-Z]\w+):", block, re.M))
    assert {"AzureWebJobsStorage__credential", "TASKHUB_NAME", "APPLICATIONINSIGHTS_CONNECTION_STRING"} <= host
    assert host & settings_read() == set()


def test_the_template_is_compiled_from_the_sources() -> None:
    """The compiled template has a hash of the sources, so that a machine without the compiler can compare it."""
    assert compilation.recorded_hash() == compilation.sources_hash(), f"run: {compilation.COMMAND}"


def test_the_workbook_is_made_from_the_queries() -> None:
    assert workbook.WORKBOOK.read_text("utf-8") == workbook.text(), f"run: {compilation.COMMAND}"


def test_the_check_of_the_compilation_can_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "main.json"
    stale.write_text(json.dumps({**template(), "metadata": {"sources": "0" * 64}}), "utf-8")
    monkeypatch.setattr(compilation, "TEMPLATE", stale)
    assert compilation.main(["--check"]) == 1
    assert "infra/main.json" in capsys.readouterr().err


def test_bicep_compiles_without_a_warning_into_the_template() -> None:
    program = compilation.compiler()
    if program is None:
        pytest.skip("no Bicep compiler on this machine: az bicep install, or set BICEP to its path")
    compiled = compilation.compiled(program)
    if compiled["metadata"]["_generator"]["version"] != template()["metadata"]["_generator"]["version"]:
        pytest.skip("compiles without a warning; the template was compiled by another version of Bicep")
    assert compiled == template()


def test_every_parameter_is_described() -> None:
    for one in templates():
        for name, parameter in one.get("parameters", {}).items():
            assert parameter.get("metadata", {}).get("description"), name


def test_choices_and_numbers_are_bounded() -> None:
    """The description of a text parameter lists its choices. Every number has a lower limit or allowed values."""
    for name, parameter in template()["parameters"].items():
        if parameter.get("type") == "int":
            assert "minValue" in parameter or "allowedValues" in parameter, name
    choices = {name for name, parameter in template()["parameters"].items() if "allowedValues" in parameter}
    assert {"plan", "pythonVersion", "authMode", "powerBiCloud", "backend"} <= choices


def test_main_passes_on_every_parameter() -> None:
    """main.bicep passes every parameter on. Otherwise setting the parameter would have no effect."""
    inner = template()["resources"]["resources"]["properties"]
    assert set(inner["parameters"]) == set(inner["template"]["parameters"])
    own = {"environmentName", "resourceGroupName"}
    assert set(template()["parameters"]) - own <= set(inner["parameters"])


def test_every_parameter_can_be_set_in_azd_and_is_documented() -> None:
    source = (INFRA / "main.bicepparam").read_text("utf-8")
    assert set(re.findall(r"^param (\w+) =", source, re.M)) == set(template()["parameters"])
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", source)) - {"AZURE_ENV_NAME", "AZURE_LOCATION"}
    section = OPERATIONS.split("| azd environment |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `(\w+)`", section, re.M)) == read


def test_no_output_is_a_secret() -> None:
    for one in templates():
        for name, output in one.get("outputs", {}).items():
            assert not output["type"].startswith("secure"), name
            assert "listKeys" not in output["value"], name
            assert "ConnectionString" not in output["value"], name
    assert "listKeys(" not in json.dumps(template())


def test_shared_keys_and_local_sign_in_are_off() -> None:
    storage = resource("storage", "Microsoft.Storage/storageAccounts")["properties"]
    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert storage["minimumTlsVersion"] == "TLS1_2"
    assert resource("monitoring", "Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
    workspace = resource("monitoring", "Microsoft.OperationalInsights/workspaces")["properties"]
    assert workspace["features"]["disableLocalAuth"] is True
    app = resource("functionApp", "Microsoft.Web/sites")
    assert app["identity"]["type"] == "UserAssigned"
    assert app["properties"]["httpsOnly"] is True
    basic = [one for one in modules()["functionApp"]["resources"] if one["type"].endswith("CredentialsPolicies")]
    assert [one["properties"] for one in basic] == [{"allow": False}, {"allow": False}]


def test_both_access_controls_have_one_parameter() -> None:
    """The platform's sign-in admits application and object ids of the callers, the app admits their object ids."""
    sign_in = modules()["functionApp"]["variables"]["signInSettings"]
    policy = sign_in["identityProviders"]["azureActiveDirectory"]["validation"]["defaultAuthorizationPolicy"]
    assert "parameters('callers')" in policy["allowedApplications"]
    assert "applicationId" in policy["allowedApplications"]
    assert "parameters('callers')" in policy["allowedPrincipals"]["identities"]
    assert "objectId" in policy["allowedPrincipals"]["identities"]
    settings = (INFRA / "settings.bicep").read_text("utf-8")
    assert re.search(r"name: 'ALLOWED_CALLERS'.*own\.callers.*caller\.objectId", settings)
    assert re.search(r"name: 'ALLOWED_READERS'.*own\.readers.*reader\.objectId", settings)
    # the platform's sign-in admits readers, too
    source = (INFRA / "resources.bicep").read_text("utf-8")
    assert "callers: concat(admittedCallers, authMode == 'entra' ? readers : [])" in source
    # statusUri and cancelUri have tokens of their own, see the comment in the Bicep file
    assert sign_in["globalValidation"]["unauthenticatedClientAction"] == "AllowAnonymous"


def test_flex_consumption_gets_none_of_the_settings_that_it_refuses() -> None:
    source = (INFRA / "modules" / "functionApp.bicep").read_text("utf-8")
    flex, others = source.split("// Flex Consumption refuses these", 1)
    refused = ("FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "SCM_DO_BUILD")
    assert [name for name in refused if name in flex] == []
    assert "FUNCTIONS_WORKER_RUNTIME" in others


def test_the_roles_of_the_app_are_the_least_that_it_needs() -> None:
    """The roles have names as constants, and the ids that Microsoft publishes."""
    roles = {
        name: found
        for path in (INFRA / "modules").glob("*.bicep")
        for name, found in re.findall(r"var (\w+) = '([0-9a-f]{8}-[0-9a-f-]{27})'", path.read_text("utf-8"))
    }
    assert roles == {
        "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "storageQueueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
        "durableTaskDataContributor": "0ad04412-c4d5-4796-b79c-f76d14c8d402",
    }


def test_every_alert_has_its_section_in_the_runbook() -> None:
    source = (INFRA / "modules" / "alerts.bicep").read_text("utf-8")
    names = re.findall(r"^\s+name: '([a-z-]+)'\n\s+title:", source, re.M)
    assert len(names) == 11
    assert [name for name in names if f"\n### {name}\n" not in OPERATIONS] == []


def test_the_table_of_alerts_has_their_severities_and_intervals() -> None:
    source = (INFRA / "modules" / "alerts.bicep").read_text("utf-8")
    rule = r"^\s+name: '([a-z-]+)'\n\s+title:.*?severity: (\d)\n\s+window: '(\w+)'\n\s+every: '(\w+)'"
    words = {"PT5M": "5 minutes", "PT15M": "15 minutes", "PT30M": "30 minutes", "PT1H": "1 hour", "PT3H": "3 hours"}
    words["P2D"] = "2 days"
    deployed = [
        (name, severity, words[every], words[window])
        for name, severity, window, every in re.findall(rule, source, re.M | re.S)
    ]
    table = OPERATIONS.split("| alert | severity |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| \[([a-z-]+)\].*? \| (\d) \| ([\w ]+) \| ([\w ]+) \|$", table, re.M) == deployed
    often = sum(every == "5 minutes" for _, _, every, _ in deployed)
    always = len(deployed) - 1  # without model-stale
    assert f"{often} at 5 minutes, {always - often} at 15 minutes or more" in OPERATIONS


def test_the_policies_of_checkov_hold() -> None:
    checkov = policies.program()
    if checkov is None:
        pytest.skip("checkov is not installed: python3 infra/tools.py")
    assert policies.faults(checkov) == []


def test_every_exception_from_a_policy_has_a_reason() -> None:
    excepted = {path.stem: policies.EXCEPTION.findall(path.read_text("utf-8")) for path in INFRA.rglob("*.bicep")}
    marked = sum(path.read_text("utf-8").count("checkov:skip") for path in INFRA.rglob("*.bicep"))
    assert marked == sum(map(len, excepted.values())) > 0
    short = {reason for found in excepted.values() for _, reason in found if len(reason.split()) < 4}
    assert short <= {"as CKV_AZURE_65"}
