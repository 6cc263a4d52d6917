"""Checks which URIs a callback may call.

A URI is a capability: it must not appear in a log, error, status or list; its host may.
"""

import re

from refresh.settings import HOST_NAME, LOCAL_HOSTS, Settings

MAX_URI_CHARACTERS = 4000

# Only forms that all parsers read alike: no user, no brackets, no percent signs in the host, no backslash, no blank,
# no fragment. The scheme and the host may be in capitals.
_URI = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][a-z0-9/?:@!$&'()*+,;=%._~|{}\[\]-]*)?",
    re.ASCII | re.IGNORECASE,
)


class UriError(ValueError):
    """A URI that must not be called. The message names the host and the setting, never the path or the query."""

    def __init__(self, message: str, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.code = code


def check_uri(uri: object, settings: Settings) -> str:
    """The URI, if it may be called: https, a host that CALLBACK_ALLOWED_HOSTS allows, port 443. Raises UriError.

    Hosts of this machine, at any port and with http, are allowed only if a development set-up lists them.
    """
    if not isinstance(uri, str) or len(uri) > MAX_URI_CHARACTERS or not (found := _URI.fullmatch(uri)):
        raise UriError(
            '"callBackUri" must be a URI such as https://host/path?query without user or fragment, '
            f"at most {MAX_URI_CHARACTERS} characters."
        )
    host = found["host"].lower()
    if host in LOCAL_HOSTS and host in settings.callback_allowed_hosts and settings.local:
        return uri
    if not HOST_NAME.fullmatch(host) or not _allowed(host, settings):
        raise UriError(
            f"callBackUri: the host {host[:253]} is not in the app setting CALLBACK_ALLOWED_HOSTS.",
            "CallbackHostNotAllowed",
        )
    if found["scheme"].lower() != "https" or found["port"] not in (None, "443"):
        raise UriError(f"callBackUri: {host} can only be called with https and on port 443.")
    return uri


def _allowed(host: str, settings: Settings) -> bool:
    names = settings.callback_allowed_hosts
    return any(host == name or host.endswith(f".{name}") for name in names if name not in LOCAL_HOSTS)


def host_of(uri: str) -> str:
    """The host of a checked URI, the only part of it that may be shown."""
    found = _URI.fullmatch(uri)
    return found["host"].lower() if found else ""
