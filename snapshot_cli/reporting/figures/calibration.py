"""Draw reliability diagrams: accuracy against confidence and the images per bin, with a panel per method."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from snapshot_cli.analysis.outcomes import Outcome, count_cells
from snapshot_cli.reporting import lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, split
from snapshot_cli.reporting.style import Heading, look

PER = ("network", "dataset")
NEEDS = "a finished experiment"
FEW = 10
"""Bins with fewer images per seed are drawn faint."""
POOLED = "Bins pool the images of all seeds; the ECE is the mean over seeds."
GAP: dict[str, Any] = {"facecolor": (0.7, 0.15, 0.12, 0.12), "edgecolor": "#b3261e", "linewidth": 0.7}
DIAGONAL: dict[str, Any] = {"color": "#777777", "linestyle": (0, (3, 2)), "linewidth": 0.8}


@dataclass(frozen=True)
class _Bin:
    """A non-empty bin of equal width: its index from 0, its fraction of the images, and their mean values."""

    index: int
    fraction: float
    confidence: float
    accuracy: float
    is_faint: bool


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw one figure per network and dataset, with one reliability diagram per experiment; seeds are pooled."""
    drawn: list[Drawn] = []
    for part, part_request in split([outcome for outcome in outcomes if outcome.scores], request, *PER):
        caption = (
            f"{part[0].group}: accuracy against confidence in {_count_bins(part[0])} bins. Below the diagonal is "
            f"overconfident. Bins of fewer than {FEW} images are faint."
        )
        words = ", ".join(f"{outcome.label}: ECE {_ece(outcome):.2f} %" for outcome in part)
        notes = [POOLED] if any(len(outcome.scores) > 1 for outcome in part) else []
        drawn.append(
            Picture(
                part_request,
                caption,
                partial(_figure, part),
                f"{part[0].group}: {words}",
                count_cells(part),
                notes,
            )
        )
    return drawn


def _ece(outcome: Outcome) -> float:
    """Return the mean over seeds of the expected calibration error, in percent."""
    return 100 * fmean([scores.ensemble.ece for scores in outcome.finished])


def _count_bins(outcome: Outcome) -> int:
    return len(outcome.finished[0].ensemble.reliability.count)


def _bins(outcome: Outcome) -> list[_Bin]:
    """Return the bins of an experiment over all seeds."""
    tables = [scores.ensemble.reliability for scores in outcome.finished]
    images = sum(sum(table.count) for table in tables)
    bins = []
    for index in range(_count_bins(outcome)):
        columns = [(table.count[index], table.confidence[index], table.accuracy[index]) for table in tables]
        rows = [column for column in columns if column[0]]
        count = sum(row[0] for row in rows)
        if count:
            confidence, accuracy = (sum(row[0] * row[k] for row in rows) / count for k in (1, 2))
            bins.append(_Bin(index, count / images, confidence, accuracy, count < FEW * len(tables)))
    return bins


def _figure(outcomes: Sequence[Outcome]) -> Figure:
    handles = _handles()
    figure, drawn = style.panels([_heading(outcome) for outcome in outcomes], heights=(1.5, 0.42), legend=list(handles))
    bins = [_bins(outcome) for outcome in outcomes]
    top = math.ceil(10 * max(bin_.fraction for part in bins for bin_ in part)) / 10
    for outcome, part, (above, below) in zip(outcomes, bins, drawn, strict=True):
        width = 1 / _count_bins(outcome)
        _draw_reliability(above, part, width, look(outcome.experiment).colour)
        _draw_histogram(below, part, width, top)
    style.keep_outer_labels(drawn)
    style.legend_below(figure, handles)
    return figure


def _heading(outcome: Outcome) -> Heading:
    heading = lines.heading([outcome], method=outcome.label)
    return heading._replace(facts=(f"ECE {_ece(outcome):.2f} %", *heading.facts))


def _draw_reliability(axes: Axes, bins: Sequence[_Bin], width: float, colour: str) -> None:
    for is_faint in (False, True):
        part = [bin_ for bin_ in bins if bin_.is_faint == is_faint]
        filled = {"facecolor": colour, "linewidth": 0, "alpha": 0.2 if is_faint else 0.75}
        outlined = GAP | ({"edgecolor": "#e0a8a5"} if is_faint else {})
        name = " of few images" if is_faint else ""
        accuracies = [(bin_.index, 0, bin_.accuracy) for bin_ in part]
        _draw_bars(axes, accuracies, width, label=f"accuracy{name}", **filled)
        gaps = [(bin_.index, bin_.accuracy, bin_.confidence) for bin_ in part]
        _draw_bars(axes, gaps, width, label=f"gap{name}", **outlined)
    axes.plot([0, 1], [0, 1], label="perfect", **DIAGONAL)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_ylabel("Accuracy")


def _draw_histogram(axes: Axes, bins: Sequence[_Bin], width: float, top: float) -> None:
    percentages = [(bin_.index, 0, 100 * bin_.fraction) for bin_ in bins]
    _draw_bars(axes, percentages, width, label="images", facecolor="#9a9a9a", edgecolor="white", linewidth=0.4)
    axes.set_ylim(0, 100 * top)
    axes.set_yticks([0, round(100 * top)])
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("Confidence")
    axes.set_ylabel("Images (%)")


def _draw_bars(axes: Axes, bars: Sequence[tuple[int, float, float]], width: float, **settings: Any) -> None:
    """Draw bars (index, bottom, top) as a single artist: ten times faster than one artist per bar."""
    corners = [
        [(index * width, low), (index * width, high), ((index + 1) * width, high), ((index + 1) * width, low)]
        for index, low, high in bars
    ]
    if corners:
        axes.add_collection(PolyCollection(corners, **settings), autolim=False)


def _handles() -> dict[str, Artist]:
    """Return the legend entries, which all panels share."""
    return {
        "accuracy": Patch(facecolor="#bbbbbb"),
        "gap to the mean confidence": Patch(**GAP),
        "accuracy = confidence": Line2D([], [], **DIAGONAL),
    }
