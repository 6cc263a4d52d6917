"""Makes messages of the service readable, and shortens them to the available length."""

import re

from refresh.failure.sentences import is_advice, sentences
from refresh.failure.texts import MAX_SEARCHED, bounded, unmarked, without_noise, without_transient


def readable(text: str) -> str:
    """A message for a person: without marks, ids, links or repetition."""
    text = without_transient(without_noise(unmarked(bounded(text, MAX_SEARCHED))))
    text = re.sub(r"(?<!\.)\.\.(?!\.)", ".", text)
    text = re.sub(r"\s{1,20}", " ", text).replace(" ;", ";").replace(".;", ". ")
    kept: list[str] = []
    for part in sentences(text):
        # Power Query repeats its sentence, once with details and once without
        if len(part) < 20 or not any(part.strip(" .;") in earlier for earlier in kept[-20:]):
            kept.append(part.strip())
    return " ".join(kept).strip(" ;,")


def shortened(text: str, room: int) -> str:
    """The text in at most `room` characters. First drops the service's advice, then the middle, so that names at the
    end stay."""
    if len(text) <= room:
        return text
    parts = sentences(text)
    for index in range(len(parts) - 1, 0, -1):
        if is_advice(parts[index]) and not re.search(r"\d|['\"]", parts[index]):
            del parts[index]
            if len(" ".join(parts)) <= room:
                return " ".join(parts)
    text = " ".join(parts)
    tail = min(room // 3, 120) if room > 90 else 0
    head = text[: room - tail - 3].rstrip()
    return f"{head} … {text[-tail:].lstrip()}" if tail else text[: room - 1].rstrip() + "…"
