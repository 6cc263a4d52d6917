"""Reads texts of the service and its engine: which parts name a cause, a consequence, or nothing useful.

Source: public reports of failing refreshes. An enhanced refresh lists its errors one per line, each as `0xCODE: text`,
together with the operations it cancelled and lines that hold only ids. The engine ends an error with the object
concerned: `... Table: Sales. Partition: Sales-2026.`

Every pattern is bounded, so that the work grows linearly with the length of the text.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from refresh.failure.sentences import sentences
from refresh.pattern import Pattern

MAX_TEXT = 1_000_000
"""The maximum number of characters of one text that are read: half of them from its beginning, half from its end,
because the cause can be in either."""
MAX_SEARCHED = 3000
"""The maximum number of characters that are searched sentence by sentence. A longer text is never dismissed as a mere
cancellation, noise, or a transient phrase."""
MAX_NAME = 512
"""The maximum length of a table or partition name in Power BI."""

_CODE = Pattern(r"(?i)\b(0x[0-9a-f]{8})\s?:\s")
# a line end in a text that was JSON-encoded twice
_ESCAPED_LINE = Pattern(r"(?:\\r)?\\n(?=\s{0,20}0x[0-9a-f]{8}\s?:|\s{0,20}$)", re.IGNORECASE)
_SENTENCE_END = (".", ";", "!", "?", "}", "]", ")", ">", '"', "'")
_MARK = Pattern(r"(?i)</?(?:ccon|oii|pii|euii|eupi)>")

# ---- sentences that do not name a cause ------------------------------------------------------------------------------

_BEGIN = r"(?:(?<=[.!?;:}\]>)\"'\n]\s)|(?<=[.!?;]\s\s)|(?<=\n)|^\s{0,20})"
_CLOSING = (
    r"(?:\s?The exception was raised by the \w{1,40} interface\.?)?"
    r"(?:\s{1,3}Table: [^\n]{1,200}?\.(?=\s|$)(?:\s{1,3}Partition: [^\n]{1,200}?\.(?=\s|$))?)?"
)
_CANCELLED = Pattern(
    _BEGIN + r"(?:(?:the|this|your|a)\s)?(?:current\s)?(?:operation|command|task|statement|batch|transaction)s?\s"
    r"(?:(?:was|has been|have been|were|is|got)\s)?cancell?ed"
    # a cancellation with a stated reason is a cause: not enough memory, a user, a time-out
    r"(?!\s(?:because|due to|by|since|after|as a result|when|for|on|at)\b"
    r"(?!\s(?:of\s)?(?:an|the|some)?\s?(?:other|another|error|failure)))"
    r"(?:\s(?:because|due to|since|after|as a result)\s[^.\n]{0,200})?[.!]{0,3}" + _CLOSING,
    re.IGNORECASE,
)
_SIBLING = Pattern(
    _BEGIN
    + r"[^.\n]{0,160}\banother (?:operation|command|statement) in the (?:transaction|batch) failed[.!]{0,3}"
    + _CLOSING,
    re.IGNORECASE,
)
_RETRY_LIMIT = Pattern(
    _BEGIN + r"(?:the )?retry attempts? for [^.\n]{0,120}\bexceed[^.\n]{0,120}[.!]{0,3}", re.IGNORECASE
)
_IDS = Pattern(
    r"(?:\bTechnical details:\s{0,3})?"
    r"\b(?:Root\s?Activity|Activity|Client\s?Request|Request|Correlation|Session)\s?Id:?\s{0,3}"
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}[.,;]?"
    r"(?:\s{0,3}(?:Date|Time|Timestamp)\s?(?:\(UTC\))?:\s{0,3}[\d/:.TZ -]{4,30}"
    r"(?:\s?[AP]M)?\.?)?",
    re.IGNORECASE,
)
_RAISED = Pattern(r"(?:The )?exception was raised by the \w{1,40} interface\.?", re.IGNORECASE)
_LINK = Pattern(
    r"(?:See|Refer to|Learn more(?: at)?:?|For more (?:information|details),?\s(?:see|visit))\s{1,3}"
    r"https?://\S{1,500}(?: to learn more| for (?:more )?(?:information|details))?\.?",
    re.IGNORECASE,
)
_TRANSIENT = Pattern(r"\b(?:transient|temporar(?:y|ily))\b", re.IGNORECASE)
_TRANSIENT_PHRASES = Pattern(
    r"(?:the last refresh attempt failed because of an internal service error"
    r"|(?:an?|some) (?:internal|unexpected)(?: service| server)? (?:error|problem|issue) (?:has )?occurred"
    r"|(?:this|it|that) (?:is|may be|might be|could be)(?: usually| likely| probably| often)? an? "
    r"(?:transient|temporary)"
    r" (?:issue|error|problem|failure|condition)"
    r"|(?:this is )?an? (?:transient|temporary) (?:service |server )?(?:issue|error|problem|failure|condition)"
    r"(?: (?:has )?(?:occurred|happened))?"
    r"|(?:the|this) (?:operation|refresh|request|service|error|failure) (?:failed because of|failed due to|is|was|had)"
    r" an? (?:internal |service )?(?:transient|temporary) (?:issue|error|problem|failure|condition)"
    r"|(?:the |this )?service is temporarily unavailable"
    r"|if you try again later and still see this message,? (?:please )?contact support"
    r"|(?:please )?(?:re)?try (?:again|the (?:operation|request|refresh)(?: again)?)"
    r"(?: later| in a few minutes| after some time)?"
    r"|(?:if (?:the|this) (?:problem|issue|error) persists,? )?(?:please )?contact (?:customer |microsoft )?support"
    r"(?: for (?:help|assistance))?)",
    re.IGNORECASE,
)
_TAILS = {"id": _IDS, "retry": _RETRY_LIMIT, "http": _LINK, "ancel": _CANCELLED, "another": _SIBLING}
"""The patterns of texts that may follow the engine's closing. The key is a substring that every match contains: a text
without it is not searched with the pattern."""


class TextAndObject(NamedTuple):
    """A text without its closing, and the object that the closing names."""

    text: str
    table: str | None
    partition: str | None


def bounded(text: str, limit: int = MAX_TEXT) -> str:
    """The whole text, or its beginning and end if it is too long."""
    return text if len(text) <= limit else f"{text[: limit // 2]}\n{text[-limit // 2 :]}"


def unmarked(text: str) -> str:
    """A text without the marks that the service puts around names and content, such as `<oii>Sales</oii>`."""
    return _MARK.sub("", text)


def errors_in_text(text: str) -> Iterator[tuple[str | None, str]]:
    """The errors of a text, each written as `0xCODE: text`, with their codes. A text without codes is one error.

    A code starts a new error at the start of a line or after a sentence; inside a sentence it belongs to the text.
    """
    text = _ESCAPED_LINE.sub("\n", text)
    begin, code = 0, None
    for match in _CODE.finditer(text):
        before = text[begin : match.start()].rstrip(" \t")
        if before and before[-1] not in ("\n", "\r", *_SENTENCE_END):
            continue
        if before.strip() or code:
            yield from _parts(code, before.strip())
        begin, code = match.end(), match[1]
    yield from _parts(code, text[begin:].strip())


def _parts(code: str | None, text: str) -> Iterator[tuple[str | None, str]]:
    """Separates cancellations and other sentences without a cause from the error in the same text."""
    rest, place = [], 0
    for begin, end in _consequences(text):
        if begin < place:
            continue
        rest.append(text[place:begin].strip())
        yield code if not "".join(rest).strip() and not text[end:].strip() else None, text[begin:end].strip()
        place = end
    rest.append(text[place:].strip())
    remaining = "\n".join(part for part in rest if part)
    if remaining or not place:
        yield from ((code, part) for part in _by_line(remaining))


def _by_line(text: str) -> list[str]:
    """The errors of lines without codes: an error ends with the line that names its table."""
    if "\n" not in text:
        return [text]
    found: list[list[str]] = [[]]
    for line in text.splitlines():
        found[-1].append(line)
        if split_closing(line).table:
            found.append([])
    return ["\n".join(lines).strip() for lines in found if any(line.strip() for line in lines)] or [""]


def _consequences(text: str) -> list[tuple[int, int]]:
    lower = text.lower()
    # a long text is only searched for the patterns that can match
    signs = {"ancel": _CANCELLED, "another": _SIBLING, "retry": _RETRY_LIMIT}
    found = [m.span() for sign, pattern in signs.items() if sign in lower for m in pattern.finditer(text)]
    return sorted(found, key=lambda span: (span[0], -span[1]))


def is_cancellation(text: str) -> bool:
    """Whether a text says only that something was cancelled, without giving a reason of its own."""
    lower = text[:MAX_SEARCHED].lower()
    if len(text) > MAX_SEARCHED or not ("ancel" in lower or "another" in lower):
        return False
    rest = text
    for pattern in (_CANCELLED, _SIBLING):
        rest = pattern.sub(" ", rest)
    return rest != text and not _letters(without_noise(split_closing(rest).text))


def is_noise(text: str) -> bool:
    """Whether a text names no cause: only ids, a retry limit, or the interface that raised an exception."""
    return len(text) <= MAX_SEARCHED and not _letters(without_noise(_RETRY_LIMIT.sub(" ", split_closing(text).text)))


def is_transient(text: str) -> bool:
    """Whether the service calls the failure transient and gives no other information."""
    if len(text) > MAX_SEARCHED or not _TRANSIENT.search(text):
        return False
    text = without_noise(split_closing(unmarked(text)).text)
    return not _letters(_TRANSIENT_PHRASES.sub(" ", text))


def without_transient(text: str) -> str:
    """A text without the service's phrases about transient failures, unless it has nothing else."""
    if not _TRANSIENT.search(text):
        return text
    kept = [part for part in sentences(text) if _letters(_TRANSIENT_PHRASES.sub(" ", part))]
    return " ".join(kept) or text


