"""The words of an error without the names in it: a column named PasswordHash must not look like a credentials error."""

import re

from refresh.pattern import Pattern

MAX_CHARACTERS = 3000
"""The maximum number of characters of one error that are searched for its cause."""

_MARKED = Pattern(r"<(?:ccon|oii|pii|euii|eupi)>([^<]{0,1000})</(?:ccon|oii|pii|euii|eupi)>", re.IGNORECASE)
# an apostrophe within a word neither opens nor closes a name
_SINGLE = Pattern(r"(?<!\w)'([^'\n]{0,300}(?:'\w[^'\n]{0,300}){0,4})'(?!\w)")
_OTHER = Pattern(r"\"([^\"\n]{0,500})\"|“([^”\n]{0,500})”|`([^`\n]{0,300})`|«([^»\n]{0,300})»")
_BRACKETS = Pattern(r"\[([^\[\]\n]{0,300})\]")
_EXCEPTION_TYPE = Pattern(r"(?:\w{1,80}\.){1,12}\w{0,80}(?:Exception|Error)", re.IGNORECASE)
_LABELLED = Pattern(r"\b(?:table|column|measure|partition|query|relationship)\s?[:=]\s?[^.;,\n]{1,200}", re.IGNORECASE)
INSTEAD = " ~ "


def words_of(text: str) -> str:
    """A text with its names replaced. Sentences and exception types in quotes are kept."""
    text = text if len(text) <= MAX_CHARACTERS else f"{text[: MAX_CHARACTERS * 3 // 4]} {text[-MAX_CHARACTERS // 4 :]}"
    masked = _MARKED.sub(_keep_or_mask, text)
    for pattern in (_SINGLE, _OTHER, _BRACKETS):
        masked = pattern.sub(_keep_or_mask, masked)
    masked = _LABELLED.sub(INSTEAD, masked)
    # a text that is entirely in quotes is not a name
    return masked if re.search(r"[^\W\d_]{2}", masked.replace(INSTEAD, "")) else text


def _keep_or_mask(match: re.Match[str]) -> str:
    inside = next((group for group in match.groups() if group is not None), "")
    stripped = inside.strip()
    if _EXCEPTION_TYPE.fullmatch(stripped):
        return f" {stripped} "
    blanks = stripped.count(" ")
    if (blanks >= 2 and stripped.endswith((".", "!", "?"))) or blanks >= 5:
        return f" {stripped} "
    return INSTEAD
