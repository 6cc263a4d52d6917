"""`dev.py bench polling` measures the app's own code, and the poll schedule meets its target."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from dev.bench import polling
from dev.bench.polling import FAILURE_POINTS
from dev.bench.polling_plot import draw
from dev.bench.polling_results import (
    DURATIONS,
    FIXED,
    MAX_CALLS,
    WAYS,
    WITH_HISTORY,
    WITHOUT_HISTORY,
    Measured,
    max_delay,
    measure,
    one_by_one,
)
from dev.bench.polling_run import EARLIER, Followed, duration, follow
from refresh.polling.limits import Limits


@pytest.mark.parametrize("usual", DURATIONS.values())
def test_the_app_follows_a_known_refresh_with_few_calls(usual: float) -> None:
    """Activities, client and state machine together need few calls. The target itself is tested with the schedule
    alone.

    For a refresh of six hours, the app also has to find out which enhanced refreshes are comparable.
    """
    found = one_by_one(partial(follow, usual=usual, limits=Limits(), earlier=EARLIER), 12)
    assert all(one.calls <= 40 and one.delay >= 0 for one in found)
    good = [one for one in found if one.calls <= MAX_CALLS and one.delay <= max_delay(usual) + 0.3]
    assert len(good) >= 8


def test_history_saves_calls_and_a_fixed_pace_is_kept() -> None:
    """With a history, the app needs fewer calls than without one. With a fixed pace, the number of calls is that of the
    pace."""
    of = {
        way.name: follow(3, 3_600, way.limits, earlier=way.earlier)
        for way in (WITH_HISTORY, WITHOUT_HISTORY, *FIXED[1:])
    }
    assert of[WITH_HISTORY.name].calls < 35 < 60 < of[WITHOUT_HISTORY.name].calls
    for way in FIXED[1:]:
        assert of[way.name].calls == pytest.approx(3_600 / way.limits.poll_min, rel=0.2)
        assert of[way.name].delay <= way.limits.poll_min + 0.5


def test_a_seed_measures_the_same_again() -> None:
    """The same seed gives the same results, a different seed different ones."""
    once = follow(1, 300, Limits(), earlier=EARLIER)
    assert once == follow(1, 300, Limits(), earlier=EARLIER)
    assert once != follow(2, 300, Limits(), earlier=EARLIER)


@pytest.mark.parametrize("part", FAILURE_POINTS)
def test_an_early_failure_is_noticed_within_reason(part: float) -> None:
    """A failure is noticed within 2.5 times its duration (plus the delay of the history) and within a sixth of the
    usual time."""
    late = follow(1, 3_600, Limits(), earlier=EARLIER, part=part).delay
    assert late <= min(2.5 * part * 3_600 + 20, 3_600 / 6 + 6)


def test_durations_differ_as_the_caption_says() -> None:
    """Durations differ by at most 15 %, except for one refresh in thirty, which takes longer."""
    chance = random.Random(1)  # noqa: S311
    found = [duration(chance, 1_000) for _ in range(6_000)]
    assert min(found) >= 850
    assert 6_000 / 40 < sum(seconds > 1_150 for seconds in found) < 6_000 / 20


def test_table_and_plot_show_every_way(tmp_path: Path) -> None:
    """The table shows which rows meet the target."""
    good = [Measured(duration, way, [9], [1.0]) for duration in DURATIONS for way in WAYS]
    bad = [Measured(duration, way, [31], [1.0]) for duration in DURATIONS for way in WAYS]
    for cells, met in ((good, 24), (bad, 0)):
        console = Console(width=120, record=True)
        console.print(polling.results_table(cells))
        text = console.export_text()
        assert text.count(" met ") == met
        assert all(text.count(way.name) == len(DURATIONS) for way in WAYS)
    draw(good, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("calls", "delay", "on_target"), [(30, 72.0, True), (31, 1.0, False), (5, 72.1, False), (1, 0.1, True)]
)
def test_the_target_is_calls_and_delay(calls: int, delay: float, on_target: bool) -> None:
    """A row is on target only if both limits are met."""
    assert Measured("1 h", WITH_HISTORY, [calls] * 20, [delay] * 20).on_target is on_target


def test_expensive_rows_are_measured_less_often() -> None:
    """Rows with many calls are measured with fewer refreshes. With as many as in other rows, the table would take an
    hour."""
    counts: list[int] = []

    def run(_one: object, count: int) -> list[Followed]:
        counts.append(count)
        return [Followed(1, 1.0)] * count

    for way in (FIXED[0], FIXED[1], WITH_HISTORY):
        measure("6 h", way, 200, run)
    assert counts[0] < counts[1] < counts[2] == 200


def test_the_command_measures_prints_and_draws(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints the table and writes the plot. Here it measures only short refreshes."""
    for name in DURATIONS:
        monkeypatch.setitem(DURATIONS, name, 20.0)
    output = tmp_path / "new" / "plot.png"
    code = polling.main(["--refreshes", "2", "--jobs", "1", "--output", str(output)])
    output_text = capsys.readouterr().out
    table = output_text.split("Calls to Power BI")[1].split("Delay of an early failure")[0]
    scheduled = [line for line in table.splitlines() if WITH_HISTORY.name in line]
    assert len(scheduled) == len(DURATIONS)
    assert code == (0 if all(" met " in line for line in scheduled) else 1)
    assert str(output) in output_text.replace("\n", "")
    assert output.exists()


def test_a_plot_is_a_png(capsys: pytest.CaptureFixture[str]) -> None:
    """A file name that does not end with .png is refused before anything is measured."""
    with pytest.raises(SystemExit) as ended:
        polling.main(["--output", "plot.pdf"])
    assert ended.value.code == 2
    assert "--output" in capsys.readouterr().err
