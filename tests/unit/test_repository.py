"""The repository as a whole: deployed files, documentation, and forbidden content."""

from __future__ import annotations

import ast
import importlib.metadata
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hypothesis
import pathspec
import pytest
from packaging.requirements import Requirement

from refresh.batch.spec import BATCH_KEYS, MODEL_KEYS, OPTION_KEYS
from refresh.request.spec import KEYS
from refresh.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
APP_PACKAGES = [
    name
    for name in ("triggers", "orchestrators", "entities", "activities", "durable", "refresh", "power_bi", "outbound")
    if (ROOT / name).is_dir()
]
DEPLOYED = {"function_app.py", "host.json", "requirements.txt", *APP_PACKAGES}

MAX_LINES = 330
MAX_TEST_LINES = 450  # a table of cases is read row by row
LONGER_MODULES = {
    "integrations/command/refresh_model.py": "one file, so that its users can copy it",
    "tests/unit/refresh/queue/test_machine.py": "one state machine, whose rules share its state",
}
"""The modules that may be longer, each with the reason."""

SET_BY_THE_PLATFORM = {
    "WEBSITE_HOSTNAME",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_SLOT_NAME",
    "IDENTITY_ENDPOINT",
    "MSI_ENDPOINT",
    "AZURE_CLIENT_SECRET",
}
"""Variables that the settings read, but that Azure or the login of a service principal sets."""
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}

OTHER_VERSIONS = {
    ("azure-functions", "3.11.0"): "1.26.0",
    ("azure-functions", "3.12.0"): "1.26.0",
    ("azure-functions", "3.13.0"): "2.3.0",
}
"""By package and Python, the version that pip installs where the newest one does not support that Python:
azure-functions 1.x before Python 3.13, 2.x from then on."""

# in two parts, so that this file does not contain them
FOREIGN_PATHS = ("/wo" + "rk/", "../sha" + "red")


def tracked() -> list[str]:
    """Every file that is committed or could be committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def requirements(name: str) -> list[Requirement]:
    """The direct requirements in a requirements file."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    texts = [line.split("#")[0].strip() for line in lines]
    return [Requirement(text) for text in texts if text and not text.startswith("-")]


def sample_settings() -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_text("utf-8"))["Values"]
    return values


def first_table(name: str) -> list[list[str]]:
    """The cells of the first table of a document, without its header."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), (ROOT / name).read_text("utf-8").splitlines())
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def code_words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_modules_can_be_read_in_one_sitting() -> None:
    """A module has at most MAX_LINES, a module of tests MAX_TEST_LINES. Exceptions are listed with a reason, and all of
    them are needed."""
    too_long = set()
    for name in tracked():
        if name.endswith(".py") and "/data/" not in name:
            limit = MAX_TEST_LINES if "tests/" in name else MAX_LINES
            if len((ROOT / name).read_text("utf-8").splitlines()) > limit:
                too_long.add(name)
    assert too_long == set(LONGER_MODULES)


def test_no_file_points_out_of_the_repository() -> None:
    """No file names a path of the author's machine, because it has no meaning elsewhere."""
    found = []
    for name in tracked():
        text = (ROOT / name).read_text("utf-8", errors="replace")
        found += [f"{name}: {path}" for path in FOREIGN_PATHS if path in text]
    assert found == []


def test_only_the_app_is_deployed() -> None:
    """.funcignore admits only files of the app, even if tools have left other files in the working folder."""
    ignored = pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    left_behind = [
        f"{line.strip('/')}{'/x' if line.endswith('/') else ''}"
        for line in (ROOT / ".gitignore").read_text("utf-8").splitlines()
        if line and not line.startswith(("*", "#"))
    ]
    candidates = [*tracked(), *left_behind, ".git/config", "local.settings.json", "refresh/__pycache__/x.pyc"]
    deployed = {name.split("/")[0] for name in candidates if not ignored.match_file(name)}
    assert deployed == DEPLOYED
    assert not ignored.match_file("triggers/http_start.py")


def test_the_app_needs_few_packages() -> None:
    """The app has only these packages, because each package slows down every cold start."""
    assert {requirement.name for requirement in requirements("requirements.txt")} == {
        "azure-functions",
        "azure-functions-durable",
        "azure-identity",
        "msgspec",
        "requests",
        "aiohttp",
        "certifi",
    }


