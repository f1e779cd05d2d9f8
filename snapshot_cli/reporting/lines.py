"""Building blocks of error figures: lines of means with single seeds behind them, the paper's values, and headings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from snapshot_cli.analysis.outcomes import Outcome, count_range, paper_value
from snapshot_cli.analysis.paper import PaperValue
from snapshot_cli.reporting import style
from snapshot_cli.reporting.style import DASHED, PALE, Heading, LineEnd, Look
from snapshot_cli.reporting.table import bullets, signed
from snapshot_cli.reporting.terminal import SPLITS

SEEDS = "Small points are single seeds, lines their mean."
PAPER = "the paper's"
SPAN = 1.0
"""The minimum span of an error axis in points, so that small differences look small."""
HOLLOW: dict[str, Any] = {
    "markerfacecolor": "none",
    "markeredgecolor": PALE,
    "markeredgewidth": 0.9,
    "markersize": 5.5,
}
STATUS = {"rerun": "rerun by the authors", "copied": "copied from earlier work", "figure": "read off a figure"}


def heading(outcomes: Sequence[Outcome], *, method: str = "", detail: str = "") -> Heading:
    """Return the heading of a panel of experiments on one network and dataset, with their seeds and split."""
    facts = (count_seeds(outcomes), SPLITS[outcomes[0].split])
    return Heading(outcomes[0].network, outcomes[0].dataset, method, detail, facts)


def count_seeds(outcomes: Sequence[Outcome]) -> str:
    """Return the finished replicates in words: "5 seeds", or "1 to 4 of 5 seeds" where experiments differ."""
    if len({outcome.seeds for outcome in outcomes}) == 1:
        return outcomes[0].seeds
    finished = count_range([len(outcome.scores) for outcome in outcomes])
    planned = {outcome.experiment.replicates for outcome in outcomes}
    return f"{finished}{f' of {planned.pop()}' if len(planned) == 1 else ''} seeds"


def label_lines(parts: Sequence[Sequence[Outcome]]) -> list[list[str]]:
    """Return the label of every line of every panel; a single panel adds the number of seeds if experiments differ."""
    if len(parts) > 1 or len({outcome.seeds for outcome in parts[0]}) == 1:
        return [[outcome.label for outcome in part] for part in parts]
    return [[f"{outcome.label}, {outcome.seeds}" for outcome in part] for part in parts]


def seeds_note(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a note that explains the points of single seeds, if the figure has any."""
    return [SEEDS] if any(len(outcome.scores) > 1 for outcome in outcomes) else []


def small_multiples(
    parts: Sequence[Sequence[Outcome]],
    labels: Sequence[Sequence[str]],
    draw: Callable[..., list[LineEnd]],
    *,
    x: str,
    headings: Sequence[Heading] | None = None,
    paper: bool = False,
    columns: int = 3,
    heights: Sequence[float] = (style.HEIGHT,),
    width: float | None = None,
) -> Figure:
    """Return an error figure with one panel per part; `draw` draws a panel from its axes, experiments and line labels.

    Errors are in the lowest axes of a panel. A single panel names lines at their ends; several panels share a legend
    below. Panels of one dataset share y. Columns, heights and width as in `style.panels`.
    """
    is_single = len(parts) == 1
    legend = [] if is_single else list(dict.fromkeys(label for part in labels for label in part))
    figure, drawn = style.panels(
        headings or [heading(part) for part in parts],
        columns=columns,
        heights=heights,
        width=width,
        names=labels[0] if is_single else None,
        legend=[*legend, *([PAPER] if paper else [])],
    )
    ends = [draw(*panel, part, names) for panel, part, names in zip(drawn, parts, labels, strict=True)]
    lowest = [panel[-1] for panel in drawn]
    share_y(lowest, parts)
    for axes in lowest:
        axes.set(xlabel=x, ylabel="Error (%)")
    style.keep_outer_labels(drawn)
    if is_single:
        style.name_ends(lowest[0], ends[0])
    handles = {} if is_single else legend_handles(lowest)
    style.legend_below(figure, handles | (paper_handle() if paper else {}))
    return figure


def share_y(drawn: Sequence[Axes], parts: Sequence[Sequence[Outcome]]) -> None:
    """Give all panels of a dataset the same y range."""
    datasets = [part[0].experiment.dataset for part in parts]
    for name in dict.fromkeys(datasets):
        style.share_y([axes for axes, dataset in zip(drawn, datasets, strict=True) if dataset == name], min_span=SPAN)


