"""Finds the cause of a failed refresh in Power BI's codes and messages. The cause decides whether a retry can help."""

from functools import lru_cache

from refresh.failure import signs, texts
from refresh.failure.catalogue import CATALOGUE, ErrorCode
from refresh.failure.families import meaning_of
from refresh.failure.masking import words_of
from refresh.failure.sentences import is_advice, sentences
from refresh.pattern import Pattern

_LASTING = signs.compiled(signs.LASTING)
_TRANSIENT = signs.compiled(signs.TRANSIENT)


def cause_of(code: str | None, text: str | None, more: str = "") -> ErrorCode | None:
    """The catalogue entry for an error that Power BI reports inside a refresh; None if the cause is unclear.

    Order: words for a lasting cause, the code, words for a transient cause. So an error that names both credentials and
    a time-out counts as a credentials error. Advice in the message counts only if nothing else matches, because it
    mentions causes that may not apply. The family of the code comes last. `more`: further words that are not shown.
    """
    found = _recognised(code, texts.bounded(text or "", texts.MAX_SEARCHED), more[:500])
    return CATALOGUE[found] if found else None


def is_vague(entry: ErrorCode | None) -> bool:
    """Whether a cause only says where the failure happened."""
    return entry is not None and entry.code == "GatewayFailed"


# each look at a history finds the same errors, and thousands of partitions can fail with the same error
@lru_cache(maxsize=512)
def _recognised(code: str | None, text: str, more: str) -> str | None:
    body = texts.without_noise(texts.without_transient(texts.split_closing(text).text))
    facts = " ".join(part for part in sentences(body) if not is_advice(texts.unmarked(part)))
    facts_words, all_words = words_of(f"{facts} {more}".strip()), words_of(body)
    meaning = meaning_of(code)
    by_code = meaning.code if meaning and meaning.how == "code" else None
    found = _first(_LASTING, facts_words) or by_code or _first(_TRANSIENT, facts_words)
    if found is None and texts.is_transient(text):
        found = "SourceUnavailable"
    if found is None and all_words != facts_words:
        found = _first(_LASTING, all_words) or _first(_TRANSIENT, all_words)
    return found or (meaning.code if meaning else None)


def _first(patterns: dict[str, Pattern], words: str) -> str | None:
    return next((code for code, pattern in patterns.items() if pattern.search(words)), None)
