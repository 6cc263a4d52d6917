"""`dev.py simulate`: which days it plays, what it shows of them, and how it ends."""

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

from dev import cli, simulate
from dev.simulate import Plan, day, lean_day, many, one
from dev.tally import FAULTS, Tally
from tests.simulation.run import Result
from tests.simulation.scenario import Level

Counts = dict[str, int]
PLAN = Plan(range(10, 14), None, 2)


def result(seed: int, violation: str | None = None, level: Level = "light", counts: Counts | None = None) -> Result:
    line = "    0:00:01  somebody asks [for] a refresh"
    return Result(seed, level, violation, [line], Counter(counts or {}), 0.5)


def plan(*arguments: str) -> Plan:
    return Plan.of(cli.parse(["simulate", *arguments]))


def shown(act: Callable[[Console], int], width: int = 80, terminal: bool = False) -> tuple[int, str]:
    """The exit code, and what a person sees."""
    where = Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, record=True)
    code = act(where)
    # of a bar that is drawn again and again, what it shows in the end
    return code, where.export_text().replace("left━", "left\n━")


def interrupted() -> Iterator[Result]:
    yield result(10, counts={"episode_lost": 2})
    raise KeyboardInterrupt


def test_the_command_line_says_what_to_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default a thousand days on all cores; no more processes than days."""
    monkeypatch.setattr(simulate, "cores", lambda: 6)
    assert plan() == Plan(range(1000), None, 6)
    assert plan("--seeds", "20", "--from", "5", "--jobs", "3") == Plan(range(5, 25), None, 3)
    assert plan("--seeds", "2", "--faults", "heavy") == Plan(range(2), "heavy", 2)
    assert plan("--seed", "46") == Plan(range(46, 47), None, 1)
    assert plan("--seed", "0", "--faults", "none") == Plan(range(1), "none", 1)
    assert get_args(Level) == cli.FAULT_LEVELS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0"], "--seeds: '0' is not a whole number from 1 on"),
        (["--seeds", "many"], "--seeds: 'many' is not a whole number from 1 on"),
        (["--from", "-1"], "--from: '-1' is not a whole number from 0 on"),
        (["--jobs", "1.5"], "--jobs: '1.5' is not a whole number from 1 on"),
        (["--seed", "³"], "--seed: '³' is not a whole number from 0 on"),
        (["--faults", "some"], "invalid choice: 'some'"),
        (["--seed", "1", "--seeds", "2"], "--seed for one day, or --seeds, --from and --jobs for many"),
        (["--seed", "1", "--from", "0"], "--seed for one day, or --seeds, --from and --jobs for many"),
        (["46"], "simulate does not know 46"),
        (["--", "x"], "simulate takes nothing after --"),
    ],
)
def test_what_cannot_be_played_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2 and a sentence that names it."""
    with pytest.raises(SystemExit) as ended:
        cli.parse(["simulate", *arguments])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_days_without_a_violation_end_with_0() -> None:
    """And with the table, the speed, and what never happened."""
    first = result(10, counts={"wake_lost": 3, "requests": 1200})
    second = result(11, counts={"wake_lost": 1, "told Completed": 2})
    days = [first, None, second]
    clock = iter(range(100)).__next__
    code, text = shown(lambda where: many(where, PLAN, days, lambda: float(clock())))
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert any(line.startswith("wake lost 4 2 ") for line in lines)
    assert any(line.endswith("requests 1,200 1") for line in lines)
    never = next(line for line in lines if line.startswith("Never happened: "))
    assert "told OutcomeUnknown" in never
    assert "crashes" in never
    assert not {"wake lost", "requests", "told Completed"} & set(never.removeprefix("Never happened: ").split(", "))
    assert any(line.startswith("2 of the seeds 10 to 13 in ") for line in lines)
    assert lines[-1] == "All invariants held in 2 days."


@pytest.mark.parametrize("level", [None, "light"])
def test_the_smallest_seed_that_fails_is_told(level: Level | None) -> None:
    """Its story, and the command that plays it again; the seed's own choice of a level is no level of the command."""
    days = [result(12, "6: late"), result(11, "3: two at once", "heavy"), result(10)]
    code, text = shown(lambda where: many(where, Plan(range(10, 14), level, 2), days))
    assert code == 1
    assert "seed 11 (heavy): 3: two at once\n    0:00:01  somebody asks [for] a refresh\n" in text
    assert "6: late" not in text
    command = "python3 dev.py simulate --seed 11" + (f" --faults {level}" if level else "")
    assert text.splitlines()[-1] == f"Its whole timeline: {command}"


def test_ctrl_c_shows_what_was_done_so_far() -> None:
    """With the exit code of an interrupted program."""
    code, text = shown(lambda where: many(where, PLAN, interrupted()))
    assert code == 130
    assert "episode lost" in text
    assert text.splitlines()[-1] == "Interrupted. None of the 1 seeds so far failed."
    _, text = shown(lambda where: many(where, PLAN, islice(interrupted(), 1, None)))
    assert "None of the 0 seeds" in text


