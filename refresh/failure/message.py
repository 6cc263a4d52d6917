"""Builds the message of a failure that people read in a pipeline's output, a mail or a log.

Order: the model (its name if known, else its id) and the table; what failed; Power BI's own message, the last error, or
the situation when the request ended; the advice; the ids. If 500 characters are too few, the ids are dropped first,
then the advice, which is also in a key of its own. Power BI's message, the last error or the situation is cut last.
"""

from refresh.failure.display import shortened
from refresh.messages import ApiMessage
from refresh.text import clean, cut

MAX_MESSAGE = 500
"""Callers show and store no more of an error than this, so the important parts have to fit."""
MIN_DETAIL = 260
"""Names are shortened to leave at least this many characters for Power BI's message."""
_NAME_LIMITS = (80, 50, 24)
LAST_ERROR = ". Last error: "
"""The link to a sentence that is the error of a call or of a refresh, and may contain a colon itself."""
SITUATION = "; "
"""The link to a sentence that describes the situation when the request ended, not the cause."""


class ModelNames(ApiMessage, frozen=True, kw_only=True):
    """The names of a model and its workspace; None if not known."""

    model: str | None = None
    workspace: str | None = None

    def also(self, more: "ModelNames") -> "ModelNames":
        """These names; a missing one is taken from `more`."""
        return ModelNames(model=self.model or more.model, workspace=self.workspace or more.workspace)

    @property
    def facts(self) -> dict[str, str | None]:
        """The names under the keys that answers and events use."""
        return {"modelName": self.model, "workspaceName": self.workspace}


class Subject(ApiMessage, frozen=True, kw_only=True):
    """What a message is about. All names and codes come from outside and can have any length."""

    dataset_id: str
    names: ModelNames = ModelNames()
    table: str | None = None
    partition: str | None = None
    service_code: str | None = None
    http_status: int | None = None
    power_bi_request_id: str | None = None
    refresh_id: str | None = None
    run_id: str | None = None


def compose(meaning: str, subject: Subject, sentence: str | None, advice: str, link: str = ": ") -> str:
    """The message, one line of at most 500 characters. `meaning` and `advice` are the app's own texts.

    `sentence`: Power BI's message, the last error, or the situation when the request ended. `link` precedes it.
    """
    detail = clean(sentence or "").strip()
    head = ""
    for limit in _NAME_LIMITS:
        head = f"{_model(subject, limit)}: {meaning}"
        if MAX_MESSAGE - len(head) >= min(len(detail), MIN_DETAIL) + len(link) + 1:
            break
    room = MAX_MESSAGE - len(head) - len(link) - 1
    message = f"{head}{link}{_closed(shortened(detail, room))}" if detail and room > 20 else f"{head}."
    if len(message) + 1 + len(advice) > MAX_MESSAGE:
        # no room for the advice, so none for the ids either
        return message
    message += f" {advice}"
    return message + _ids(subject, MAX_MESSAGE - len(message))


def _model(subject: Subject, limit: int) -> str:
    names = subject.names
    parts = [f"Semantic model {cut(names.model or subject.dataset_id, limit if names.model else 40)}"]
    if names.workspace:
        parts[0] += f" in workspace {cut(names.workspace, limit)}"
    if subject.table:
        parts.append(f"table {cut(subject.table, limit)}")
    if subject.partition:
        parts.append(f"partition {cut(subject.partition, limit)}")
    return ", ".join(parts)


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _ids(subject: Subject, room: int) -> str:
    """Codes and ids for an operator, as many as fit: codes first, then ids."""
    known = (
        subject.http_status and f"HTTP {subject.http_status}",
        subject.service_code and f"code {cut(subject.service_code, 80)}",
        subject.refresh_id and f"refresh {cut(subject.refresh_id, 40)}",
        subject.names.model and f"model {cut(subject.dataset_id, 40)}",
        subject.power_bi_request_id and f"RequestId {cut(subject.power_bi_request_id, 64)}",
        subject.run_id and f"run {cut(subject.run_id, 120)}",
    )
    joined = ""
    for part in known:
        longer = f"{joined}, {part}" if joined else f"{part}"
        if part and len(longer) + 3 <= room:
            joined = longer
    return f" ({joined})" if joined else ""
