"""The files of the status page: which files are served, with which headers, and what they must not contain."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import azure.functions as func
import pytest

from refresh.settings import Settings
from tests.simulation.platform import app_functions
from triggers import http_ui
from triggers.http_ui import FILES, FOLDER, PAGE

MAX_LINES = 300
MAX_STYLE_LINES = 500
SOURCES = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}


def get(name: str = "", url: str = "http://127.0.0.1/api/ui", **headers: str) -> func.HttpResponse:
    """GET of the page, or of one of its files."""
    serve = app_functions()["http", "http_ui_file" if name else "http_ui"].handler
    req = func.HttpRequest("GET", url, headers=headers, route_params={"name": name}, body=b"")

    async def main() -> func.HttpResponse:
        response: func.HttpResponse = await serve(req=req)
        return response

    return asyncio.run(main())


def test_every_file_of_the_folder_is_served() -> None:
    """The table has exactly the files of the folder, and no other file is served."""
    assert {PAGE, *FILES} == set(SOURCES)
    for name, mimetype in FILES.items():
        response = get(name)
        assert (response.status_code, response.mimetype) == (200, mimetype), name
        assert response.get_body() == (FOLDER / name).read_bytes()
    page = get()
    assert (page.status_code, page.mimetype, page.charset) == (200, "text/html", "utf-8")


@pytest.mark.parametrize(
    "name", ["index.html", "../http_ui.py", "..%2fhttp_ui.py", "/etc/passwd", "APP.JS", "app.js/", "", "\x00", "con"]
)
def test_no_other_name_is_served(name: str) -> None:
    """A name is looked up in the table, and not opened as a file."""
    serve = app_functions()["http", "http_ui_file"].handler
    req = func.HttpRequest("GET", "http://127.0.0.1/api/ui/x", route_params={"name": name}, body=b"")
    response = asyncio.run(serve(req=req))
    assert response.status_code == 404
    assert json.loads(response.get_body())["error"]["code"] == "PageNotFound"


def test_the_browser_is_told_what_the_page_may_do() -> None:
    """Every file has the same policy: nothing from other servers, nothing inline, no frames, no guessed types."""
    for response in (get(), get("app.js"), get("style.css"), get("icon.svg")):
        policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "connect-src": "'self'",
            "img-src": "'self'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
        }
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert response.headers["Cache-Control"] == "no-cache"


def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    """Each file has an ETag of its content."""
    tags = {name: get(name).headers["ETag"] for name in FILES}
    assert len(set(tags.values())) == len(tags)
    for value in (tags["app.js"], f'W/"other", {tags["app.js"]}'):
        response = get("app.js", **{"If-None-Match": value})
        assert (response.status_code, response.get_body()) == (304, b"")
        assert response.headers["ETag"] == tags["app.js"]
    assert get("app.js", **{"If-None-Match": tags["api.js"]}).status_code == 200


def test_an_address_with_a_slash_leads_to_the_page() -> None:
    """The page names its files relative to the address without a slash. The query is dropped."""
    response = get(url="https://app.example/api/ui/?x=/")
    assert (response.status_code, response.headers["Location"]) == (308, "../ui")
    assert get(url="https://app.example/api/ui?x=/").status_code == 200


def test_the_page_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """UI_ENABLED false switches off all files. The message says why."""
    monkeypatch.setattr(http_ui, "current_settings", lambda: Settings(ui_enabled=False))
    for response in (get(), get("app.js")):
        assert response.status_code == 404
        assert "UI_ENABLED" in json.loads(response.get_body())["error"]["message"]


def test_a_cold_start_reads_no_file_of_the_page() -> None:
    """The files are read only when they are requested."""
    code = "import function_app; from triggers import http_ui; print(http_ui._file.cache_info().currsize)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


def test_no_file_makes_markup_or_code_of_text() -> None:
    """No file refers to another server, or stores anything beyond the tab."""
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|setHTML"
        r"|createContextualFragment|srcdoc|javascript:|localStorage|indexedDB|document\.cookie"
    )
    for name, text in SOURCES.items():
        assert not forbidden.search(text), name
        addresses = set(re.findall(r"https?://[^\s\"'`<)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert addresses == set(), name


def test_the_page_holds_no_inline_code() -> None:
    """The policy would block inline code."""
    page = SOURCES[PAGE]
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\bsrc=)", page)
    named = set(re.findall(r'(?:href|src)="ui/([^"]+)"', page))
    assert named <= set(FILES)
    assert "app.js" in named


def test_every_script_is_imported() -> None:
    """Every script is imported, directly or indirectly, by app.js, and every imported script exists."""
    seen, left = set(), ["app.js"]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += re.findall(r'from "\./([^"]+)"', SOURCES[name])
    assert seen == {name for name in FILES if name.endswith(".js")}


def test_every_imported_name_is_used() -> None:
    """Every imported name is used. There is no linter for the scripts that would find a forgotten import."""
    for name, text in SOURCES.items():
        for names in re.findall(r"^import \{(.*?)\} from", text, re.DOTALL | re.MULTILINE):
            for imported in re.findall(r"\w+", names):
                assert len(re.findall(rf"\b{imported}\b", text)) > 1, (name, imported)


def test_files_can_be_read_in_one_sitting() -> None:
    """Scripts have at most MAX_LINES lines, and all files together have a limit."""
    for name, text in SOURCES.items():
        assert len(text.splitlines()) <= (MAX_STYLE_LINES if name.endswith(".css") else MAX_LINES), name
    assert sum(map(len, SOURCES.values())) < 120_000
