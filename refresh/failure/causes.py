"""Why a refresh failed, recognised in Power BI's own codes and texts: what decides whether another try helps."""

from collections.abc import Mapping

from refresh.failure.catalogue import CATALOGUE, ErrorCode

# Facts: the documented and the seen failures of a refresh ("Troubleshoot refresh scenarios" of Power BI, its
# reference for enhanced refresh, and public reports). Lower case; each is looked for in "code text" of one error.
# The first that fits counts, and what no repetition can mend comes first: an error that speaks of both is not tried
# again.
SIGNS: Mapping[str, tuple[str, ...]] = {
    "CredentialsRejected": (
        "credential",
        "access was denied",
        "access denied",
        "accessunauthorized",
        "failed to get oauth",
        "oauth token",
        "login failed",
        "logon fail",
        "authentication fail",
        "password",
    ),
    "DefinitionInvalid": (
        "must have the property",
        "tablenotfound",
        "columnnotfound",
        "invalid column",
        "invalid object name",
        "wasn't found",
        "duplicate value",
        "does not exist",
        "doesn't exist",
        "cyclic reference",
        "syntax error",
    ),
    "EngineCrashed": ("0x0000dead",),
    "ModelEvicted": ("0xc11c0020", "has been evicted"),
    "CapacityLimitReached": (
        "exceeded the capacity limit",
        "capacity level limit exceeded",
        "node level limit exceeded",
    ),
    "GatewayTimedOut": (
        "gateway_timeouterror",
        "gatewaynotreachable",
        "gateway time-out",
        "gateway timeout",
        "gateway timed out",
    ),
    "GatewayFailed": ("dm_gwpipeline_gateway",),
}


def cause_of(code: str | None, text: str | None) -> ErrorCode | None:
    """The catalogue's entry for an error that Power BI reports inside a refresh; None if it could be anything."""
    seen = f"{code or ''} {text or ''}".lower()
    for name, signs in SIGNS.items():
        if any(sign in seen for sign in signs):
            return CATALOGUE[name]
    return None
