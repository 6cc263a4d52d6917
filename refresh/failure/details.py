"""The pairs of name and value that Power BI adds to an error: `details[]`, and `parameters` of `pbi.error` and OData.

Text becomes a sentence, a server or database gets a label, and values that mean nothing to a person are left out:
cluster, activity, request, time, error numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from refresh.failure.json_text import comparable_key
from refresh.pattern import Pattern
from refresh.text import clean

MAX_PAIRS = 40
"""The maximum number of pairs that are read from one list."""

_UNDERLYING = "underlyingerrormessage"
_OMITTED_NAME = Pattern(
    r"cluster|activity|request|correlation|session|hresult|^time|timestamp|utc|tenant|culprit|version|appname|"
    r"errorcode|nativeerror|exceptiontype|^class$|^state$|^procedure$|^linenumber$|^number$|severity"
)
_SIGN_NAME = Pattern(r"errorcode|nativeerror|hresult|number")
"""Values that are not shown but help to tell causes apart."""
_MEANINGLESS_VALUE = Pattern(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|-?\d{1,12}|\d{4}-\d\d-\d\d[T ][\d:.]+Z?"
)
_TEXT_NAMES = Pattern(r"message|detailslabel|description|exception(?!type)|errortext|reasontext|hint")
_PREFIX = Pattern(r"(?i)^(?:DM_ErrorDetailNameCode_|.*\.(?=[^.]+$))")
_CAMEL = Pattern(r"(?<=[a-z0-9])(?=[A-Z])|[_\s]+")


@dataclass
class Details:
    """The content of the pairs. `texts` are sentences; `labelled` values look like `Server: sql.example.com`."""

    underlying: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    signs: list[str] = field(default_factory=list)
    table: str | None = None
    partition: str | None = None

    @property
    def sentence(self) -> str | None:
        """The sentence that names the cause: the underlying error if there is one."""
        return " ".join(dict.fromkeys(self.underlying or self.texts)) or None

    @property
    def labels(self) -> str | None:
        """The labelled values on one line."""
        return ", ".join(dict.fromkeys(self.labelled)) or None


def details(*groups: object) -> Details:
    """Reads `details[]` and `parameters`, given as a list of pairs or as an object."""
    found = Details()
    for group in groups:
        for name, value in list(_pairs(group))[:MAX_PAIRS]:
            _add(found, name, value)
    return found


def _pairs(group: object) -> Iterable[tuple[str, str]]:
    if isinstance(group, dict):
        group = [{"name": name, "value": value} for name, value in list(group.items())[:MAX_PAIRS]]
    for entry in group[:MAX_PAIRS] if isinstance(group, list) else ():
        if not isinstance(entry, dict):
            if isinstance(entry, str):
                yield "", entry
            continue
        keys = {comparable_key(str(key)): value for key, value in entry.items()}
        name = next((keys[key] for key in ("code", "key", "name", "label", "target") if keys.get(key)), "")
        value = keys.get("detail", keys.get("value", keys.get("message")))
        if isinstance(value, dict):
            value = {comparable_key(str(key)): inner for key, inner in value.items()}.get("value")
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            yield str(name), value


def _add(found: Details, name: str, value: str) -> None:
    label = _PREFIX.sub("", name.strip())[:80]
    key = comparable_key(label).removesuffix("text")
    if key in ("table", "tablename"):
        found.table = found.table or value.strip()
    elif key in ("partition", "partitionname"):
        found.partition = found.partition or value.strip()
    elif _UNDERLYING in comparable_key(name):
        found.underlying.append(value)
    elif _OMITTED_NAME.search(key) and not _TEXT_NAMES.search(key):
        if _SIGN_NAME.search(key):
            found.signs.append(f"error {clean(value)[:40]}")
    elif _MEANINGLESS_VALUE.fullmatch(value.strip()):
        pass
    elif not key or _TEXT_NAMES.search(comparable_key(name)) or _is_sentence(value):
        found.texts.append(value)
    else:
        words = _CAMEL.sub(" ", label.removesuffix("Text")).strip()
        found.labelled.append(f"{words[:1].upper()}{words[1:].lower()}: {clean(value)[:200]}")


def _is_sentence(value: str) -> bool:
    """Whether a value is a sentence or an error in JSON, not a name."""
    text = value.strip()
    return text[:1] in "{[" or len(text.split()) >= 5 or (len(text.split()) >= 3 and text.endswith((".", "!")))
