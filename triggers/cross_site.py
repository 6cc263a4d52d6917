"""Calls that pages of other sites make in a browser.

With the platform's sign-in a browser sends the session of its user with every call to the app, from any page.
So a foreign page could start or cancel refreshes and check models with the rights of its visitor, although it could not
read the answers. Browsers send the origin of a call; pipelines and other programs send no such header and no session.
"""

import logging
from urllib.parse import urlsplit

import azure.functions as func

from refresh.events import Event
from refresh.settings import current_settings
from triggers.answers import error
from triggers.uris import base_url

READING = ("GET", "HEAD", "OPTIONS")
SESSION = "AppServiceAuthSession"
"""The cookie of the platform's sign-in."""

log = logging.getLogger(__name__)


def cross_site_refusal(req: func.HttpRequest) -> func.HttpResponse | None:
    """The answer to a page of another site that calls a route with effects; None for all other calls.

    With keys there is nothing to refuse: a foreign page has no key.
    """
    if current_settings().auth_mode != "entra" or req.method.upper() in READING or _of_own_page(req):
        return None
    event = Event("auth.cross_site_refused", logging.WARNING, method=req.method)
    log.log(event.level, event.line())
    message = "A page of another site made this call in the browser. Only the app's own page may use its session."
    return error(403, "CrossSiteCall", message)


def _of_own_page(req: func.HttpRequest) -> bool:
    site = req.headers.get("Sec-Fetch-Site")
    if site is not None:
        # `none`: a user started the call, for example with a tool in the browser
        return site in ("same-origin", "none")
    origin = req.headers.get("Origin")
    if origin is not None:
        return _host(origin) in {_host(req.url), _host(base_url(current_settings(), req.url))} - {""}
    # a browser sends at least one of the two headers with a call that has effects; a call with neither of them is
    # accepted only without a session
    return SESSION not in req.headers.get("Cookie", "")


def _host(url: str) -> str:
    """Host and port; empty for an invalid URL, such as `null`."""
    try:
        return urlsplit(url).netloc.lower()
    except ValueError:
        return ""
