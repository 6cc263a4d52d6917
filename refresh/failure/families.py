"""What Power BI's codes say about a cause: some are precise, others only name a family of errors.

Codes are compared case-insensitively. Engine codes are hexadecimal and sometimes appear as signed decimals.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from refresh.pattern import Pattern

_HEX = Pattern(r"0x[0-9a-f]{8}")
_DECIMAL = Pattern(r"-?[0-9]{9,10}")

GENERIC = Pattern(
    r"(?:ModelRefresh_ShortMessage_ProcessingError|ModelRefreshFailed|Unknown\w*|Premium_ASWL_Error|InvalidRequest|"
    r"DM_GWPipeline_UnknownError|DM_GWPipeline_\w*Unknown\w*|BadRequest|GeneralException|Error|Exception)",
    re.IGNORECASE,
)
"""Codes that only say that something went wrong. Another code, or the message of the same error, says more."""

CANCELLED = frozenset(("0xc11c0006", "0xc112001c"))
"""Codes of operations that the engine cancelled because another operation failed. Errors that are the real cause
sometimes also have the second code."""
CANCELLED_NAME = Pattern(r"(?:\w+_)?\w*Cancell?ed(?:Error|Exception)?", re.IGNORECASE)
ACTIVITY = frozenset(("0x414700ef", "0xc14700f0"))
"""Codes of lines that hold only an activity id."""

BY_CODE: Mapping[str, str] = {
    "OwnerLostAccess": r"DMTS_UserNotFound\w*|\w*Owner(?:LostAccess|HasNoAccess|NotFound)\w*",
    "SourceTablesMissing": r"DirectLake_\w*(?:NotFound|Missing|NotAccessible|AccessDenied)\w*",
    "CredentialsRejected": (
        r"\w*(?:Credential|OAuth|AccessUnauthorized|AccessForbidden|AccessDenied|LoginFailed|InvalidToken|"
        r"TokenExpired|AuthenticationFailed|Unauthorized)\w*"
    ),
    "DefinitionInvalid": r"\w*(?:TableNotFound|ColumnNotFound|InvalidObjectName|InvalidColumn|SyntaxError)\w*",
    "OutOfMemory": r"\w*(?:OutOfMemory|InsufficientMemory|NotEnoughMemory|MemoryLimit)\w*",
    "EngineCrashed": r"0x0000dead",
    "RefreshTimedOut": r"\w*(?:RefreshTimeout|RefreshTimedOut|RefreshTimeLimit)\w*",
    "ModelEvicted": r"0xc11c0020|\w*DatabaseEvicted\w*|\w*ModelEvicted\w*",
    "CapacityLimitReached": (
        r"FabricThrottled|\w*CapacityLimit(?:Exceeded|Reached)\w*|\w*CapacityThrottl\w*|TooManyRequests\w*|"
        r"\w*(?:Capacity|Node)LevelLimitExceeded\w*"
    ),
    "SourceUnavailable": r"\w*(?:SourceUnavailable|ServiceUnavailable|BadGateway|DatabaseNotAvailable)\w*",
    "GatewayTimedOut": (
        r"(?:DM_GWPipeline_(?:Client_)?)?Gateway_?(?:Unreachable|NotReachable|Offline|NotAvailable|Unavailable)\w*|"
        r"DM_GWPipeline_Client_\w*(?:Unreachable|Offline|Expired|NoCandidateAvailable|NotResponding|ServiceBus)\w*|"
        r"DM_GWPipeline_\w*(?:Timeout|TimedOut)\w*|Gateway_?(?:Timeout|TimedOut)\w*"
    ),
}
"""A code of the catalogue -> the Power BI codes that mean the same, tried in this order."""

BY_FAMILY: Mapping[str, str] = {
    "GatewayFailed": r"DM_GWPipeline_(?:Gateway|Client)_\w+",
    "CredentialsRejected": r"DMTS_\w+",
}
"""A code of the catalogue -> a family of Power BI codes. The family only says where the failure happened; the message
of the error says more."""

_BY_CODE = {code: Pattern(pattern, re.IGNORECASE) for code, pattern in BY_CODE.items()}
_BY_FAMILY = {code: Pattern(pattern, re.IGNORECASE) for code, pattern in BY_FAMILY.items()}


class CodeMeaning(NamedTuple):
    """The catalogue code for a Power BI code. `how`: the code itself is known, or only its family."""

    code: str
    how: Literal["code", "family"]


def normal(code: str | None) -> str:
    """A code in lower case; an engine code as eight hexadecimal digits."""
    text = (code or "").strip().lower()
    if _DECIMAL.fullmatch(text):
        text = f"0x{int(text) & 0xFFFFFFFF:08x}"
    return text


def is_generic(code: str | None) -> bool:
    """Whether a code only says that something failed."""
    return not code or GENERIC.fullmatch(code.strip()) is not None


def is_cancelled(code: str | None) -> bool:
    """Whether a code marks an operation that was cancelled because another operation failed."""
    text = normal(code)
    return text in CANCELLED or (not _HEX.fullmatch(text) and CANCELLED_NAME.fullmatch(text) is not None)


def is_activity(code: str | None) -> bool:
    """Whether a code marks a line that holds only ids."""
    return normal(code) in ACTIVITY


def meaning_of(code: str | None) -> CodeMeaning | None:
    """What a code says about the cause; None if the code leaves the cause open."""
    text = normal(code)[:200]
    if not text or is_generic(text):
        return None
    for name, pattern in _BY_CODE.items():
        if pattern.fullmatch(text):
            return CodeMeaning(name, "code")
    for name, pattern in _BY_FAMILY.items():
        if pattern.fullmatch(text):
            return CodeMeaning(name, "family")
    return None