def without_noise(text: str) -> str:
    """A text without ids, links, and the interface that raised an exception."""
    for pattern in (_IDS, _RAISED, _LINK):
        text = pattern.sub(" ", text)
    return text.strip(" \t\r\n;,")


def _letters(text: str) -> bool:
    """Whether the text contains a word."""
    return re.search(r"[^\W\d_]{2}", text) is not None


# ---- the object that ends an error -----------------------------------------------------------------------------------

_LABEL = Pattern(
    # not directly after a quote: `"Table: x"` is a value of Power Query
    r"(?:^\s{0,5}|(?<=\n)\s{0,5}|(?<=[.!?;:}\])>\"'])\s{1,3}|(?<=\}))(Table|Partition):\s{0,3}",
    re.IGNORECASE,
)


def split_closing(text: str) -> TextAndObject:
    """The engine's closing `Table: X. Partition: Y.`, read from the end, and the text before it.

    Names may contain dots, apostrophes and brackets. Neither `Table = ...` of an M expression nor a label inside
    a sentence is a closing.
    """
    text = without_tail(text)
    labels = list(_LABEL.finditer(text, max(len(text) - 3 * MAX_NAME, 0)))
    if not labels:
        return TextAndObject(text, None, None)
    last = labels[-1]
    if last[1].lower() == "table":
        table = _name(text[last.end() :])
        return TextAndObject(text[: last.start()].rstrip(), table, None) if table else TextAndObject(text, None, None)
    partition = _name(text[last.end() :])
    before = text[: last.start()].rstrip()
    tables = [match for match in labels[:-1] if match[1].lower() == "table"]
    if not tables or not partition:
        return TextAndObject(before if partition else text, None, partition)
    table = _name(before[tables[-1].end() :])
    return TextAndObject(before[: tables[-1].start()].rstrip(), table, partition)


