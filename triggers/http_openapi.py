"""GET /api/openapi.json: the description of this API, for tools that import one by its address."""

import azure.durable_functions as df
import azure.functions as func

from refresh.settings import current_settings
from triggers.answers import answer
from triggers.uris import base_url, route_prefix

bp = df.Blueprint()


@bp.route(route="openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def http_openapi(req: func.HttpRequest) -> func.HttpResponse:
    """200 with the OpenAPI 3.1 document. Open to all: it says what is published anyway, and importers send no key."""
    # not at the start of the app: few ever ask
    from triggers.openapi.description import describe

    base = base_url(current_settings(), req.url)
    return answer(describe({"url": f"{base}/{route_prefix()}".rstrip("/")}), 200)
