"""What `dev.py bench polling` measures comes from the app's own code, and the poll plan keeps its target."""

from __future__ import annotations

import random
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from dev import bench_polling, cli, servers
from dev.bench_polling import (
    DURATIONS,
    FIXED,
    MOST_CALLS,
    PARTS,
    PLANS,
    WITH,
    WITHOUT,
    Measured,
    measure,
    most_late,
    one_by_one,
)
from dev.polling import EARLIER, Followed, duration, follow
from dev.polling_plot import draw
from refresh.polling.schedule import Limits


@pytest.mark.parametrize("usual", DURATIONS.values())
def test_the_app_follows_a_known_refresh_with_few_calls(usual: float) -> None:
    """The whole of it: activities, client, state machine. The target itself is tested with the plan alone.

    For six hours it also has to find out which enhanced refreshes were alike.
    """
    found = one_by_one(partial(follow, usual=usual, limits=Limits(), earlier=EARLIER), 12)
    assert all(one.calls <= 40 and one.lag >= 0 for one in found)
    good = [one for one in found if one.calls <= MOST_CALLS and one.lag <= most_late(usual) + 0.3]
    assert len(good) >= 8


def test_history_saves_calls_and_a_fixed_pace_is_kept() -> None:
    """Otherwise the table would compare nothing."""
    of = {plan.name: follow(3, 3_600, plan.limits, earlier=plan.earlier) for plan in (WITH, WITHOUT, *FIXED[1:])}
    assert of[WITH.name].calls < 35 < 60 < of[WITHOUT.name].calls
    for plan in FIXED[1:]:
        assert of[plan.name].calls == pytest.approx(3_600 / plan.limits.poll_min, rel=0.2)
        assert of[plan.name].lag <= plan.limits.poll_min + 0.5


def test_a_seed_measures_the_same_again() -> None:
    """And another seed something else."""
    once = follow(1, 300, Limits(), earlier=EARLIER)
    assert once == follow(1, 300, Limits(), earlier=EARLIER)
    assert once != follow(2, 300, Limits(), earlier=EARLIER)


@pytest.mark.parametrize("part", PARTS)
def test_an_early_failure_is_noticed_within_reason(part: float) -> None:
    """Within two and a half times as long as it took (or what the history hides), and a sixth of the usual time."""
    late = follow(1, 3_600, Limits(), earlier=EARLIER, part=part).lag
    assert late <= min(2.5 * part * 3_600 + 20, 3_600 / 6 + 6)


def test_durations_differ_as_the_caption_says() -> None:
    """Within 15 %, and one in thirty takes longer."""
    chance = random.Random(1)  # noqa: S311
    found = [duration(chance, 1_000) for _ in range(6_000)]
    assert min(found) >= 850
    assert 6_000 / 40 < sum(seconds > 1_150 for seconds in found) < 6_000 / 20


def test_table_and_plot_show_every_plan(tmp_path: Path) -> None:
    """The table tells which lines keep the target."""
    good = [Measured(duration, plan, [9], [1.0]) for duration in DURATIONS for plan in PLANS]
    bad = [Measured(duration, plan, [31], [1.0]) for duration in DURATIONS for plan in PLANS]
    for cells, met in ((good, 24), (bad, 0)):
        console = Console(width=120, record=True)
        console.print(bench_polling.table(cells))
        text = console.export_text()
        assert text.count(" met ") == met
        assert all(text.count(plan.name) == len(DURATIONS) for plan in PLANS)
    draw(good, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("calls", "lag", "on_target"), [(30, 72.0, True), (31, 1.0, False), (5, 72.1, False), (1, 0.1, True)]
)
def test_the_target_is_calls_and_lateness(calls: int, lag: float, on_target: bool) -> None:
    """Both."""
    assert Measured("1 h", WITH, [calls] * 20, [lag] * 20).on_target is on_target


def test_long_lines_are_measured_less_often() -> None:
    """Or the table would take an hour."""
    counts: list[int] = []

    def run(_one: object, count: int) -> list[Followed]:
        counts.append(count)
        return [Followed(1, 1.0)] * count

    for plan in (FIXED[0], FIXED[1], WITH):
        measure("6 h", plan, 200, run)
    assert counts[0] < counts[1] < counts[2] == 200


def test_the_command_measures_prints_and_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here with short refreshes."""
    for name in DURATIONS:
        monkeypatch.setitem(DURATIONS, name, 20.0)
    output = tmp_path / "new" / "plot.png"
    code = bench_polling.main(["--refreshes", "2", "--jobs", "1", "--output", str(output)])
    said = capsys.readouterr().out
    table = said.split("Calls to Power BI")[1].split("What fails early")[0]
    planned = [line for line in table.splitlines() if WITH.name in line]
    assert len(planned) == len(DURATIONS)
    assert code == (0 if all(" met " in line for line in planned) else 1)
    assert str(output) in said.replace("\n", "")
    assert output.exists()


def test_a_plot_is_a_png(capsys: pytest.CaptureFixture[str]) -> None:
    """Said before an hour of measuring."""
    with pytest.raises(SystemExit) as ended:
        bench_polling.main(["--output", "plot.pdf"])
    assert ended.value.code == 2
    assert "--output" in capsys.readouterr().err


def test_every_benchmark_has_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line offers can be run."""
    started: list[list[str]] = []

    def replaced(command: list[str]) -> int:
        started.append(command)
        return 0

    monkeypatch.setattr(servers, "replace_process", replaced)
    monkeypatch.chdir(Path.cwd())  # put back afterwards
    for what, module in servers.BENCHES.items():
        options = cli.parse(["bench", what, "--x", "1"])
        assert cli.run(options) == 0
        assert started[-1] == [sys.executable, "-m", module, "--x", "1"]
