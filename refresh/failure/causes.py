"""Why a refresh failed, recognised in Power BI's own codes and words: what decides whether another try helps."""

from functools import lru_cache

from refresh.failure import signs, texts
from refresh.failure.catalogue import CATALOGUE, ErrorCode
from refresh.failure.families import meaning_of
from refresh.failure.masking import words_of
from refresh.failure.sentences import is_advice, sentences
from refresh.pattern import Pattern

_LASTING = signs.compiled(signs.LASTING)
_PASSING = signs.compiled(signs.PASSING)


def cause_of(code: str | None, text: str | None, more: str = "") -> ErrorCode | None:
    """The catalogue's entry for an error that Power BI reports inside a refresh; None if it could be anything.

    Words of a lasting cause go before the code, the code before words of a passing one: so an error that speaks of
    credentials and of a time-out is about credentials. What the service advises counts only where nothing else does,
    since it mentions causes that may not be this one. A code's family counts last. `more`: further words, not shown.
    """
    found = _recognised(code, texts.bounded(text or "", texts.MAX_SENTENCES), more[:500])
    return CATALOGUE[found] if found else None


def is_vague(entry: ErrorCode | None) -> bool:
    """Whether a cause says no more than where the failure was."""
    return entry is not None and entry.code == "GatewayFailed"


@lru_cache(maxsize=512)  # a history has the same errors at each look, and thousands of partitions fail alike
def _recognised(code: str | None, text: str, more: str) -> str | None:
    body = texts.without_noise(texts.without_passing(texts.closing(text).text))
    facts = " ".join(part for part in sentences(body) if not is_advice(texts.unmarked(part)))
    spoken, advised = words_of(f"{facts} {more}".strip()), words_of(body)
    meaning = meaning_of(code)
    by_code = meaning.code if meaning and meaning.how == "code" else None
    found = _first(_LASTING, spoken) or by_code or _first(_PASSING, spoken)
    if found is None and texts.is_passing(text):
        found = "SourceUnavailable"
    if found is None and advised != spoken:
        found = _first(_LASTING, advised) or _first(_PASSING, advised)
    return found or (meaning.code if meaning else None)


def _first(patterns: dict[str, Pattern], words: str) -> str | None:
    return next((code for code, pattern in patterns.items() if pattern.search(words)), None)