def draw_line(
    axes: Axes, label: str, look: Look, x: Sequence[float], values: Sequence[Sequence[float]], *, shift: float = 0
) -> LineEnd:
    """Draw the means over replicates of values (replicates, points) like `draw_means`."""
    return draw_means(axes, label, look, dict(zip(x, zip(*values, strict=True), strict=True)), shift=shift)


def draw_means(
    axes: Axes, label: str, look: Look, points: Mapping[float, Sequence[float]], *, shift: float = 0
) -> LineEnd:
    """Draw the mean over replicates at every x as a line with markers, and return its end.

    With several replicates, also draws them as small pale points, moved by `shift` along x.
    """
    averages = [fmean(values) for values in points.values()]
    marker: dict[str, Any] = {"markeredgewidth": 0.4, "markeredgecolor": "white"}
    if look.is_hollow:
        marker = {"markeredgewidth": 1, "markerfacecolor": "white", "linestyle": (0, (1, 1.2)), "linewidth": 1.1}
    axes.plot(
        list(points), averages, color=look.colour, marker=look.marker, label=label, clip_on=False, zorder=3, **marker
    )  # fmt: skip
    single = [(x + shift, value) for x, values in points.items() if len(values) > 1 for value in values]
    if single:
        axes.plot(
            *zip(*single, strict=True), color=look.colour, alpha=0.45, linestyle="none", marker=look.marker,
            markersize=2.2, markeredgewidth=0, label=f"_{label}: seeds", clip_on=False, zorder=2.5,
        )  # fmt: skip
    return LineEnd(label, look, list(points)[-1], averages[-1])


def draw_level(axes: Axes, label: str, look: Look, level: float) -> LineEnd:
    """Draw a dashed horizontal line across the axes, and return its end at the right limit of the axes."""
    axes.axhline(level, color=look.colour, linestyle=DASHED, linewidth=1.1, label=label, zorder=1.5)
    return LineEnd(label, look, axes.get_xlim()[1], level)


def shifts(count: int, step: float) -> list[float]:
    """Return a horizontal shift for every line, so that the points of different lines do not overlap."""
    return [(index - (count - 1) / 2) * step for index in range(count)]


def legend_handles(drawn: Iterable[Axes]) -> dict[str, Artist]:
    """Return the labelled lines of all axes by label; a label that occurs twice keeps its first line."""
    lines: dict[str, Artist] = {}
    for axes in drawn:
        for line in axes.get_lines():
            label = str(line.get_label())
            if not label.startswith("_"):
                lines.setdefault(label, line)
    return lines


def draw_paper(axes: Axes, values: Mapping[float, tuple[float, float | None]], look: Look) -> None:
    """Draw the paper's values as hollow grey markers with error bars for values that were read off a figure.

    `values` has (value, uncertainty) by x; the uncertainty is None for printed values.
    """
    if not values:
        return
    heights = [value for value, _ in values.values()]
    bars = [uncertainty or float("nan") for _, uncertainty in values.values()]
    axes.errorbar(
        list(values), heights, yerr=bars, linestyle="none", marker=look.marker, ecolor=PALE, elinewidth=0.8,
        label="_paper", clip_on=False, zorder=3.2, **HOLLOW,
    )  # fmt: skip


def paper_handle() -> dict[str, Artist]:
    """Return the legend entry of the paper's values."""
    return {PAPER: Line2D([], [], linestyle="none", marker="o", **HOLLOW)}


def with_uncertainty(value: PaperValue) -> tuple[float, float | None]:
    """Return a value of the paper and its uncertainty, as `draw_paper` takes it."""
    return value.value, value.uncertainty


def compare_with_paper(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a note with the errors of full ensembles next to the paper's; empty if the paper has none of them."""
    lines = []
    for outcome in outcomes:
        value = paper_value(outcome)
        if value and outcome.scores:
            difference = signed(outcome.error - value.value)
            paper = f"the paper's {value.value:.2f} ({STATUS[value.status]}), difference {difference}"
            lines.append(f"{outcome.group}, {outcome.label}: {outcome.error:.2f}, {paper}")
    return [bullets("Error (%) beside the paper's:", lines)] if lines else []


def format_percents(values: Sequence[float]) -> str:
    """Return errors as text: 33.25, 31.20 %."""
    return ", ".join(f"{value:.2f}" for value in values) + " %"
