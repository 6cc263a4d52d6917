"""The resources of a deployment with each of its options.

Bicep itself evaluates the parameters and the template on this machine (`bicep snapshot`). Not covered: the real
resources in Azure. Values that only exist after a deployment, such as ids of identities, stay expressions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra import compile as compilation

INFRA = Path(__file__).parents[2] / "infra"
APPLICATION, OBJECT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
OTHER_APPLICATION, OTHER_OBJECT = "33333333-3333-3333-3333-333333333333", "44444444-4444-4444-4444-444444444444"
REGISTRATION = "55555555-5555-5555-5555-555555555555"
ENTRA = {"CALLERS": f"{APPLICATION}:{OBJECT},{OTHER_APPLICATION}:{OTHER_OBJECT}", "SIGN_IN_CLIENT_ID": REGISTRATION}
KEY = {"AUTH_MODE": "key"}
FLEX_CONFIG = {"appSettings", "http20Enabled", "minTlsVersion", "remoteDebuggingEnabled", "scmMinTlsVersion"}
"""The properties of siteConfig on Flex Consumption. Azure refuses a deployment with others, such as ftpsState."""
SOURCE = "using 'main.bicep'"

Json = dict[str, Any]


def snapshot(folder: Path, values: dict[str, str]) -> list[Json]:
    """The resources of a deployment with these values in the azd environment. Fails with the message of Bicep."""
    program = compilation.compiler()
    if program is None:
        pytest.skip("no Bicep compiler on this machine: az bicep install, or set BICEP to its path")
    for name in ("main.json", "types.bicep", "bicepconfig.json"):
        shutil.copyfile(INFRA / name, folder / name)
    parameters = (INFRA / "main.bicepparam").read_text("utf-8")
    assert SOURCE in parameters
    # the compiled template takes half the time; another test compares it with its sources
    (folder / "main.bicepparam").write_text(parameters.replace(SOURCE, "using 'main.json'"), "utf-8")
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMP") if name in os.environ}
    ids = ("--subscription-id", APPLICATION, "--tenant-id", OBJECT, "--location", "westeurope")
    done = subprocess.run(
        [program, "snapshot", "main.bicepparam", "--mode", "overwrite", *ids],
        cwd=folder,
        env={**environ, **values},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    found: Json = json.loads((folder / "main.snapshot.json").read_text("utf-8"))
    resources: list[Json] = found["predictedResources"]
    return resources


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """A deployment with AUTH_MODE key and some numbers."""
    values = {
        "ALWAYS_READY_INSTANCES": "0",
        "ALLOWED_WORKSPACES": f"{APPLICATION}, {OBJECT}",
        "THROTTLE_THRESHOLD": "25",
    }
    return snapshot(tmp_path_factory.mktemp("keys"), {**KEY, **values})


def kinds(resources: list[Json]) -> set[str]:
    return {resource["type"] for resource in resources}


def one(resources: list[Json], kind: str, name: str = "") -> Json:
    found = [resource for resource in resources if resource["type"] == kind and name in resource["name"]]
    assert len(found) == 1, (kind, name)
    return found[0]


def settings(resources: list[Json]) -> dict[str, str]:
    """The settings of the app whose values are known before a deployment."""
    text = one(resources, "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
    own = re.findall(r"createObject\('name', '(\w+)', 'value', '([^']*)'\)", text)
    host = re.findall(r"'(\w+)', '([^']*)'", text.split("toObject", 1)[0])
    return {name: value for name, value in [*host, *own] if value}


def test_the_default_admits_the_listed_callers_at_both_access_controls(tmp_path: Path) -> None:
    resources = snapshot(tmp_path, {**ENTRA, "TUNING": '{"POLL_MAX_SECONDS": "120"}'})
    sign_in = one(resources, "Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    provider = sign_in["identityProviders"]["azureActiveDirectory"]
    policy = provider["validation"]["defaultAuthorizationPolicy"]
    assert policy["allowedApplications"] == [APPLICATION, OTHER_APPLICATION]
    assert policy["allowedPrincipals"]["identities"] == [OBJECT, OTHER_OBJECT]
    assert provider["validation"]["allowedAudiences"] == [f"api://{REGISTRATION}", REGISTRATION]
    assert f"'{OBJECT}'" in provider["registration"]["openIdIssuer"], "this tenant only"
    own = settings(resources)
    assert own["ALLOWED_CALLERS"] == f"{OBJECT},{OTHER_OBJECT}"
    assert own["AUTH_MODE"] == "entra"
    assert own["POLL_MAX_SECONDS"] == "120"
    assert own["TASKHUB_NAME"] == "refreshhub"
    assert "POLL_MIN_SECONDS" not in own, "an unset value gets the default of the code"
    app = one(resources, "Microsoft.Web/sites")["properties"]
    assert {name for name, value in app["siteConfig"].items() if value is not None} == FLEX_CONFIG
    flex = app["functionAppConfig"]
    assert flex["scaleAndConcurrency"]["alwaysReady"] == [{"name": "durable", "instanceCount": 1}]
    assert flex["scaleAndConcurrency"]["triggers"]["http"]["perInstanceConcurrency"] == 32
    # no optional resource that costs money
    assert not kinds(resources) & {
        "Microsoft.Network/virtualNetworks",
        "Microsoft.DurableTask/schedulers",
        "Microsoft.Consumption/budgets",
        "Microsoft.Insights/actionGroups",
    }


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"SIGN_IN_CLIENT_ID": REGISTRATION}, "authMode entra needs callers"),
        ({"CALLERS": ENTRA["CALLERS"]}, "authMode entra needs signInClientId"),
        ({**KEY, "LOG_DAILY_CAP_GB": "0"}, "logDailyCapGb 0 would keep no log"),
        (
            {**KEY, "PLAN": "ElasticPremium", "ZONE_REDUNDANT": "true", "MAXIMUM_INSTANCES": "2"},
            "needs maximumInstances 3 or more",
        ),
    ],
)
def test_a_deployment_that_could_not_work_stops(values: dict[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=sentence):
        snapshot(tmp_path, values)


def test_keys_need_no_sign_in(with_keys: list[Json]) -> None:
    resources = with_keys
    sign_in = one(resources, "Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    assert sign_in == {"platform": {"enabled": False}}, "a deployment that changes entra to key disables the sign-in"
    own = settings(resources)
    assert own["AUTH_MODE"] == "key"
    assert own["ALLOWED_WORKSPACES"] == f"{APPLICATION},{OBJECT}"
    assert "ALLOWED_CALLERS" not in own, "the app refuses to start with callers without effect"
    assert (
        one(resources, "Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
        == []
    )


def test_elastic_premium_has_an_instance_for_each_zone(tmp_path: Path) -> None:
    resources = snapshot(
        tmp_path, {**KEY, "PLAN": "ElasticPremium", "ZONE_REDUNDANT": "true", "TAGS": '{"team": "bi"}'}
    )
    plan = one(resources, "Microsoft.Web/serverfarms")
    assert (plan["sku"]["capacity"], plan["properties"]["zoneRedundant"]) == (3, True)
    assert one(resources, "Microsoft.Web/sites")["properties"]["siteConfig"]["minimumElasticInstanceCount"] == 3
    assert plan["tags"] == {"azd-env-name": "refresh", "team": "bi"}


def test_every_switch_at_once(tmp_path: Path) -> None:
    """One deployment has Elastic Premium, private network, Durable Task Scheduler, mail, budget and expected models."""
    resources = snapshot(
        tmp_path,
        {
            **KEY,
            "PLAN": "ElasticPremium",
            "PRIVATE_NETWORK": "true",
            "BACKEND": "durableTaskScheduler",
            "POWER_BI_CLOUD": "gcchigh",
            "ALERT_MAIL_ADDRESS": "data-platform@example.com",
            "MONTHLY_BUDGET": "50",
            "BUDGET_START_DATE": "2026-11-01",
            "EXPECTED_DATASETS": f"{APPLICATION},{OBJECT.upper()}",
            "FRESHNESS_HOURS": "12",
        },
    )
    app = one(resources, "Microsoft.Web/sites")
    assert "azd-service-name" not in app["tags"], "infra/publish.py deploys"
    assert app["properties"]["functionAppConfig"] is None
    config = app["properties"]["siteConfig"]
    assert (config["linuxFxVersion"], config["ftpsState"]) == ("Python|3.12", "Disabled")
    assert config["functionsRuntimeScaleMonitoringEnabled"] is True, "the storage account is private"
    own = settings(resources)
    assert (own["FUNCTIONS_WORKER_RUNTIME"], own["POWER_BI_CLOUD"]) == ("python", "gcchigh")
    assert "CONTENTAZUREFILE" not in json.dumps(app), "no file share, no key"
    slots = one(resources, "Microsoft.Web/sites/config", "slotConfigNames")["properties"]["appSettingNames"]
    assert slots == ["TASKHUB_NAME", "PUBLIC_BASE_URL"]

    storage = one(resources, "Microsoft.Storage/storageAccounts")["properties"]
    assert (storage["publicNetworkAccess"], storage["networkAcls"]["defaultAction"]) == ("Disabled", "Deny")
    endpoints = [one for one in resources if one["type"] == "Microsoft.Network/privateEndpoints"]
    assert len(endpoints) == 3
    network = one(resources, "Microsoft.Network/virtualNetworks")["properties"]
    delegated = network["subnets"][0]["properties"]["delegations"][0]["properties"]["serviceName"]
    assert delegated == "Microsoft.Web/serverFarms"

    assert one(resources, "Microsoft.DurableTask/schedulers/taskHubs", "refreshhub")
    text = app["properties"]["siteConfig"]["appSettings"]
    assert "Authentication=ManagedIdentity;ClientID=" in text

    budget = one(resources, "Microsoft.Consumption/budgets")["properties"]
    assert budget["timePeriod"]["startDate"] == "2026-11-01"
    assert {notice["threshold"] for notice in budget["notifications"].values()} == {80, 100}
    rules = [one for one in resources if one["type"] == "Microsoft.Insights/scheduledQueryRules"]
    assert len(rules) == 11
    assert all(rule["properties"]["enabled"] for rule in rules)
    assert all(rule["properties"]["actions"]["actionGroups"] for rule in rules)
    stale = one(resources, "Microsoft.Insights/scheduledQueryRules", "model-stale")
    query = stale["properties"]["criteria"]["allOf"][0]["query"]
    assert f'["{APPLICATION}", "{OBJECT}"]' in query
    assert "ago(12h)" in query
    assert "{" not in query, "all placeholders are filled"


def test_windows_and_intervals_of_rules_are_allowed_by_azure(with_keys: list[Json]) -> None:
    """Windows and frequencies are those that log alerts allow. A window is not shorter than the evaluation interval."""
    resources = with_keys
    minutes = {"PT5M": 5, "PT10M": 10, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT3H": 180, "P1D": 1440, "P2D": 2880}
    rules = [one["properties"] for one in resources if one["type"] == "Microsoft.Insights/scheduledQueryRules"]
    assert len(rules) == 11
    disabled = [rule["displayName"] for rule in rules if not rule["enabled"]]
    assert disabled == ["A model is not fresh"], "a deployment without expected models disables their rule"
    for rule in rules:
        assert minutes[rule["windowSize"]] >= minutes[rule["evaluationFrequency"]], rule["displayName"]
        assert rule["autoMitigate"] is True
    throttles = one(resources, "Microsoft.Insights/scheduledQueryRules", "power-bi-throttles")
    assert "total > 25" in throttles["properties"]["criteria"]["allOf"][0]["query"]
