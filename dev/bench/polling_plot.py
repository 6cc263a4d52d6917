"""The plot of `dev.py bench polling`: calls against delay, one panel for each duration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.bench.polling_results import (
    DURATIONS,
    FIXED,
    MAX_CALLS,
    WITH_HISTORY,
    WITHOUT_HISTORY,
    Measured,
    max_delay,
    seconds_text,
)
from refresh.polling.schedule import quantile

INK, GREY, TARGET = "#1f2933", "#8a94a0", "#e3f2e6"
COLOURS = {WITH_HISTORY.name: "#1a7f37", WITHOUT_HISTORY.name: "#1f6feb"}
LEFT, RIGHT, LOW, HIGH = 1.2, 60_000, 0.4, 1_500
"""The ranges of the axes of all panels: the calls, and the delay in seconds."""
TICKS = {1: "1 s", 5: "5 s", 10: "10 s", 60: "1 min", 300: "5 min", 1_200: "20 min"}


def draw(found: Sequence[Measured], output: Path) -> None:
    """Writes the PNG."""
    # imported here, because the import takes a second, and --help and wrong arguments should be answered at once
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": GREY, "text.color": INK})
    figure, panels = plt.subplots(2, 2, figsize=(10.5, 7.4), layout="constrained", sharex=True, sharey=True)
    for panel, duration in zip(panels.flat, DURATIONS, strict=True):
        _panel(panel, duration, [cell for cell in found if cell.duration == duration])
    figure.suptitle("Few calls and a timely outcome", fontsize=13, x=0.012, ha="left", weight="bold")
    names = {WITH_HISTORY: "poll schedule, with history", WITHOUT_HISTORY: "poll schedule, without history"}
    marks = [Line2D([], [], marker="o", linestyle="", color=COLOURS[way.name], label=names[way]) for way in names]
    marks.append(Line2D([], [], marker="o", markersize=4, color=GREY, label="fixed pace"))
    figure.legend(handles=marks, loc="upper right", ncols=3, frameon=False, fontsize=9)
    figure.supxlabel("calls to Power BI from the POST to the outcome (95th percentile)", fontsize=9)
    figure.supylabel("delay of the outcome (95th percentile)", fontsize=9)
    figure.savefig(output, dpi=150)
    plt.close(figure)


def _panel(panel: Any, duration: str, cells: Sequence[Measured]) -> None:
    from matplotlib.patches import Rectangle

    points = {cell.way.name: (quantile(cell.calls, 0.95), quantile(cell.delays, 0.95)) for cell in cells}
    limit = max_delay(DURATIONS[duration])
    panel.set(xscale="log", yscale="log", xlim=(LEFT, RIGHT), ylim=(LOW, HIGH))
    panel.add_patch(Rectangle((LEFT, LOW), MAX_CALLS - LEFT, limit - LOW, color=TARGET, zorder=0, linewidth=0))
    target = f"target: {MAX_CALLS} calls, {seconds_text(limit)}"
    panel.text(LEFT * 1.15, LOW * 1.25, target, color="#4a7a55", fontsize=8)
    panel.plot(*zip(*(points[way.name] for way in FIXED), strict=True), color=GREY, linewidth=1, zorder=1)
    for way in FIXED:
        panel.scatter(*points[way.name], s=26, color=GREY, zorder=2, edgecolors="white", linewidths=0.8)
        style = {"textcoords": "offset points", "color": "#5c6670", "fontsize": 7.5, "zorder": 3}
        panel.annotate(way.name, points[way.name], xytext=(7, 4), **style)
    for way in (WITHOUT_HISTORY, WITH_HISTORY):
        panel.scatter(*points[way.name], s=80, color=COLOURS[way.name], zorder=4, edgecolors="white", linewidths=1)
    panel.set_title(f"refresh of {duration}", loc="left", fontsize=10)
    panel.grid(True, which="major", color="#eef0f2", zorder=0)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(which="both", color=GREY, labelcolor="#5c6670")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.set_yticks(list(TICKS), labels=list(TICKS.values()))
    panel.minorticks_off()
