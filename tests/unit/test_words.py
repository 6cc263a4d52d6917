"""Plain words: texts and names avoid a list of unclear ones. Each unclear word in the list has a better one beside it.

The test checks the whole text of documents, deployment files, queries, workflows and settings. In JavaScript, it checks
comments and strings. In Python, it checks docstrings, comments, names of tests, messages of the code that is not a
test, and names of variables. Tests quote messages of other services, so their strings are not checked.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator

import pytest

from tests.unit.test_repository import ROOT

_KEY = "(?-i:refresh|except|models|all|since|share|caller|retries|priority|status|state|sort|limit|search|continuation)"

TEXTS = (
    # a part of each match, the pattern, better words
    ("for ever", r"for ever", "permanently, endlessly"),
    ("ever", r"who(so)?ever", "the caller, every caller that"),
    ("nobody", r"nobody", "no caller, no request"),
    ("some", r"some(body|one)", "a user, a caller"),
    ("anybody", r"anybody", "any caller"),
    (" none", r"(?<!there )(is|are|was|were) (?-i:none)(?! of)", "is invalid, is not a ..., does not exist"),
    ("wish", r"wish(es|ed)?", "options, requests, needs"),
    ("sp", r"spoken?|speaks?", "signals, reports, describes"),
    ("lives", r"lives", "exists, is valid, incarnations"),
    ("hiccup", r"hiccups?", "a short outage"),
    ("unwell", r"unwell", "failing, unhealthy"),
    ("mend", r"mends?|mended", "corrects, repairs"),
    ("anew", r"anew", "again"),
    (" gone", r"(is|are|was|were) gone", "no longer exists, has ended"),
    ("to nothing", r"(come|comes|came) to nothing", "has no effect, is not used"),
    (" ever ", r"ever (longer|shorter|rarer|more|less)", "longer and longer, less and less often"),
    ("turn", r"(turn|turns|turned) (red|green)", "fails, succeeds"),
    (" against", r"(hold|holds|held) [^.]{0,40}\bagainst", "compares with, checks against"),
    ("the ", r"the (living|dead)(?=[ .,;:]*(and|are|is|$))", "active requests, ended instances"),
    (" it", r"means? it(?= |\.|,|$)(?! (has|is|was|can|must|would))", "intends that"),
    ("says", r"says (so|no)", "reports it, refuses"),
    ("stand", r"stands? (in the way|beside|alone)", "is running, is beside, is complete"),
    ("travel", r"travel(s|led)?", "is part of, is sent with"),
    ("feeds", r"feeds", "configures, supplies"),
    ("course of", r"the course of (each|a|the) (request|refresh|run)", "progress"),
    ("count", r"counts? as much as", "is worth"),
    ("count", r"counts? from the (second|third)", "counts only if there are at least"),
    ("without remedy", r"without remedy", "unrecoverable"),
    ("to nothing", r"is nothing at all", "matches nothing, has no effect"),
    ("let", r"(let|lets|letting) (it |them |the app |that )?in(?!-)", "admits, includes"),
    ("in the words", r"in the words of an? (user|caller)", "in the user's terms"),
    # literal translations
    (
        " to ",
        r"(allows|enables|recommends|suggests) to(?= [a-z])(?! read only)",
        "lets a caller ..., recommends ...ing",
    ),
    ("since ", r"since [0-9a-z]+ (seconds|minutes|hours|days|weeks)", "for"),
    ("information", r"informations|an information", "information"),
    ("possibilit", r"possibility to", "possible to, can"),
    ("depend", r"depend(s|ing)? of", "depends on"),
    ("look", r"how (it|they|this|that) looks? like", "what it looks like"),
    ("same like", r"the same like", "the same as"),
    # names of keys that can be read as words
    ("the key", rf"the key {_KEY}", 'the key "...", in quotes or backticks'),
    ("except", r"(with|and) except(?=[,.;])", 'the key "except", in quotes or backticks'),
    ("all: true", r"all: true", '"all": true'),
    (" must ", rf"(^|(?<=[\"'])){_KEY} must", 'the key "...", in quotes'),
    ("must be", r"(?-i:[a-z]+[A-Z]\w+) must be", 'the key "...", in quotes or backticks'),
    ("is required", r"(?-i:[a-z]+[A-Z]\w+) is required", 'the key "...", in quotes or backticks'),
)
"""Unclear words and phrases, in upper or lower case."""

FORMATS = (
    *("py", "md", "bicep", "bicepparam", "kql", "yml", "yaml", "js", "css"),
    *("html", "json", "toml", "dot", "txt"),
)
"""The endings of the files that are checked."""
WITHOUT_ENDING = (".funcignore", ".gitignore", ".ci/run")
GENERATED = re.compile(
    r"integrations/(openapi\.yaml|custom-connector\.swagger\.json|(adf|synapse|logic_apps)/.*\.json)"
    r"|infra/(main|workbook)\.json"
)
"""Generated files. Their sources are checked."""
RECORDED = re.compile(r"(.*/)?(data|histories)/.*\.(?!(py|md)$)[^/.]+|tests/reports\.json")
"""Recordings of the app and of other services."""

NAMES = {
    "told": "report, message, result",
    "said": "message, answer",
    "gone": "ended, missing, is_closed",
    "asked": "request, options, query",
    "shown": "text, row, body",
    "wanted": "expected, options",
    "wish": "options",
    "wishes": "requests",
    "spoken": "signalled",
    "heard": "body, answer",
    "looked": "looks, reads",
}
"""Names of variables, parameters, functions and classes, with better ones."""

ALLOWED_NAMES = {
    ("dev/identity_endpoint.py", "asked"): "a key of its control API",
    ("refresh/reporting/callback.py", "looked"): "the state after a look",
    ("refresh/run/parts.py", "asked"): "a key of a stored state",
    ("refresh/run/phases/looking.py", "_looked"): "the transition after a look",
    ("refresh/run/state.py", "looked"): "a key of a stored state",
}
"""Exceptions, each with its reason."""

JAVASCRIPT_TEXT = re.compile(r"""//[^\n]*|/\*.*?\*/|"[^"\n]*"|'[^'\n]*'|`[^`]*`""", re.DOTALL)