@pytest.mark.parametrize("version", ["3.11.0", "3.12.0", "3.13.0"])
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_the_packages_run_on_every_python_of_the_platform(name: str, version: str) -> None:
    """The installed version declares that it runs on this Python, or the requirements file allows a version that
    does."""
    for requirement in requirements(name):
        if requirement.marker and not all(map(requirement.marker.evaluate, ({}, {"python_version": version[:4]}))):
            continue  # tests that need this package are skipped on this Python
        installed = importlib.metadata.distribution(requirement.name)
        assert requirement.specifier.contains(installed.version), requirement
        named = "Requires-Python" in installed.metadata
        declared = Requirement(f"python {installed.metadata['Requires-Python'] if named else ''}").specifier
        other = OTHER_VERSIONS.get((requirement.name, version))
        assert declared.contains(version) or (other and requirement.specifier.contains(other)), requirement


def test_a_cold_start_imports_nothing_slow() -> None:
    """The login library and the API description are imported on demand, development tools never."""
    slow = (
        "triggers.openapi",
        "azure.identity",
        "msal",
        "cryptography",
        "numpy",
        "pandas",
        "rich",
        "devhost",
        "dev",
        "tests",
    )
    code = f"import json, sys, function_app; print(json.dumps([name for name in {slow!r} if name in sys.modules]))"
    environ = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_client_of_power_bi_does_not_use_functions() -> None:
    """power_bi may use azure.identity and azure.core, nothing else of Azure. (Import Linter sees only `azure`.)"""
    modules = set()
    for path in sorted((ROOT / "power_bi").glob("**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                modules |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    azure = {".".join(name.split(".")[:2]) for name in modules if name.startswith("azure.")}
    assert azure <= {"azure.identity", "azure.core"}


def test_settings_are_sampled_and_documented() -> None:
    """The code, the sample and docs/settings.md have the same settings with the same defaults."""
    source = ast.walk(ast.parse((ROOT / "refresh" / "settings.py").read_text("utf-8")))
    texts = {node.value for node in source if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    read = {text for text in texts if re.fullmatch(r"[A-Z][A-Z_]+", text)} - SET_BY_THE_PLATFORM
    assert set(sample_settings()) - OF_THE_HOST == read

    defaults = Settings.from_environment({})
    documented = {code_words(row[0])[0]: code_words(row[1]) for row in first_table("docs/settings.md")}
    expected = {}
    for name in read:
        value = getattr(defaults, name.lower())
        expected[name] = [] if value is None or value in (frozenset(), (), {}) else [_written(value)]
    assert documented == expected


def test_the_sample_can_be_used_as_it_is() -> None:
    """If it is copied to local.settings.json, it connects the app to the development service; other values are
    defaults."""
    settings = Settings.from_environment(sample_settings())
    defaults = Settings.from_environment({"POWER_BI_API_URL": "http://127.0.0.1:7072"})
    assert settings == defaults


def test_request_keys_are_documented() -> None:
    """docs/api.md lists every key of a request."""
    rows = first_table("docs/api.md")
    assert [word for row in rows for word in code_words(row[0])] == list(KEYS)


def test_keys_of_a_batch_are_documented() -> None:
    """docs/api.md lists every key of a batch and, in its row `models`, the keys of a model."""
    text = (ROOT / "docs/api.md").read_text("utf-8")
    models = next(line for line in text.splitlines() if line.startswith("| `models` | 1 to "))
    assert set(code_words(models.split("|")[2])) == set(MODEL_KEYS)
    table = text[text.index(models) :].split("\n\n", 1)[0]
    listed = {word for line in table.splitlines() for word in code_words(line.split("|")[1])}
    assert listed | set(OPTION_KEYS) == {*BATCH_KEYS, "name", "dependsOn"}


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_links_of_the_documents_are_valid() -> None:
    """Every relative link of a document is a file of the repository, and its anchor a heading of that file."""
    broken, seen = [], 0
    for name in tracked():
        if not name.endswith(".md"):
            continue
        for link in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / name).read_text("utf-8")):
            seen += 1
            path, _, anchor = link.partition("#")
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists():
                broken.append(f"{name}: {link}")
            elif anchor:
                headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
                if anchor not in map(slug, headings):
                    broken.append(f"{name}: {link}")
    assert broken == []
    assert seen > 50


def test_checks_cover_the_whole_app() -> None:
    """The type checker reads every package of ours."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    files = re.search(r"^files = \[(.*)\]$", text, re.M)
    assert files
    assert {
        "function_app.py",
        "devhost/src/devhost",
        "devhost/tests/devhost_tests",
        "dev",
        "tests",
        *APP_PACKAGES,
    } <= set(re.findall(r'"([^"]+)"', files[1]))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_no_property_test_has_a_deadline() -> None:
    """A slow example on a loaded machine is not a failure; devhost_tests/profiles.py has the profiles."""
    assert hypothesis.settings().deadline is None