def test_a_process_that_dies_is_no_success() -> None:
    """The days that it played are missing."""

    def dying() -> Iterator[Result]:
        yield result(10)
        raise simulate.Lost("it died")

    code, text = shown(lambda where: many(where, PLAN, dying()))
    assert code == 1
    assert "it died" in text
    assert "All invariants held" not in text


def test_a_log_gets_a_line_every_ten_seconds() -> None:
    """Also while no day ends."""
    clock = iter([0.0, 0.0, 0.0, 4.0, 10.0, 14.0, 21.0, 25.0, 25.0]).__next__
    days = [result(10), result(11), None, None, result(12)]
    _, text = shown(lambda where: many(where, PLAN, days, clock))
    assert [line for line in text.splitlines() if line.endswith(" left")] == [
        "2 of 4 seeds, 0.2 a second, about 10 s left",
        "2 of 4 seeds, 0.1 a second, about 21 s left",
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_everything_fits_on_a_terminal(width: int) -> None:
    """No line is longer, no word is cut, also with the counts of a long night."""
    counts = dict.fromkeys([*FAULTS, "told Completed", "requests"], 20_000)
    days = [result(seed, counts=counts) for seed in PLAN.seeds]
    _, text = shown(lambda where: many(where, PLAN, days), width, terminal=True)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "4/4 seeds" in text


def test_days_without_faults_show_no_faults() -> None:
    """Nobody misses what cannot happen."""
    _, text = shown(
        lambda where: many(where, Plan(range(1), "none", 1), [result(0, level="none", counts={"posts": 1})])
    )
    assert "wake lost" not in text
    assert "told Terminated" not in text
    assert "Never happened: told Completed" in text


def test_one_seed_shows_its_whole_timeline() -> None:
    """What happened in it, and the broken sentence at the end."""

    def good(seed: int, level: Level | None) -> Result:
        return result(seed, counts={"posts": 2, "wake_lost": 0})

    code, text = shown(lambda where: one(where, PLAN, good))
    assert code == 0
    assert text.splitlines() == [
        "    0:00:01  somebody asks [for] a refresh",
        "",
        "What happened: posts 2.",
        "seed 10 (light): all invariants hold",
    ]
    code, text = shown(lambda where: one(where, PLAN, lambda seed, level: result(seed, "4: twice")))
    assert code == 1
    assert text.splitlines()[-1] == "seed 10 (light): 4: twice"


def test_an_error_of_the_app_is_a_violation() -> None:
    """With its traceback in place of the timeline."""

    def broken(seed: int, level: Level | None) -> Result:
        raise ZeroDivisionError("a mistake")

    found = day(3, "heavy", broken)
    assert (found.seed, found.level, found.violation) == (3, "heavy", "ZeroDivisionError: a mistake")
    assert 'raise ZeroDivisionError("a mistake")' in found.story


def test_only_days_that_fail_send_their_timeline() -> None:
    """The numbers of the others are enough."""
    good = lean_day(3, None, lambda seed, level: result(seed, counts={"posts": 2}))
    assert (good.timeline, good.counts["posts"]) == ([], 2)
    assert lean_day(3, None, lambda seed, level: result(seed, "4: twice")).timeline


def test_no_day_is_begun_after_one_failed() -> None:
    """Those that had begun before it are waited for: one of them may be the smallest that fails."""
    begun = []

    def begin(seed: int) -> Future[Result]:
        begun.append(seed)
        future: Future[Result] = Future()
        future.set_result(result(seed, "4: twice" if seed == 21 else None))
        return future

    ended = [found.seed for found in simulate._in_turn(Plan(range(20, 90), None, 2), begin) if found]
    assert sorted(ended) == sorted(begun) == [20, 21, 22, 23]


def test_days_are_played_by_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real days, all of them, in which the settings of a person have no say."""
    monkeypatch.setenv("POLL_MIN_SECONDS", "nonsense")
    monkeypatch.setenv("ALLOWED_WORKSPACES", "nonsense")
    found = [played for played in simulate.played(Plan(range(100, 103), "none", 2)) if played]
    assert sorted(played.seed for played in found) == [100, 101, 102]
    assert [played.violation for played in found] == [None, None, None]
    assert os.environ["POLL_MIN_SECONDS"] == "nonsense"


def test_what_the_world_counts_under_a_new_name_is_shown() -> None:
    """Nothing that is counted stays hidden."""
    tally = Tally()
    tally.add(result(0, counts={"gremlins": 1, "told Nothing": 1}))
    assert tally.faults()[-1] == "gremlins"
    assert tally.endings()[-1] == "told Nothing"