_PATTERNS = [(part, re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), better) for part, pattern, better in TEXTS]


def files() -> Iterator[tuple[str, str]]:
    """Path and text of every file of the repository that people wrote, except this one."""
    patterns = [*(f"*.{ending}" for ending in FORMATS), *WITHOUT_ENDING]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    for path in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if is_written(path) and (ROOT / path).is_file():
            yield path, (ROOT / path).read_text(encoding="utf-8")


def is_written(path: str) -> bool:
    """Whether people wrote the file: it was neither generated nor recorded. This file quotes the unclear words."""
    return path != "tests/unit/test_words.py" and not GENERATED.fullmatch(path) and not RECORDED.fullmatch(path)


def unclear(text: str) -> Iterator[tuple[int, str, str]]:
    """For each unclear word: the line within the text, the phrase, and better words."""
    lowered = text.lower()
    for part, pattern, better in _PATTERNS:
        if part in lowered:
            for match in pattern.finditer(text):
                yield text.count("\n", 0, match.start()), match[0], better


def texts(path: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and text of comments and docstrings of a module, names of tests, and messages outside of tests."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    nodes = list(ast.walk(ast.parse(source)))
    documented = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    test = "tests/" in path
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (id(node) in documented or not test):
            yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")


def script_texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of all comments and strings of a script."""
    for match in JAVASCRIPT_TEXT.finditer(source):
        yield source.count("\n", 0, match.start()) + 1, match[0]


def names(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each assignment, parameter, function and class."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def unclear_texts(path: str, content: str) -> list[str]:
    """The unclear words in a file."""
    parts = iter([(1, content)])
    if path.endswith(".py"):
        if not any(unclear(content.replace("_", " "))):  # parsing takes far longer
            return []
        parts = texts(path, content)
    elif path.endswith(".js"):
        parts = script_texts(content)
    return [
        f"{path}:{start + line}: {phrase!r}: better {better}"
        for start, text in parts
        for line, phrase, better in unclear(text)
    ]


def unclear_names(path: str, content: str) -> list[str]:
    """The unclear names in a module."""
    lowered = content.lower()
    words = [word for word in NAMES if word in lowered]
    definition = rf"\b_*({'|'.join(words)})\b *([:=,)(\]]|in\b)"
    if not path.endswith(".py") or not words or not re.search(definition, content, re.IGNORECASE):
        return []
    return [
        f"{path}:{line}: {name!r}: better {NAMES[word]}"
        for line, name in names(content)
        if (word := name.strip("_").lower()) in NAMES and (path, name) not in ALLOWED_NAMES
    ]


def test_texts_are_plain() -> None:
    """The checked texts are documents, docstrings, comments, names of tests, and messages."""
    found = [problem for path, content in files() for problem in unclear_texts(path, content)]
    assert not found, "\n".join(["", *found])


def test_names_are_nouns() -> None:
    """The checked names are those of variables, parameters, attributes, functions and classes."""
    found = [problem for path, content in files() for problem in unclear_names(path, content)]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("infra/modules/alerts.bicep", True),
        ("infra/queries/alerts/needs-a-person.kql", True),
        ("triggers/ui/app.js", True),
        (".github/workflows/test.yml", True),
        (".funcignore", True),
        (".ci/run", True),
        ("tests/histories/record.py", True),
        ("infra/main.json", False),
        ("integrations/openapi.yaml", False),
        ("integrations/adf/pipeline/refresh-with-web-key.json", False),
        ("tests/histories/1.0/refresh_run-033.json", False),
        ("devhost/tests/devhost_tests/data/conformance/recorded.json", False),
    ],
)
def test_files_that_people_wrote_are_checked(path: str, written: bool) -> None:
    """Files that are generated or recorded are not checked."""
    assert (ROOT / path).is_file()
    assert is_written(path) == written
    assert (path in dict(files())) == written


KQL = "infra/queries/app.kql"


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("app.py", '"""Whoever asks."""\n', ["app.py:1: 'Whoever'"]),
        ("app.py", "x = 1\ny = 2  # kept for ever\n", ["app.py:2: 'for ever'"]),
        ("app.py", 'raise ValueError("nobody knows")\n', ["app.py:1: 'nobody'"]),
        ("tests/test_app.py", 'assert "nobody"\n', []),
        ("tests/test_app.py", "def test_nobody_asks(): ...\n", ["tests/test_app.py:1: 'nobody'"]),
        ("docs/app.md", "first\nA time that is none.\n", ["docs/app.md:2: 'is none'"]),
        ("docs/app.md", "A request is none of these. None if there is none.\n", []),
        ("infra/app.bicep", "// one\n@description('Nobody may call.')\n", ["infra/app.bicep:2: 'Nobody'"]),
        (KQL, "// Events that count from the third one on.\n", [f"{KQL}:1: 'count from the third'"]),
        (
            "app.js",
            "const nobody = 1;\nshow('nobody'); // ever rarer\n",
            ["app.js:2: 'nobody'", "app.js:2: 'ever rarer'"],
        ),
        (".funcignore", "# the app is let in\n", [".funcignore:1: 'let in'"]),
        ("app.yml", "description: It has run since two hours.\n", ["app.yml:1: 'since two hours'"]),
        ("app.py", "# what the role allows to do\n", ["app.py:1: 'allows to'"]),
        ("app.py", 'x = "Leave out the key refresh."\n', ["app.py:1: 'the key refresh'"]),
        ("app.py", 'x = "Leave some out with except, or split."\n', ["app.py:1: 'with except'"]),
        ("app.py", 'x = "since must be a time."\n', ["app.py:1: 'since must'"]),
        ("app.py", 'x = "datasetId must be a GUID."\n', ["app.py:1: 'datasetId must be'"]),
        ("app.py", """x = '"since" must be a time. "datasetId" is required.'\n""", []),
    ],
)
def test_an_unclear_word_is_found(path: str, source: str, expected: list[str]) -> None:
    """The check can fail, and names the line."""
    assert [problem.rsplit(": better", 1)[0] for problem in unclear_texts(path, source)] == expected


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("told = 1", "told"),
        ("def told(): ...", "told"),
        ("def f(x, told): ...", "told"),
        ("class Told: ...", "Told"),
        ("self._told = 1", "_told"),
        ("x, told = y", "told"),
        ("[told for told in x]", "told"),
    ],
)
def test_an_unclear_name_is_found(source: str, name: str) -> None:
    """Names are checked in each kind of definition."""
    assert unclear_names("app.py", source) == [f"app.py:1: {name!r}: better {NAMES['told']}"]
