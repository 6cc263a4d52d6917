"""The plot of `dev.py bench polling`: calls against lateness, one panel for each duration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from devtools.bench_polling import DURATIONS, FIXED, MOST_CALLS, WITH, WITHOUT, Measured, most_late, of, seconds

INK, QUIET, TARGET = "#1f2933", "#8a94a0", "#e3f2e6"
COLOURS = {WITH.name: "#1a7f37", WITHOUT.name: "#1f6feb"}


def draw(found: Sequence[Measured], output: Path) -> None:
    """Writes the PNG."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": QUIET, "text.color": INK})
    figure, panels = plt.subplots(1, len(DURATIONS), figsize=(14, 4.4), layout="constrained")
    for panel, duration in zip(panels, DURATIONS, strict=True):
        _panel(panel, duration, [cell for cell in found if cell.duration == duration])
    panels[0].set_ylabel("verdict after the end, 95th percentile")
    figure.supxlabel("calls to Power BI from the POST to the verdict, 95th percentile", fontsize=9)
    figure.suptitle(
        "Few calls and a verdict in time: the poll plan against a fixed pace",
        fontsize=12,
        x=0.01,
        ha="left",
        weight="bold",
    )
    figure.savefig(output, dpi=150)
    plt.close(figure)


def _panel(panel: Any, duration: str, cells: Sequence[Measured]) -> None:
    points = {cell.plan.name: (of(cell.calls, 0.95), of(cell.lags, 0.95)) for cell in cells}
    panel.set_xscale("log")
    panel.set_yscale("log")
    calls, lags = zip(*points.values(), strict=True)
    left, right = 0.6 * min(calls), max(3.2 * max(calls), 2 * MOST_CALLS)
    low, high = 0.5 * min(lags), 2.2 * max(*lags, most_late(DURATIONS[duration]))
    panel.set_xlim(left, right)
    panel.set_ylim(low, high)
    late = most_late(DURATIONS[duration])
    panel.add_patch(Rectangle((left, low), MOST_CALLS - left, late - low, color=TARGET, zorder=0, linewidth=0))
    panel.text(left * 1.1, low * 1.12, "target", color="#4a7a55", va="bottom", fontsize=8)
    fixed = [points[plan.name] for plan in FIXED]
    panel.plot(*zip(*fixed, strict=True), color=QUIET, linewidth=1, zorder=1)
    for name, (x, y) in points.items():
        colour = COLOURS.get(name, QUIET)
        planned = name in COLOURS
        panel.scatter(x, y, s=70 if planned else 28, color=colour, zorder=3, edgecolors="white", linewidths=0.8)
        label = {WITH.name: "plan, with history", WITHOUT.name: "plan, without"}.get(name, name)
        panel.annotate(
            label,
            (x, y),
            xytext=(7, 4 if planned else -9),
            textcoords="offset points",
            color=colour if planned else "#5c6670",
            fontsize=8.5 if planned else 7.5,
            weight="bold" if name == WITH.name else "normal",
        )
    panel.set_title(f"refresh of {duration}", loc="left", fontsize=10)
    panel.grid(True, which="major", color="#eef0f2", zorder=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(which="both", color=QUIET, labelcolor="#5c6670")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else "")
    panel.yaxis.set_major_formatter(lambda value, _: seconds(value).replace(".0 s", " s"))
    panel.xaxis.set_minor_formatter(lambda value, _: "")
    panel.yaxis.set_minor_formatter(lambda value, _: "")
