"""The words that identify the cause of an error.

Sources: documented and observed failures of refreshes ("Troubleshoot refresh scenarios" of Power BI, its reference for
enhanced refresh, Azure SQL's list of transient errors, and public reports). The patterns are applied to the result of
`masking.words_of`, which holds no names. The first match counts. Lasting causes come before transient ones, so that an
error that mentions both is not retried. One transient cause is among the lasting ones: missing source tables come
before rejected credentials, because their messages also mention access.
"""

import re
from collections.abc import Mapping

from refresh.pattern import Pattern

LASTING: Mapping[str, tuple[str, ...]] = {
    "OutOfMemory": (
        r"(?:wasn't|was not|isn't|is not|not) enough memory",
        r"out of memory|insufficient memory|lack of memory|maximum (?:allowable |allowed )?memory",
        r"memory (?:limit|allocation) (?:was |has been )?(?:exceeded|reached|fail\w*)|exceed\w* [^.]{0,60}memory limit",
        r"\bOutOfMemoryException\b",
        r"consumed memory \d",
    ),
    "OwnerLostAccess": (
        r"\bowner\b[^.]{0,60}(?:no longer has|does(?:n't| not) (?:\w+ )?have|has no|has lost|lost"
        r"|without)[^.]{0,30} access",
        r"\bowner\b[^.]{0,60}(?:was|has been|is) (?:deleted|removed|disabled|not found)",
    ),
    "SourceTablesMissing": (
        r"source (?:delta )?tables?\b[^.]{0,160}(?:not exist|n't exist|not found|missing|denied|no access"
        r"|not accessible)",
        r"(?:cannot|can't|could not|couldn't|unable to) (?:access|find|read) [^.]{0,40}(?:source )?delta tables?",
        r"source tables? [^.]{0,80}(?:could(?:n't| not)|cannot|can't) be (?:found|accessed|read)",
    ),
    "DefinitionInvalid": (
        r"duplicate values?\b",
        r"must have the property|refresh policy",
        r"\b(?:column|table|measure|field|key|partition|query|expression|name|import|object|sheet|file|item)\b[^.]{0,80}"
        r"(?:wasn't|was not|isn't|is not|weren't|could(?:n't| not) be|can(?:not|'t|no't) be) (?:found"
        r"|recognized|determined)",
        r"(?:could(?:n't| not)|cannot|can't) (?:find|be found|convert|resolve)\b",
        r"key didn't match any rows?",
        r"invalid (?:column|object) name",
        r"(?:does|do|did)(?:n't| not) exist",
        r"matches no exports?",
        r"cyclic reference|circular dependency",
        r"syntax error|incorrect syntax",
        r"type mismatch|too large or too small|arithmetic overflow|conversion failed|DataFormat\.Error",
    ),
    "CredentialsRejected": (
        r"\bcredentials?\b",
        r"access (?:was |is |has been )?(?:denied|forbidden)|access to [^.]{0,60} (?:denied|forbidden)"
        r"|permission denied",
        r"\baccessunauthorized\b|ResourceAccess(?:Forbidden|Authorization|Denied)Exception",
        r"failed to get oauth|\boauth\b[^.]{0,60}(?:token|fail|expire|invalid)",
        r"(?:login|log-?on|logon|sign-?in|authentication|authorization) (?:has |attempt )?fail(?:ed|ure|s)?\b",
        r"could not log ?in|cannot open database[^.]{0,80} requested by the login",
        r"(?:token|grant|certificate|password|secret)\b[^.]{0,30}\b(?:expired|revoked|invalid|incorrect|wrong)",
        r"(?:expired|revoked|invalid|incorrect|wrong) (?:\w+ )?(?:token|grant|password|secret)",
        r"\bpassword\b|\bAADSTS\d{4,7}\b|fresh auth token",
        r"\((?:401|403)\)|\b40[13] (?:unauthorized|forbidden)|\bunauthori[sz]ed\b|\bforbidden\b",
        r"(?:does(?:n't| not) have|no|without|insufficient|lacks?) (?:the )?(?:required )?(?:permissions?"
        r"|privileges?|rights)",
        r"not authori[sz]ed",
    ),
    "EngineCrashed": (r"\b0x0000dead\b", r"container exited unexpectedly"),
    "RefreshTimedOut": (
        r"timed out before it was completed",
        r"(?:refresh|operation|processing)\b[^.]{0,60}exceed\w* (?:the )?(?:\w+ )?(?:time ?-?out|time limit|duration)",
    ),
}
TRANSIENT: Mapping[str, tuple[str, ...]] = {
    "ModelEvicted": (r"\b0xc11c0020\b", r"(?:has been|was|is being) evicted", r"evicted to free up memory"),
    "CapacityLimitReached": (
        r"exceeded the capacity limit|reach(?:ed|ing) (?:the )?capacity limits?",
        r"(?:capacity|node) level limit exceeded",
        r"\bcapacity\b[^.]{0,60}(?:exceeded its limits?|is overloaded|has exceeded)",
        r"too many (?:semantic models|datasets|models|refreshes)\b[^.]{0,60}(?:process|refresh|running)",
        r"\b(?:fabricthrottled|capacitylimitexceeded)\b",
    ),
    "SourceUnavailable": (
        r"\(50[234]\)(?=\s?:|\s?(?:bad|service|server|gateway))|(?:from|error:?|status:?|code:?) (?:~ )?\(50[234]\)",
        r"(?:http|status|status code|statuscode|error|error code|response|returned"
        r"|returns)\s?[:=]?\s?(?:code )?50[234]\b(?![.,]\d)",
        r"\b50[234]:? (?:bad gateway|service (?:temporarily )?unavailable|server unavailable|gateway time-?\s?out)",
        r"\bbad gateway\b|(?<!data )\bgateway time-?\s?out\b(?! expired)|"
        r"\b(?:service|server) (?:is )?(?:temporarily )?unavailable\b",
        # Azure SQL: 40613 and similar errors
        r"(?:is|are) (?:not currently|currently not|currently un|temporarily un|not presently )\s?available",
        r"(?:error|code|number|msg|sqlcode|sqlstate)\W{0,12}(?:40613|40197|40501|40540|40143|40166|49918|49919|49920|4221|42109)\b",
        r"service is currently busy|service has encountered an error processing your request|sql pool is warming up",
        r"not enough resources to process|too many operations in progress",
    ),
    "GatewayTimedOut": (
        r"\bgateway\b[^.]{0,60}\b(?:offline|unreachable|not reachable|not available|unavailable|"
        r"timed? ?-?out|not respond\w*)\b",
        r"\bgateway\b[^.]{0,60}\b(?:could(?:n't| not)|can(?:not|'t)) be (?:reached|contacted|connected)",
        r"(?:offline|unreachable|cannot reach|can't reach|could(?:n't| not) (?:reach|connect to)|unable to "
        r"(?:reach|connect to|contact))"
        r"\b[^.]{0,40}\bgateway",
        r"gateway_timeouterror|gateway(?:not|un)reachable",
    ),
}


def compiled(signs: Mapping[str, tuple[str, ...]]) -> dict[str, Pattern]:
    """One pattern for each cause."""
    return {code: Pattern("|".join(patterns), re.IGNORECASE) for code, patterns in signs.items()}
