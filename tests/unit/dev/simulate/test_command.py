"""`dev.py simulate`: the days it plays, its output and its exit code."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import get_args

import pytest
from rich.console import Console

from dev import commands
from dev.simulate import days
from dev.simulate.command import many, one
from dev.simulate.days import Plan, ProcessDied, play_day, play_lean
from dev.simulate.tally import FAULTS, Tally
from tests.simulation.run import Result
from tests.simulation.scenario import Level
from tests.simulation.story import LEGEND

Counts = dict[str, int]
PLAN = Plan(range(10, 14), None, 2)


def result(seed: int, violation: str | None = None, level: Level = "light", counts: Counts | None = None) -> Result:
    line = "    0:00:01  a request [for] a refresh"
    return Result(seed, level, violation, [line], Counter(counts or {}), 0.5)


def plan(*arguments: str) -> Plan:
    return Plan.of(commands.parse(["simulate", *arguments]))


def output_of(act: Callable[[Console], int], width: int = 80, terminal: bool = False) -> tuple[int, str]:
    """The exit code, and the visible output."""
    where = Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, record=True)
    code = act(where)
    # of a progress bar that is redrawn, only the final state
    return code, where.export_text().replace("left━", "left\n━")


def interrupted() -> Iterator[Result]:
    yield result(10, counts={"episode_lost": 2})
    raise KeyboardInterrupt


def test_the_command_line_says_what_to_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, a thousand days are played on all cores. There are never more processes than days."""
    monkeypatch.setattr(days, "cores", lambda: 6)
    assert plan() == Plan(range(1000), None, 6)
    assert plan("--seeds", "20", "--from", "5", "--jobs", "3") == Plan(range(5, 25), None, 3)
    assert plan("--seeds", "2", "--faults", "heavy") == Plan(range(2), "heavy", 2)
    assert plan("--seed", "46") == Plan(range(46, 47), None, 1)
    assert plan("--seed", "0", "--faults", "none") == Plan(range(1), "none", 1)
    assert get_args(Level) == commands.FAULT_LEVELS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0"], "--seeds: '0' is not a whole number of at least 1"),
        (["--seeds", "many"], "--seeds: 'many' is not a whole number of at least 1"),
        (["--from", "-1"], "--from: '-1' is not a whole number of at least 0"),
        (["--jobs", "1.5"], "--jobs: '1.5' is not a whole number of at least 1"),
        (["--seed", "³"], "--seed: '³' is not a whole number of at least 0"),
        (["--faults", "some"], "invalid choice: 'some'"),
        (["--seed", "1", "--seeds", "2"], "--seed (one day) or --seeds, --from and --jobs (many days)"),
        (["--seed", "1", "--from", "0"], "--seed (one day) or --seeds, --from and --jobs (many days)"),
        (["46"], "unknown argument of simulate: 46"),
        (["--", "x"], "simulate takes no arguments after --"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 2, and the message names the argument."""
    with pytest.raises(SystemExit) as ended:
        commands.parse(["simulate", *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_days_without_a_violation_end_with_0() -> None:
    """The output has the counts, the speed, and the events that never occurred."""
    first = result(10, counts={"wake_lost": 3, "requests": 1200})
    second = result(11, counts={"wake_lost": 1, "outcome Completed": 2})
    ended = [first, None, second]
    clock = iter(range(100)).__next__
    code, text = output_of(lambda where: many(where, PLAN, ended, lambda: float(clock())))
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("wake lost 4 2 ") for line in lines)
    assert any(line.endswith("requests 1,200 1") for line in lines)
    never = next(line for line in lines if line.startswith("Never occurred: "))
    assert "OutcomeUnknown" in never
    assert "crashes" in never
    assert not {"wake lost", "requests", "Completed"} & set(never.removeprefix("Never occurred: ").split(", "))
    assert any(line.startswith("2 days of the seeds 10 to 13 in ") for line in lines)
    assert lines[-1] == "No invariant was violated in 2 days."


@pytest.mark.parametrize("level", [None, "light"])
def test_the_smallest_failing_seed_is_shown(level: Level | None) -> None:
    """The output has the timeline of the smallest failing seed and the command that replays it. The command has the
    level only if it was given."""
    ended = [result(12, "6: late"), result(11, "3: two at once", "heavy"), result(10)]
    code, text = output_of(lambda where: many(where, Plan(range(10, 14), level, 2), ended))
    assert code == 1
    assert "seed 11 (heavy): 3: two at once\n    0:00:01  a request [for] a refresh\n" in text
    assert "6: late" not in text
    command = "python3 dev.py simulate --seed 11" + (f" --faults {level}" if level else "")
    assert text.splitlines()[-1] == f"Replay with the whole timeline: {command}"


def test_ctrl_c_shows_what_was_done_so_far() -> None:
    """After Ctrl-C, the output has the counts so far. The exit code is that of an interrupted program."""
    code, text = output_of(lambda where: many(where, PLAN, interrupted()))
    assert code == 130
    assert "episode lost" in text
    assert text.splitlines()[-1] == "Interrupted after 1 day. No day failed."
    _, text = output_of(lambda where: many(where, PLAN, islice(interrupted(), 1, None)))
    assert text.splitlines()[-1] == "Interrupted after 0 days. No day failed."


def test_a_dead_process_is_a_failure() -> None:
    """If a process dies, its days are missing, so the command fails."""

    def dying() -> Iterator[Result]:
        yield result(10)
        raise ProcessDied("it died")

    code, text = output_of(lambda where: many(where, PLAN, dying()))
    assert code == 1
    assert "it died" in text
    assert "No invariant was violated" not in text


def test_a_log_gets_a_line_after_the_first_day_and_every_ten_seconds() -> None:
    """A line is written after ten seconds even if no day has ended."""
    clock = iter([0.0, 0.0, 0.0, 4.0, 10.0, 14.0, 23.0, 25.0, 25.0]).__next__
    ended = [result(10), result(11), None, None, result(12)]
    _, text = output_of(lambda where: many(where, PLAN, ended, clock))
    assert [line for line in text.splitlines() if line.endswith(" left")] == [
        "1 of 4 days, 0.2 per second, about 12 s left",
        "2 of 4 days, 0.1 per second, about 14 s left",
        "3 of 4 days, 0.1 per second, about 8 s left",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_on_a_terminal(width: int) -> None:
    """No line is too long and no cell is cut, even with large counts."""
    counts = dict.fromkeys([*FAULTS, "outcome Completed", "requests"], 20_000)
    ended = [result(seed, counts=counts) for seed in PLAN.seeds]
    _, text = output_of(lambda where: many(where, PLAN, ended), width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "4/4 days" in text


def test_days_without_faults_show_no_faults() -> None:
    """Events that cannot occur are not reported as missing."""
    _, text = output_of(
        lambda where: many(where, Plan(range(1), "none", 1), [result(0, level="none", counts={"posts": 1})])
    )
    assert "wake lost" not in text
    never = next(line for line in text.splitlines() if line.startswith("Never occurred: Completed"))
    assert "Terminated" not in never


def test_one_seed_shows_its_whole_timeline() -> None:
    """The timeline of one seed is followed by the counts. The violated invariant comes last."""

    def good(seed: int, level: Level | None) -> Result:
        return result(seed, counts={"posts": 2, "wake_lost": 0})

    code, text = output_of(lambda where: one(where, PLAN, good))
    assert code == 0
    *legend, blank = text.split("    0:00:01")[0].splitlines()
    assert (" ".join(legend).split(), blank) == (LEGEND.split(), "")
    assert text.splitlines()[len(legend) + 1 :] == [
        "    0:00:01  a request [for] a refresh",
        "",
        "Counts: posts 2.",
        "seed 10 (light): no invariant was violated",
    ]
    code, text = output_of(lambda where: one(where, PLAN, lambda seed, level: result(seed, "4: twice")))
    assert code == 1
    assert text.splitlines()[-1] == "seed 10 (light): 4: twice"


def test_an_error_of_the_app_is_a_violation() -> None:
    """If the app raises an exception, its traceback is shown instead of the timeline."""

    def broken(seed: int, level: Level | None) -> Result:
        raise ZeroDivisionError("a mistake")

    found = play_day(3, "heavy", broken)
    assert (found.seed, found.level, found.violation) == (3, "heavy", "ZeroDivisionError: a mistake")
    assert 'raise ZeroDivisionError("a mistake")' in found.story


def test_only_days_that_fail_send_their_timeline() -> None:
    """Days that do not fail send only their counts."""
    good = play_lean(3, None, lambda seed, level: result(seed, counts={"posts": 2}))
    assert (good.timeline, good.counts["posts"]) == ([], 2)
    assert play_lean(3, None, lambda seed, level: result(seed, "4: twice")).timeline


def test_no_day_is_started_after_one_failed() -> None:
    """Days that have already started are completed: one of them may have a smaller seed and fail, too."""
    started = []

    def start(seed: int) -> Future[Result]:
        started.append(seed)
        future: Future[Result] = Future()
        future.set_result(result(seed, "4: twice" if seed == 21 else None))
        return future

    ended = [found.seed for found in days.in_order(Plan(range(20, 90), None, 2), start) if found]
    assert sorted(ended) == sorted(started) == [20, 21, 22, 23]


def test_days_are_played_by_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The days are real, and app settings of the shell have no effect on them."""
    monkeypatch.setenv("POLL_MIN_SECONDS", "nonsense")
    monkeypatch.setenv("ALLOWED_WORKSPACES", "nonsense")
    found = [played for played in days.in_parallel(Plan(range(100, 102), "none", 2)) if played]
    assert sorted(played.seed for played in found) == [100, 101]
    assert [played.violation for played in found] == [None, None]
    assert os.environ["POLL_MIN_SECONDS"] == "nonsense"


def test_counts_with_an_unknown_name_are_shown() -> None:
    """Counts are shown even if their names are not known as faults or outcomes."""
    tally = Tally()
    tally.add(result(0, counts={"gremlins": 1, "outcome Nothing": 1}))
    assert tally.faults()[-1] == "gremlins"
    assert tally.outcomes()[-1] == "outcome Nothing"
