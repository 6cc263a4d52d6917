"""The surroundings of an app in Azure: an identity endpoint, and a Power BI service with TLS and the real name
`api.powerbi.com`.

The app runs with its default address of Power BI, and with its own TLS, proxy and sign-in code: an HTTPS proxy maps
the name to the development service, whose certificate is from an authority for the test. The service accepts only
tokens that the endpoint issued and that have neither expired nor been revoked.
"""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from dev import connect_proxy, identity_endpoint
from dev.identity_endpoint import IdentityEndpoint
from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService

POWER_BI = "api.powerbi.com"


@dataclass(frozen=True)
class Azure:
    """`settings` are the environment of an app; `power_bi` is the service's URL for its controls, without TLS."""

    identity: IdentityEndpoint
    identity_url: str
    power_bi: str
    settings: dict[str, str]


@contextmanager
def azure(folder: Path, certificate_for: str = POWER_BI) -> Iterator[Azure]:
    """Runs these surroundings during the block. `certificate_for`: the name in the service's certificate."""
    authority = trustme.CA()
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certificate_for).configure_cert(tls)
    service, identity = PowerBiService(), IdentityEndpoint()
    with ExitStack() as stack:
        endpoint = stack.enter_context(identity_endpoint.serve(identity))
        controls = stack.enter_context(serve(service))
        secure = stack.enter_context(serve(service, tls=tls, accepts=identity.accepts))
        port = urlsplit(secure.base_url).port or 0
        proxy = stack.enter_context(connect_proxy.serve({f"{POWER_BI}:443": port}))
        settings = {
            **endpoint.settings,
            "POWER_BI_API_URL": "",
            "CALLBACK_ALLOWED_HOSTS": "",
            "HTTPS_PROXY": proxy,
            "REQUESTS_CA_BUNDLE": str(bundle),
        }
        yield Azure(identity, endpoint.base_url, controls.base_url, settings)
