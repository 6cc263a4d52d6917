"""A timeline as sentences: the output for a failed day and of `dev.py simulate --seed`."""

import json
import re
from pathlib import Path

import pytest

from tests.simulation.run import Result, run_seed
from tests.simulation.story import LEFT_OUT, SENT, SENTENCES, in_order, story

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
REQUEST, OTHER = "2" * 32 + "-0123456789abcdef", "2" * 32 + "-kfedcba9876543210"
REFRESH = "aaaaaaaa-0000-4000-8000-000000000001"


def line(event: str, **facts: object) -> str:
    """A line of the app's log in a timeline."""
    return f"  1:00:02.10  {json.dumps({'event': event, **facts})}"


def test_ids_are_names() -> None:
    """An id has the same name throughout the day, in log lines and in other lines."""
    assert story(
        [
            f"  0:00:00.00  {SENT} {REQUEST}: a refresh of 22222222-aaaa-bbbb-cccc-000000000002",
            line("request.enrolled", requestId=OTHER, runId=f"{REQUEST}-r1", sharedWith=1, position=1),
            line("refresh.started", runId=f"{REQUEST}-r1", refreshId=REFRESH),
            f"  1:30:00.00  a person terminates {REQUEST}-r1-g2",
            f"  2:00:00.00  a person terminates {OTHER}",
        ]
    ) == [
        "  0:00:00.00  a caller sends request A: a refresh of model 1",
        "  1:00:02.10  request B joins run A1 with 1 other request; the run is number 2 of the queue",
        "  1:00:02.10  run A1 follows refresh 1",
        "  1:30:00.00  a person terminates incarnation 2 of run A1",
        "  2:00:00.00  a person terminates request B",
    ]


def test_requests_with_one_key_have_names_of_their_own() -> None:
    """The ids differ in the number of the submission or in the digest of the scope."""
    first, second, other = (f"{'2' * 32}-k{'0' * 32}-{end}" for end in ("1-5e8ebea9", "2-5e8ebea9", "1-b4fdb1fe"))
    assert story([f"  0:00:00.00  {one}, run {two}" for one, two in ((first, second), (other, f"{other}-r1"))]) == [
        "  0:00:00.00  request A, run request B",
        "  0:00:00.00  request C, run run C1",
    ]


def test_a_batch_and_its_models_have_names() -> None:
    """The ids of batches, of their models and of the workspace are not ids of refreshes."""
    batch, model, workspace = f"batch-{'0' * 16}", f"33333333-{REFRESH[9:]}", f"11111111-{REFRESH[9:]}"
    assert story([f"  0:00:00.00  {batch}: {model} in {workspace}"]) == [
        "  0:00:00.00  batch 1: model 1 in the workspace"
    ]


def test_a_request_is_sent_before_it_joins_a_run() -> None:
    """The simulation knows the id of a request only after the answer; its line then comes first, with its time."""
    sent, joined = f"  1:00:02.10  {SENT} {REQUEST}: a refresh", line("request.enrolled", requestId=REQUEST, runId="x")
    assert in_order(["  1:00:02.00  before", joined, sent]) == ["  1:00:02.00  before", sent, joined]


@pytest.mark.parametrize(("code", "text"), [("ModelEvicted", "Failed (ModelEvicted)"), ("Failed", "Failed")])
def test_an_outcome_is_shown_with_its_code(code: str, text: str) -> None:
    """A failure is shown with the code of its error, without its message, unless the code is the status."""
    error = {"code": code, "message": "long"}
    assert story([line("request.ended", requestId=REQUEST, status="Failed", error=error)]) == [
        f"  1:00:02.10  request A ends: {text}"
    ]


def test_repeated_lines_are_one_line() -> None:
    """Equal lines in a row become one line, with the time of the first of them."""
    again = [line("run.not_started", runId=f"{REQUEST}-r2")] * 3
    assert story(again) == ["  1:00:02.10  run A2 cannot be started (3 times)"]


def test_an_event_without_a_sentence_is_shown_with_its_name() -> None:
    """An event without a sentence is shown with its name and its facts."""
    text = story([line("model.overdue", runId=f"{REQUEST}-r1", workspaceId="w", error="no")])
    assert text == ["  1:00:02.10  model.overdue: runId run A1, error no"]


def test_the_requests_of_a_batch_are_introduced() -> None:
    """The line of a caller introduces any other request."""
    facts = {"requestId": REQUEST, "datasetId": "22222222-aaaa-bbbb-cccc-000000000002"}
    assert story([line("request.accepted", **facts)]) == []
    assert story([line("request.accepted", batchId=f"batch-{'0' * 16}", **facts)]) == [
        "  1:00:02.10  batch 1 sends request A: a refresh of model 1"
    ]


def test_sentences_are_of_events_that_exist() -> None:
    """Every event with a sentence is in the list of events in docs/operations.md."""
    documented = OPERATIONS.read_text("utf-8")
    assert [event for event in (*SENTENCES, *LEFT_OUT) if f"| `{event}` |" not in documented] == []


def test_the_story_of_a_day_names_no_id() -> None:
    """The story of a whole day with several requests contains only short names, and each request is sent before another
    line names it. Every sentence has all its facts."""
    result = run_seed(5, "heavy")
    text = Result(5, "heavy", "1: broken", result.timeline).story
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text), text
    assert not re.search(r"\([a-z]+Id\)", text), text
    assert text.startswith("seed 5 (heavy): 1: broken\n")
    assert text.endswith("seed 5 (heavy): 1: broken")
    introduced = set()
    for sentence in story(result.timeline):
        introduced |= set(re.findall(r"sends (request \w+):", sentence))
        assert set(re.findall(r"request [A-Z]+\b", sentence)) <= introduced, sentence
