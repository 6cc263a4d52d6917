"""GET /api/openapi.json: the description of this API, for tools that import one from a URL."""

import azure.durable_functions as df
import azure.functions as func

from refresh.settings import current_settings
from triggers.answers import answer
from triggers.routing import http_function
from triggers.uris import base_url, route_prefix

bp = df.Blueprint()


@http_function(bp, route="openapi.json", methods=["GET"], signed_in=False, engine=False)
async def http_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """200 with the OpenAPI 3.1 document. No sign-in: the document is public, and importers send no key."""
    # not imported at the start of the app, because the route is rarely called
    from triggers.openapi.description import FUNCTION_KEY, SIGN_IN, describe

    settings = current_settings()
    server = {"url": f"{base_url(settings, req.url)}/{route_prefix()}".rstrip("/")}
    return answer(describe(server, (SIGN_IN,) if settings.auth_mode == "entra" else (FUNCTION_KEY,)), 200)
