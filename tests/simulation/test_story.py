"""A timeline as sentences: the output for a failed day and of `dev.py simulate --seed`."""

import json
import re
from pathlib import Path

from tests.simulation.run import Result, run_seed
from tests.simulation.story import LEFT_OUT, SENTENCES, story

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
            f"  0:00:00.00  {REQUEST} asks for a refresh of 22222222-aaaa-bbbb-cccc-000000000002",
            line("request.enrolled", requestId=OTHER, runId=f"{REQUEST}-r1", sharedWith=1, position=0),
            line("refresh.started", runId=f"{REQUEST}-r1", refreshId=REFRESH),
            f"  2:00:00.00  {OTHER} is terminated by hand",
        ]
    ) == [
        "  0:00:00.00  request A asks for a refresh of model 2",
        "  1:00:02.10  request B is in run A1, which it shares with 1 more",
        "  1:00:02.10  run A1 follows refresh 1",
        "  2:00:00.00  request B is terminated by hand",
    ]


def test_an_outcome_is_shown_with_its_code() -> None:
    """A failure is shown with the code of its error, without its message."""
    error = {"code": "ModelEvicted", "message": "long"}
    assert story([line("request.ended", requestId=REQUEST, status="Failed", error=error)]) == [
        "  1:00:02.10  request A ends: Failed ModelEvicted"
    ]


def test_repeated_lines_are_one_line() -> None:
    """Equal lines in a row become one line, with the time of the first of them."""
    again = [line("run.closed", runId=f"{REQUEST}-r2")] * 3
    assert story(again) == ["  1:00:02.10  run A2 finds the model idle and closes (3 times)"]


def test_an_event_without_a_sentence_is_shown_with_its_name() -> None:
    """An event without a sentence is shown with its name and its facts."""
    text = story([line("activity.failed", runId=f"{REQUEST}-r1", workspaceId="w", error="no")])
    assert text == ["  1:00:02.10  activity.failed: runId run A1, error no"]


def test_sentences_are_of_events_that_exist() -> None:
    """Every event with a sentence is in the list of events in docs/operations.md."""
    documented = OPERATIONS.read_text("utf-8")
    assert [event for event in (*SENTENCES, *LEFT_OUT) if f"| `{event}` |" not in documented] == []


def test_the_story_of_a_day_names_no_id() -> None:
    """The story of a whole day with several requests contains only short names."""
    result = run_seed(5, "heavy")
    text = Result(5, "heavy", "1: broken", result.timeline).story
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text), text
    assert "(runId)" not in text
    assert text.startswith("seed 5 (heavy): 1: broken\n")
    assert text.endswith("seed 5 (heavy): 1: broken")
