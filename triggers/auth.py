"""Who may call: whoever has a function key, or with AUTH_MODE entra whom the platform has signed in and the app allows.

The platform's sign-in (App Service authentication) checks the token before a call reaches the app and says in headers
who it is. It removes those headers from what callers send, which is why the app does not start where it is off.
"""

import logging

import azure.functions as func

from refresh.history.rows import parse_guid
from refresh.reporting.events import entry
from refresh.settings import current_settings
from triggers.answers import error

PRINCIPAL, PROVIDER = "x-ms-client-principal-id", "x-ms-client-principal-idp"

LEVEL = func.AuthLevel.ANONYMOUS if current_settings().auth_mode == "entra" else func.AuthLevel.FUNCTION
"""Of all functions but those that a token of their own opens. With keys it is the host that refuses."""

log = logging.getLogger("refresh")


def refusal(req: func.HttpRequest) -> func.HttpResponse | None:
    """The answer to a caller who may not call; None if he may. The first thing that every function of LEVEL asks."""
    settings = current_settings()
    if settings.auth_mode != "entra":
        return None
    principal = principal_of(req)
    if principal is None:
        message = "Sign in: send a token of Microsoft Entra ID for this app in the header Authorization."
        return error(401, "SignInRequired", message, headers={"WWW-Authenticate": "Bearer"})
    if not settings.allows_caller(principal):
        log.warning(entry("auth.caller_refused", principal=principal, method=req.method))
        message = f"The principal {principal} is not among those of the app setting ALLOWED_CALLERS."
        return error(403, "CallerNotAllowed", message)
    return None


def principal_of(req: func.HttpRequest) -> str | None:
    """The object id of whom Microsoft Entra ID has signed in; None if there is nobody, or not so."""
    if current_settings().auth_mode != "entra" or req.headers.get(PROVIDER) != "aad":
        return None
    return parse_guid(req.headers.get(PRINCIPAL))
