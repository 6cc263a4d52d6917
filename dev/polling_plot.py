"""The plot of `dev.py bench polling`: calls against lateness, one panel for each duration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from dev.bench_polling import DURATIONS, FIXED, MOST_CALLS, WITH, WITHOUT, Measured, most_late, of, seconds

INK, QUIET, TARGET = "#1f2933", "#8a94a0", "#e3f2e6"
COLOURS = {WITH.name: "#1a7f37", WITHOUT.name: "#1f6feb"}


LEFT, RIGHT, LOW, HIGH = 1.2, 60_000, 0.4, 1_500
"""All panels have the same axes: calls, and seconds."""
TICKS = {1: "1 s", 5: "5 s", 10: "10 s", 60: "1 min", 300: "5 min", 1_200: "20 min"}


def draw(found: Sequence[Measured], output: Path) -> None:
    """Writes the PNG."""
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": QUIET, "text.color": INK})
    figure, panels = plt.subplots(2, 2, figsize=(10.5, 7.4), layout="constrained", sharex=True, sharey=True)
    for panel, duration in zip(panels.flat, DURATIONS, strict=True):
        _panel(panel, duration, [cell for cell in found if cell.duration == duration])
    figure.suptitle("Few calls, and a verdict in time", fontsize=13, x=0.012, ha="left", weight="bold")
    names = {WITH: "poll plan, with history", WITHOUT: "poll plan, without history"}
    marks = [Line2D([], [], marker="o", linestyle="", color=COLOURS[plan.name], label=names[plan]) for plan in names]
    marks.append(Line2D([], [], marker="o", markersize=4, color=QUIET, label="at a fixed pace"))
    figure.legend(handles=marks, loc="upper right", ncols=3, frameon=False, fontsize=9)
    figure.supxlabel("calls to Power BI from the POST to the verdict, in 95 of 100 cases at most", fontsize=9)
    figure.supylabel("how late the verdict is, in 95 of 100 cases at most", fontsize=9)
    figure.savefig(output, dpi=150)
    plt.close(figure)


def _panel(panel: Any, duration: str, cells: Sequence[Measured]) -> None:
    points = {cell.plan.name: (of(cell.calls, 0.95), of(cell.lags, 0.95)) for cell in cells}
    late = most_late(DURATIONS[duration])
    panel.set(xscale="log", yscale="log", xlim=(LEFT, RIGHT), ylim=(LOW, HIGH))
    panel.add_patch(Rectangle((LEFT, LOW), MOST_CALLS - LEFT, late - LOW, color=TARGET, zorder=0, linewidth=0))
    panel.text(LEFT * 1.15, LOW * 1.25, f"target: {MOST_CALLS} calls, {seconds(late)}", color="#4a7a55", fontsize=8)
    panel.plot(*zip(*(points[plan.name] for plan in FIXED), strict=True), color=QUIET, linewidth=1, zorder=1)
    for plan in FIXED:
        panel.scatter(*points[plan.name], s=26, color=QUIET, zorder=2, edgecolors="white", linewidths=0.8)
        style = {"textcoords": "offset points", "color": "#5c6670", "fontsize": 7.5, "zorder": 3}
        panel.annotate(plan.name, points[plan.name], xytext=(7, 4), **style)
    for plan in (WITHOUT, WITH):
        panel.scatter(*points[plan.name], s=80, color=COLOURS[plan.name], zorder=4, edgecolors="white", linewidths=1)
    panel.set_title(f"refresh of {duration}", loc="left", fontsize=10)
    panel.grid(True, which="major", color="#eef0f2", zorder=0)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(which="both", color=QUIET, labelcolor="#5c6670")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.set_yticks(list(TICKS), labels=list(TICKS.values()))
    panel.minorticks_off()
