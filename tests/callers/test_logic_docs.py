"""The two pages for users of Logic Apps agree with the files."""

import json
import re
from typing import Any

import pytest

from dev.integrations.logic_actions import LIMIT, RETRIES, TIMEOUT_MINUTES
from dev.integrations.logic_apps import consumption, standard_parameters
from devhost_tests.process import ROOT
from tests.callers.clients.logic_durations import seconds_of
from tests.callers.logic_estate import FOLDER

README = FOLDER / "README.md"
PAGE = ROOT / "docs" / "logic-apps.md"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text("utf-8")


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


def test_every_file_is_named(readme: str) -> None:
    """The table from which users choose a file has every file and no others."""
    table = readme.split("| your logic app |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([^`]+\.json)`", table))
    shipped = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.json") if path.name != "parameters.json"}
    assert named == shipped


def test_links_lead_somewhere(readme: str, page: str) -> None:
    """Relative links are resolved from the folder of their page."""
    for file, text in ((README, readme), (PAGE, page)):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
        assert links
        assert [link for link in links if not (file.parent / link).exists()] == []


def test_parameters_and_settings_are_named(readme: str) -> None:
    """The README has the parameters of the templates and the settings of the apps."""
    given = set(re.findall(r"(\w+)=(?:https://|api://|\"\$\()", readme))
    given.remove("SecretUri")
    assert given == {"baseUrl", "audience", "functionKey"}
    for sign_in in ("identity", "key"):
        template = consumption("http", sign_in)
        needed = {name for name, how in template["parameters"].items() if "defaultValue" not in how}
        assert needed <= given
        for parameter in standard_parameters(sign_in).values():
            assert f"| `{parameter['value'].split(chr(39))[1]}` |" in readme


def test_the_example_fits_the_trigger(readme: str) -> None:
    """The example has exactly the keys that the schema of the trigger requires."""
    example = json.loads(readme.split("```json\n")[1].split("```")[0])
    workflow: Json = consumption("http", "key")["resources"][0]["properties"]["definition"]
    schema = workflow["triggers"]["manual"]["inputs"]["schema"]
    assert set(example) == set(schema["properties"])
    item = schema["properties"]["models"]["items"]
    for model in example["models"]:
        assert set(item["required"]) <= set(model) <= set(item["properties"])


def test_numbers_and_sentences_are_those_of_the_files(readme: str, page: str) -> None:
    """The documents and the files have the same deadline, limit, retries, and message of a failed run."""
    assert f"`timeoutMinutes` ({TIMEOUT_MINUTES})" in readme
    assert f"(`timeoutMinutes`, {TIMEOUT_MINUTES})" in page
    for text in (readme, page):
        assert f"`{LIMIT}`" in text
    assert (RETRIES["count"], seconds_of(RETRIES["interval"])) == (10, 30)
    assert "up to ten times, 30 seconds apart" in page
    definition = json.dumps(consumption("http", "key"))
    for words in (
        "The loop over the models failed; see its action Refresh.",
        "the refresh service answered with status ",
        " and no outcome.",
    ):
        assert words in page
        assert words in definition
