"""GET /api/ui: the status page, and the files it is made of.

The page contains no data and no secret, so it is public: it reads the JSON routes with the key or the session of
its user. Its files are plain HTML, CSS and JavaScript in `triggers/ui`; they are read when first requested.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

from refresh.settings import current_settings
from triggers.answers import error
from triggers.routing import http_function

FOLDER = Path(__file__).parent / "ui"
PAGE = "index.html"
HTML, STYLE, SCRIPT = "text/html", "text/css", "text/javascript"
FILES = {
    "style.css": STYLE,
    "batch.css": STYLE,
    "parts.css": STYLE,
    "tables.css": STYLE,
    "icon.svg": "image/svg+xml",
    "access.js": SCRIPT,
    "actions.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "batch.js": SCRIPT,
    "chart.js": SCRIPT,
    "dom.js": SCRIPT,
    "fleet.js": SCRIPT,
    "graph.js": SCRIPT,
    "layers.js": SCRIPT,
    "live.js": SCRIPT,
    "model.js": SCRIPT,
    "parts.js": SCRIPT,
    "queue.js": SCRIPT,
    "request.js": SCRIPT,
    "requests.js": SCRIPT,
    "words.js": SCRIPT,
}
"""The files of `GET /api/ui/{name}` by name. A name is looked up here and never becomes a path."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        # text of Power BI and of callers cannot become markup, even if the page has a bug
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # browsers revalidate each file at each load (304 if unchanged), so that no page mixes old and new files
    "Cache-Control": "no-cache",
}

bp = df.Blueprint()


@dataclass(frozen=True)
class File:
    """A file of the page, with the headers to serve it."""

    content: bytes
    etag: str
    mimetype: str


@http_function(bp, route="ui", methods=["GET"], signed_in=False, engine=False)
async def http_ui(req: func.HttpRequest) -> func.HttpResponse:
    """200 with the page; 308 to the URL without a slash at its end; 404 if UI_ENABLED switches the page off."""
    if req.url.partition("?")[0].endswith("/"):
        # without the slash, because the page refers to its files relative to its own URL
        return func.HttpResponse(status_code=308, headers={"Location": "../ui"})
    return _served(req, PAGE, HTML)


@http_function(bp, route="ui/{name}", methods=["GET"], signed_in=False, engine=False)
async def http_ui_file(req: func.HttpRequest) -> func.HttpResponse:
    """200 with a file of the page, 304 if the browser has it; 404 for any other name."""
    name = req.route_params["name"]
    mimetype = FILES.get(name)
    if mimetype is None:
        return error(404, "PageNotFound", "The page has no such file.", "name")
    return _served(req, name, mimetype)


def _served(req: func.HttpRequest, name: str, mimetype: str) -> func.HttpResponse:
    if not current_settings().ui_enabled:
        return error(404, "PageNotFound", "The page is switched off by the app setting UI_ENABLED.")
    file = _file(name, mimetype)
    headers = {**HEADERS, "ETag": file.etag}
    if file.etag in (req.headers.get("If-None-Match") or ""):
        return func.HttpResponse(status_code=304, headers=headers)
    return func.HttpResponse(file.content, headers=headers, mimetype=file.mimetype, charset="utf-8")


@cache
def _file(name: str, mimetype: str) -> File:
    content = (FOLDER / name).read_bytes()
    return File(content, f'"{hashlib.sha256(content).hexdigest()[:32]}"', mimetype)
