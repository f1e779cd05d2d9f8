"""What figures of errors share: a line of means with the seeds behind it, the paper's numbers, and headings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snapshot_cli.analysis.paper import PaperValue
from snapshot_cli.reporting import style
from snapshot_cli.reporting.labels import dataset, network
from snapshot_cli.reporting.outcomes import Outcome, mean, paper_value
from snapshot_cli.reporting.style import DASHED, PALE, Heading, LineEnd, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLITS = {"test": "test images", "holdout": "withheld training images"}
SEEDS = "Small points are single seeds, lines their mean."
PAPER = "the paper's"
SPAN = 1.0
"""Points of error that an axis shows at least, so that small differences look small."""
HOLLOW: dict[str, Any] = {
    "markerfacecolor": "none",
    "markeredgecolor": PALE,
    "markeredgewidth": 0.9,
    "markersize": 5.5,
}
STATUS = {"rerun": "rerun by the authors", "copied": "copied from earlier work", "figure": "read off a figure"}


def heading(outcomes: Sequence[Outcome], *, method: str = "", detail: str = "") -> Heading:
    """Return the heading of a panel of experiments on one network and dataset, with their seeds and split."""
    experiment = outcomes[0].experiment
    facts = (seeds(outcomes), SPLITS[outcomes[0].split])
    return Heading(network(experiment.network), dataset(experiment.dataset), method, detail, facts)


def seeds(outcomes: Sequence[Outcome]) -> str:
    """Return the finished replicates in words: "5 seeds", or "1 to 4 of 5 seeds" where experiments differ."""
    if len({outcome.seeds for outcome in outcomes}) == 1:
        return outcomes[0].seeds
    counts = [len(outcome.scores) for outcome in outcomes]
    planned = {outcome.experiment.replicates for outcome in outcomes}
    unfinished = f" of {planned.pop()}" if len(planned) == 1 else ""
    return f"{min(counts)} to {max(counts)}{unfinished} seeds"


def labels(parts: Sequence[Sequence[Outcome]]) -> list[list[str]]:
    """Return what each experiment of each panel is called, in a panel alone with its seeds where these differ."""
    if len(parts) > 1 or len({outcome.seeds for outcome in parts[0]}) == 1:
        return [[outcome.label for outcome in part] for part in parts]
    return [[f"{outcome.label}, {outcome.seeds}" for outcome in part] for part in parts]


def cells(outcomes: Iterable[Outcome]) -> int:
    """Return the number of scored cells of experiments."""
    return sum(len(outcome.scores) for outcome in outcomes)


def seeds_note(outcomes: Iterable[Outcome]) -> list[str]:
    """Return what the small points are, where there are any."""
    return [SEEDS] if any(len(outcome.scores) > 1 for outcome in outcomes) else []


def small_multiples(
    parts: Sequence[Sequence[Outcome]],
    labels: Sequence[Sequence[str]],
    draw: Callable[[Axes, Sequence[Outcome], Sequence[str]], list[LineEnd]],
    *,
    x: str,
    headings: Sequence[Heading] | None = None,
    paper: bool = False,
    columns: int = 3,
    height: float = style.HEIGHT,
) -> Figure:
    """Return a figure of errors with a panel a part, drawn by `draw` from its experiments and the labels of its lines.

    Lines of one panel are named at their ends, those of several in a legend below. Panels of one dataset share y.
    """
    one = len(parts) == 1
    legend = [] if one else list(dict.fromkeys(label for part in labels for label in part))
    with style.style():
        figure, drawn = style.panels(
            headings or [heading(part) for part in parts],
            columns=columns,
            heights=(height,),
            names=labels[0] if one else None,
            legend=[*legend, *([PAPER] if paper else [])],
        )
        ends = [draw(axes, part, names) for (axes,), part, names in zip(drawn, parts, labels, strict=True)]
        share_y([axes for (axes,) in drawn], parts)
        for (axes,) in drawn:
            axes.set_ylabel("Error (%)")
            axes.set_xlabel(x)
        style.outer_labels(drawn)
        if one:
            style.name_ends(drawn[0][0], ends[0])
        explained = {} if one else handles([axes for (axes,) in drawn])
        style.legend_below(figure, explained | (paper_handle() if paper else {}))
    return figure


def share_y(drawn: Sequence[Axes], parts: Sequence[Sequence[Outcome]]) -> None:
    """Give the panels of each dataset one range of y."""
    datasets = [part[0].experiment.dataset for part in parts]
    for name in dict.fromkeys(datasets):
        style.share_y([axes for axes, of in zip(drawn, datasets, strict=True) if of == name], least=SPAN)


def draw_line(
    axes: Axes, label: str, look: Look, x: Sequence[float], values: Sequence[Sequence[float]], *, shift: float = 0
) -> LineEnd:
    """Draw the means of values (replicates, points), as `draw_means` does."""
    return draw_means(axes, label, look, dict(zip(x, zip(*values, strict=True), strict=True)), shift=shift)


def draw_means(
    axes: Axes, label: str, look: Look, points: Mapping[float, Sequence[float]], *, shift: float = 0
) -> LineEnd:
    """Draw the mean of the values of replicates at every x as a line with markers, and return its end.

    Several replicates are small pale points too, moved by `shift` on the x axis.
    """
    middle = [mean(values) for values in points.values()]
    marker: dict[str, Any] = {"markeredgewidth": 0.4, "markeredgecolor": "white"}
    if look.is_hollow:
        marker = {"markeredgewidth": 1, "markerfacecolor": "white", "linestyle": (0, (1, 1.2)), "linewidth": 1.1}
    axes.plot(
        list(points), middle, color=look.colour, marker=look.marker, label=label, clip_on=False, zorder=3, **marker
    )  # fmt: skip
    single = [(x + shift, value) for x, values in points.items() if len(values) > 1 for value in values]
    if single:
        axes.plot(
            *zip(*single, strict=True), color=look.colour, alpha=0.45, linestyle="none", marker=look.marker,
            markersize=2.2, markeredgewidth=0, label=f"_{label}: seeds", clip_on=False, zorder=2.5,
        )  # fmt: skip
    return LineEnd(label, look, list(points)[-1], middle[-1])


def draw_level(axes: Axes, label: str, look: Look, level: float) -> LineEnd:
    """Draw a dashed line across the axes and return its end, at the right of the axes as they stand."""
    axes.axhline(level, color=look.colour, linestyle=DASHED, linewidth=1.1, label=label, zorder=1.5)
    return LineEnd(label, look, axes.get_xlim()[1], level)


def shifts(count: int, step: float) -> list[float]:
    """Return for each of some lines how far to move its points sideways, so that they do not hide one another."""
    return [(place - (count - 1) / 2) * step for place in range(count)]


def handles(drawn: Iterable[Axes]) -> dict[str, Artist]:
    """Return the lines that a legend explains by label: each label once, from the axes that have it first."""
    lines: dict[str, Artist] = {}
    for axes in drawn:
        for line in axes.get_lines():
            label = str(line.get_label())
            if not label.startswith("_"):
                lines.setdefault(label, line)
    return lines


def draw_paper(axes: Axes, values: Mapping[float, tuple[float, float | None]], look: Look) -> None:
    """Draw the paper's numbers by x as hollow grey markers of the method's shape, bars where they were read off.

    Each is a number and give or take how much, None where it was printed.
    """
    if not values:
        return
    numbers = [number for number, _ in values.values()]
    axes.errorbar(
        list(values), numbers, yerr=[about or float("nan") for _, about in values.values()], linestyle="none",
        marker=look.marker, ecolor=PALE, elinewidth=0.8, label="_paper", clip_on=False, zorder=3.2, **HOLLOW,
    )  # fmt: skip


def paper_handle() -> dict[str, Artist]:
    """Return what a legend says of the paper's numbers."""
    from matplotlib.lines import Line2D

    return {PAPER: Line2D([], [], linestyle="none", marker="o", **HOLLOW)}


def number(value: PaperValue) -> tuple[float, float | None]:
    """Return the paper's number and give or take how much."""
    return value.value, value.uncertainty


def beside_paper(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a list of lines, one for the ensemble of all members of which the paper has a number, its status too."""
    lines = []
    for outcome in outcomes:
        value = paper_value(outcome)
        if value and outcome.scores:
            difference = f"{outcome.error - value.value:+.2f}".replace("-", "\N{MINUS SIGN}")
            theirs = f"the paper's {value.value:.2f} ({STATUS[value.status]}), difference {difference}"
            lines.append(f"{outcome.group}, {outcome.label}: {outcome.error:.2f}, {theirs}")
    return ["\n- ".join(["Error (%) beside the paper's:", *lines])] if lines else []


def percents(values: Sequence[float]) -> str:
    """Return errors in words: 33.25, 31.20 %."""
    return ", ".join(f"{value:.2f}" for value in values) + " %"