def without_tail(text: str) -> str:
    """A text without anything that the service adds after the engine's closing."""
    text = text.rstrip(" \t\r\n")
    lower = text[-600:].lower()
    patterns = [pattern for sign, pattern in _TAILS.items() if sign in lower]
    for _ in range(5):
        tail = max(0, len(text) - 600)
        shorter = text
        for pattern in patterns:
            for match in pattern.finditer(text, tail):
                if match.end() == len(text) and match.start() > 0:
                    shorter = text[: match.start()].rstrip(" \t\r\n")
                    break
            if shorter != text:
                break
        if shorter == text:
            return text
        text = shorter
    return text


def _name(text: str) -> str | None:
    """The name after a label, without one full stop at the end and without quotes."""
    name = unmarked(text).strip()
    if name.endswith((".", ";", ",")):
        name = name[:-1].rstrip()
    if len(name) > 2 and name[0] == name[-1] and name[0] in "'\"":
        name = name[1:-1]
    # names contain no line breaks, and a text that is longer than any name is a sentence
    return name if name and len(name) <= MAX_NAME and "\n" not in name else None


_KIND_THEN_NAME = Pattern(
    r"\b(?:in|of|on|for|from|to|the|model)\s{1,2}(?:the\s)?(table|partition)\s{1,2}"
    r"(?:'(?:<oii>)?([^\r\n]{1,200}?)(?:</oii>)?'(?=[\s.,;:)\]]|$)|\"([^\"\r\n]{1,200})\"|<oii>([^<\r\n]{1,200})</oii>)",
    re.IGNORECASE,
)
_NAME_THEN_KIND = Pattern(r"'([^'\r\n]{1,200})'\s{1,2}(table|partition)\b", re.IGNORECASE)


def object_in_sentence(text: str) -> tuple[str | None, str | None]:
    """The table and the partition that a sentence mentions, such as "column 'Id' in Table 'Customer'"."""
    found: dict[str, str] = {}
    for match in _KIND_THEN_NAME.finditer(text[:MAX_SEARCHED]):
        found.setdefault(match[1].lower(), (match[2] or match[3] or match[4]).strip())
    for match in _NAME_THEN_KIND.finditer(text[:MAX_SEARCHED]):
        found.setdefault(match[2].lower(), unmarked(match[1]).strip())
    return found.get("table"), found.get("partition")
