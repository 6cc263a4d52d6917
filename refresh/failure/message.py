"""The one sentence of a failure that people read: in a pipeline's output, a mail, a log.

In this order: the model (its name if it is known, else its id) and the table, what failed, the service's own sentence
of the cause, what to do, and the ids. Where 500 characters are too few, ids give way first, then the advice, which
has a key of its own, and only then the service's sentence.
"""

from refresh.failure.display import shortened
from refresh.messages import Shown
from refresh.text import clean, cut

MAX_MESSAGE = 500
"""Callers show and store no more of an error than this many characters, so what matters has to fit."""
ENOUGH = 260
"""Characters of the service's sentence for which long names give way."""
_NAME_LIMITS = (80, 50, 24)


class ModelNames(Shown, frozen=True, kw_only=True):
    """The names of a model and its workspace, as far as they are known."""

    model: str | None = None
    workspace: str | None = None

    def also(self, more: "ModelNames") -> "ModelNames":
        """These names, and where one is missing that of `more`."""
        return ModelNames(model=self.model or more.model, workspace=self.workspace or more.workspace)

    @property
    def facts(self) -> dict[str, str | None]:
        """The names by the keys that answers and events have for them."""
        return {"modelName": self.model, "workspaceName": self.workspace}


class Subject(Shown, frozen=True, kw_only=True):
    """What a message is about. All names and codes come from outside and may be of any length."""

    dataset_id: str
    names: ModelNames = ModelNames()
    table: str | None = None
    partition: str | None = None
    service_code: str | None = None
    http_status: int | None = None
    power_bi_request_id: str | None = None
    refresh_id: str | None = None
    run_id: str | None = None


def compose(meaning: str, subject: Subject, sentence: str | None, advice: str) -> str:
    """The message, one line of at most 500 characters. `meaning` and `advice` are ours, `sentence` the service's."""
    said = clean(sentence or "").strip()
    head = ""
    for limit in _NAME_LIMITS:
        head = f"{_model(subject, limit)}: {meaning}"
        if MAX_MESSAGE - len(head) >= min(len(said), ENOUGH) + 3:
            break
    room = MAX_MESSAGE - len(head) - 3
    message = f"{head}: {_closed(shortened(said, room))}" if said and room > 20 else f"{head}."
    if len(message) + 1 + len(advice) > MAX_MESSAGE:
        # where the advice gives way, ids have done so before
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
    """What an operator looks up, as much of it as fits: codes first, then ids."""
    known = (
        subject.http_status and f"HTTP {subject.http_status}",
        subject.service_code and f"code {cut(subject.service_code, 80)}",
        subject.refresh_id and f"refresh {cut(subject.refresh_id, 40)}",
        subject.names.model and f"model {cut(subject.dataset_id, 40)}",
        subject.power_bi_request_id and f"RequestId {cut(subject.power_bi_request_id, 64)}",
        subject.run_id and f"run {cut(subject.run_id, 120)}",
    )
    shown = ""
    for part in known:
        longer = f"{shown}, {part}" if shown else f"{part}"
        if part and len(longer) + 3 <= room:
            shown = longer
    return f" ({shown})" if shown else ""
