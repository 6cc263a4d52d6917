"""The functions of the Workflow Definition Language, and how many arguments each takes.

Source: the reference of workflow expression functions of Azure Logic Apps.
"""

_MANY = 10_000


def _table(**counts: str) -> dict[str, tuple[int, int]]:
    """Names by count: `one="first last"`; the words of a count are its least and its most."""
    spans = {"none": (0, 0), "maybe": (0, 1), "one": (1, 1), "one_two": (1, 2), "one_three": (1, 3), "two": (2, 2)}
    spans |= {"two_three": (2, 3), "three": (3, 3), "three_four": (3, 4), "many": (1, _MANY)}
    return {name.lower(): spans[count] for count, names in counts.items() for name in names.split()}


FUNCTIONS = _table(
    none="action item listCallbackUrl trigger triggerBody triggerOutputs workflow",
    maybe="guid utcNow",
    one="""
        appsetting array base64 base64ToBinary base64ToString binary body bool dataUri dataUriToBinary
        dataUriToString dayOfMonth dayOfWeek dayOfYear decimal decodeBase64 decodeDataUri decodeUriComponent
        empty encodeUriComponent first int isInt items iterationIndexes json last length not outputs
        parameters result reverse string ticks toLower toUpper triggerFormDataMultiValues triggerFormDataValue
        triggerMultipartBody trim uriComponent uriComponentToBinary uriComponentToString uriHost uriPath
        uriPathAndQuery uriPort uriQuery uriScheme variables xml
    """,
    one_two="actions float isFloat sort startOfDay startOfHour startOfMonth",
    one_three="formatDateTime parseDateTime",
    two="""
        add chunk contains dateDifference div endsWith equals formDataMultiValues formDataValue greater greaterOrEquals
        indexOf join lastIndexOf less lessOrEquals mod mul multipartBody rand range removeProperty skip split startsWith
        sub take xpath
    """,
    two_three="""
        addDays addHours addMinutes addSeconds convertFromUtc convertToUtc formatNumber getFutureTime getPastTime slice
        substring
    """,
    three="addProperty if nthIndexOf replace setProperty",
    three_four="addToTime convertTimeZone subtractFromTime",
    many="and coalesce concat createArray intersection max min or union",
)
"""Name in lower case -> least and most number of arguments."""


def wrong_count(name: str, given: int) -> str:
    """What is wrong with a call of a known function; empty if nothing is."""
    least, most = FUNCTIONS[name]
    if least <= given <= most:
        return ""
    wanted = str(least) if least == most else f"{least} or more" if most == _MANY else f"{least} to {most}"
    return f"{name}() takes {wanted} arguments, not {given}"
