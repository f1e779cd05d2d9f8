"""The style of all figures: a fixed colour per method, panels laid out in inches, and line labels."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import matplotlib
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Bbox

from snapshot_cli.config.experiment import Experiment

WIDTH, TEXT_WIDTH = 3.5, 7.0  # inches; one column of a paper, and the full text width
HEIGHT = 1.9  # inches of a panel's axes
LABEL_SIZE, TITLE_SIZE = 7.5, 8.0  # points
DPI = 400
LEFT, INNER, RIGHT, BOTTOM = 0.54, 0.4, 0.14, 0.42  # inches around axes for ticks and labels; INNER: without y label
TITLE_LINE, GAP, LEGEND_LINE = 0.14, 0.12, 0.19  # inches
GREY, PALE = "#6b6b6b", "#8a8a8a"
DASHED = (0, (4, 2.5))

STYLE: dict[str, Any] = {
    "figure.dpi": DPI,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "font.size": LABEL_SIZE,
    "axes.labelsize": TITLE_SIZE,
    "axes.labelcolor": "#222222",
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "lines.linewidth": 1.5,
    "lines.markersize": 4,
    "svg.fonttype": "path",  # text as outlines looks the same everywhere
    "svg.hashsalt": "snapshot",
    "text.parse_math": False,
}


class Look(NamedTuple):
    """The colour and the marker of a method; hollow markers are connected by a dotted line."""

    colour: str
    marker: str
    is_hollow: bool = False


# Okabe and Ito's colours, which colour-blind readers can distinguish, and markers for print without colour.
LOOKS = {
    "single": Look("#444444", "X"),
    "dropout": Look("#e69f00", "v"),
    "nocycle": Look("#56b4e9", "D"),
    "singlecycle": Look("#cc79a7", "^"),
    "snapshot 0.1": Look("#0072b2", "s"),
    "snapshot 0.2": Look("#d55e00", "o"),
    "snapshot": Look("#7a4419", "h"),
    "ensemble": Look("#009e73", "P"),
}
ALONE = Look(GREY, "o", is_hollow=True)
"""Single snapshots in a figure that also shows their ensemble."""


def look(experiment: Experiment) -> Look:
    """Return the look of a method: its colour, for Snapshot by alpha0, and a marker for added implicit ensembles."""
    method = LOOKS.get(f"{experiment.method} {experiment.alpha0}") or LOOKS[experiment.method]
    if experiment.stochastic_depth:
        return method._replace(marker="p")
    if experiment.dropout and experiment.method != "dropout":
        return method._replace(marker="v")
    return method._replace(marker=">") if experiment.independent_runs > 1 else method


@contextmanager
def style() -> Iterator[None]:
    """Draw and write figures in the style of this module, ignoring the user's matplotlibrc."""
    with matplotlib.rc_context():
        dict.update(matplotlib.rcParams, _parameters())  # type: ignore[misc]  # validated already: that is slow
        yield


@cache
def _parameters() -> dict[str, Any]:
    """Return matplotlib's parameters except the backend: its defaults, replaced by those of STYLE."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]
        parameters = matplotlib.rcParams.copy()
    return {name: value for name, value in parameters.items() if name != "backend"}


class Heading(NamedTuple):
    """The heading of a panel: a title made of parts, and a line of facts such as seeds and split.

    Parts and facts that all panels of a figure share are written once, above the panels.
    """

    network: str = ""
    dataset: str = ""
    method: str = ""
    detail: str = ""
    facts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The title: all parts in words."""
        setting = " on ".join(part for part in (self.network, self.dataset) if part)
        return ", ".join(part for part in (setting, self.method, self.detail) if part)

    def without(self, common: Heading) -> Heading:
        """Return the heading without the parts and facts of the common heading."""
        parts = ["" if part == shared else part for part, shared in zip(self[:-1], common[:-1], strict=True)]
        return Heading._make([*parts, tuple(fact for fact in self.facts if fact not in common.facts)])


def common_heading(headings: Sequence[Heading]) -> Heading:
    """Return the parts and facts that all headings share."""
    *parts, facts = zip(*headings, strict=True)
    shared = [values[0] if len(set(values)) == 1 else "" for values in parts]
    return Heading._make([*shared, tuple(fact for fact in facts[0] if all(fact in other for other in facts))])


def panels(
    headings: Sequence[Heading],
    *,
    columns: int = 3,
    heights: Sequence[float] = (HEIGHT,),
    width: float | None = None,
    names: Sequence[str] | None = None,
    legend: Sequence[str] | None = None,
    right_margin: float = 0.0,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with one panel per heading, and the axes of every panel from top to bottom.

    The axes of a panel share x; `heights` are in inches. The figure is `width` inches wide, by default a column for a
    single column of panels and the text width otherwise. Leaves room for line `names` right of the axes, a `legend`
    below the panels and `right_margin` inches right of them.
    """
    columns = min(columns, len(headings))
    width = width or (WIDTH if columns == 1 else TEXT_WIDTH)
    right = RIGHT if not names else 0.22 + max(text_width(row) for name in names for row in wrap_name(name))
    axes_width = (width - right_margin - LEFT - INNER * (columns - 1)) / columns - right
    common = common_heading(headings) if len(headings) > 1 else headings[0]
    parts = [heading.without(common) for heading in headings]
    titles = [wrap_title(heading.title, axes_width + right) for heading in parts]
    rows = [range(start, min(start + columns, len(parts))) for start in range(0, len(parts), columns)]
    heading_heights = [max(_heading_height(titles[k], parts[k].facts) for k in row) for row in rows]
    common_title = wrap_title(common.title, width - LEFT - RIGHT)
    common_height = _heading_height(common_title, common.facts) + 0.05
    legend_height = 0.0 if not legend else LEGEND_LINE * len(legend_rows(legend, width)) + 0.04
    stack_height = sum(heights) + GAP * (len(heights) - 1)
    rows_height = sum(heading_heights) + (0.09 + stack_height + BOTTOM) * len(rows)
    figure = Figure(figsize=(width, common_height + rows_height + legend_height))
    drawn = []
    top = figure.get_figheight() - 0.03
    _write_heading(figure, LEFT, top, common_title, common.facts)
    top -= common_height
    for row, heading_height in zip(rows, heading_heights, strict=True):
        for column, index in enumerate(row):
            left = LEFT + column * (INNER + axes_width + right)
            _write_heading(figure, left, top, titles[index], parts[index].facts)
            drawn.append(_stack_axes(figure, left, top - heading_height - 0.06, axes_width, heights))
        top -= 0.09 + heading_height + stack_height + BOTTOM
    return figure, drawn


def _heading_height(title: str, facts: Sequence[str]) -> float:
    return TITLE_LINE * ((title.count("\n") + 1 if title else 0) + bool(facts))


def _write_heading(figure: Figure, left: float, top: float, title: str, facts: Sequence[str]) -> None:
    if title:
        add_text(figure, left, top, title, fontsize=TITLE_SIZE, fontweight="bold", va="top", linespacing=1.25)
        top -= TITLE_LINE * (title.count("\n") + 1) + 0.01
    if facts:
        add_text(figure, left, top, ", ".join(facts), color=GREY, va="top")


def keep_outer_labels(drawn: Sequence[Sequence[Axes]]) -> None:
    """Remove the y labels of all panels but those in the first column."""
    first_left = drawn[0][0].get_position().x0
    for axes in (axes for panel in drawn for axes in panel if panel[0].get_position().x0 > first_left + 1e-9):
        axes.set_ylabel("")


def _stack_axes(figure: Figure, left: float, top: float, width: float, heights: Sequence[float]) -> list[Axes]:
    drawn: list[Axes] = []
    for height in heights:
        top -= height
        drawn.append(add_axes(figure, left, top, width, height, sharex=drawn[0] if drawn else None))
        top -= GAP
    for axes in drawn[:-1]:
        axes.tick_params(labelbottom=False)
    return drawn


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float, **settings: Any) -> Axes:
    """Add axes at a position in inches, with axis labels at fixed distances: measuring text is slow."""
    figure_width, figure_height = figure.get_size_inches()
    box = (left / figure_width, bottom / figure_height, width / figure_width, height / figure_height)
    axes = figure.add_axes(box, **settings)
    axes.xaxis.set_label_coords(0.5, -0.25 / height)
    axes.yaxis.set_label_coords(-0.41 / width, 0.5)
    return axes


def box_in_inches(axes: Axes) -> Bbox:
    """Return the box of axes in inches, from the lower left corner of the figure."""
    box: Bbox = axes.bbox.transformed(axes.figure.dpi_scale_trans.inverted())
    return box


def add_text(figure: Figure, x: float, y: float, text: str, **settings: Any) -> None:
    """Add text at a position in inches."""
    figure.text(x, y, text, transform=figure.dpi_scale_trans, **settings)


@lru_cache(maxsize=1000)
def text_width(text: str, size: float = LABEL_SIZE, weight: str = "normal") -> float:
    """Return the width of a line of text in inches."""
    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrap_title(title: str, width: float) -> str:
    """Wrap a title to a width in inches: after commas if possible, never inside equations."""
    lines = [""]
    for part in title.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}").split(", "):
        comma = "," if lines[-1] else ""
        if _fits(f"{lines[-1]}{comma} {part},", width):
            lines[-1] = f"{lines[-1]}{comma} {part}".strip()
            continue
        lines[-1] += comma
        lines += [""] if lines[-1] else []
        for word in part.split(" "):
            if lines[-1] and not _fits(f"{lines[-1]} {word},", width):
                lines.append(word)
            else:
                lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _fits(line: str, width: float) -> bool:
    return text_width(line.strip(), TITLE_SIZE, "bold") <= width


def wrap_name(name: str) -> list[str]:
    """Wrap the name of a line into short rows of text, never inside equations."""
    unbroken = re.sub(
        r"(\d+)( of \d+)? seed|α₀ = ", lambda match: match.group().replace(" ", "\N{NO-BREAK SPACE}"), name
    )
    return textwrap.wrap(unbroken, 25, break_long_words=False, break_on_hyphens=False)


def legend_rows(labels: Sequence[str], width: float) -> list[list[str]]:
    """Arrange labels in the fewest rows that fit into a width in inches, with rows of similar length."""
    fewest = _fill_rows(labels, width - 0.1)
    narrower = (_fill_rows(labels, width * fraction) for fraction in (0.5, 0.6, 0.7, 0.8, 0.9))
    return next((rows for rows in narrower if len(rows) == len(fewest)), fewest)


def _fill_rows(labels: Sequence[str], width: float) -> list[list[str]]:
    rows: list[list[str]] = [[]]
    used = 0.0
    for label in labels:
        needed = 0.5 + text_width(label)
        if rows[-1] and used + needed > width:
            rows.append([])
            used = 0.0
        rows[-1].append(label)
        used += needed
    return rows


def legend_below(figure: Figure, handles: dict[str, Artist]) -> None:
    """Add a legend at the bottom of a figure, in the room that `panels` left for it."""
    width = figure.get_figwidth()
    rows = legend_rows(list(handles), width) if handles else []
    for index, row in enumerate(reversed(rows)):
        widths = [0.5 + text_width(label) for label in row]
        left = (width - sum(widths)) / 2 + 0.05
        y = LEGEND_LINE * (index + 0.5) + 0.02
        for label, start in zip(row, accumulate([0.0, *widths[:-1]]), strict=True):
            _draw_handle(figure, handles[label], left + start, y)
            add_text(figure, left + start + 0.34, y, label, va="center_baseline")


def _draw_handle(figure: Figure, handle: Artist, left: float, y: float) -> None:
    """Draw the handle of a legend entry: a piece of line with its marker, or a patch."""
    width, height = figure.get_size_inches()
    if isinstance(handle, Line2D):
        line = Line2D([(left + x) / width for x in (0.02, 0.16, 0.3)], [y / height] * 3)
        line.update_from(handle)
        line.set(transform=figure.transFigure, markevery=[1], clip_on=False)
        figure.add_artist(line)
    elif isinstance(handle, Patch):
        patch = Rectangle(((left + 0.04) / width, (y - 0.045) / height), 0.24 / width, 0.09 / height)
        patch.update_from(handle)
        patch.set_transform(figure.transFigure)
        figure.add_artist(patch)


def share_y(drawn: Sequence[Axes], *, min_span: float = 0.0) -> None:
    """Give axes the same y range: the smallest that shows all data and spans at least `min_span`."""
    limits = [axes.get_ylim() for axes in drawn]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    padding = max(0.0, min_span - (high - low)) / 2
    for axes in drawn:
        axes.set_ylim(low - padding, high + padding)


def integer_ticks(count: int, max_ticks: int = 12) -> range:
    """Return evenly spaced ticks from 1 to `count`, at most `max_ticks`."""
    return range(1, count + 1, -(-count // max_ticks))


def shades(count: int) -> list[str]:
    """Return colours from dark to light for snapshots 1..count; colour-blind readers see the order too."""
    return [to_hex(colormaps["viridis"](0.85 * k / max(1, count - 1))) for k in range(count)]


class LineEnd(NamedTuple):
    """The label and look of a line, and its last point in data coordinates."""

    label: str
    look: Look
    x: float
    y: float


FAR = 0.3  # inches from the right of the axes; a dotted line from farther away would cross other lines


def name_ends(axes: Axes, ends: Sequence[LineEnd]) -> None:
    """Write the name of every line right of the axes at the height of its end, moved so that names do not overlap.

    A dotted line connects end and name. If the line ends far away, the name has the line's marker instead.
    """
    _, _, width, height = box_in_inches(axes).bounds
    axes.set_ylim(axes.get_ylim())
    positions = [_axes_position(axes, end) for end in ends]
    names = [wrap_name(end.label) for end in ends]
    name_heights = [1.2 * LABEL_SIZE * len(rows) + 2 for rows in names]
    name_positions = spread([72 * height * y for _, y in positions], name_heights, high=72 * height)
    for end, (x, y), rows, name_position in zip(ends, positions, names, name_positions, strict=True):
        name_y, colour = name_position / 72 / height, end.look.colour
        if (1 - x) * width > FAR:
            leader = Line2D([1 + 0.09 / width], [name_y], color=colour, marker=end.look.marker, markeredgewidth=0)
        else:
            x_pair = [min(1, x) + 0.05 / width, 1 + 0.16 / width]
            leader = Line2D(x_pair, [y, name_y], color=colour, linewidth=0.6, linestyle=":")
        leader.set(transform=axes.transAxes, clip_on=False, label="_nolegend_")
        axes.add_artist(leader)
        axes.text(
            1 + 0.19 / width, name_y, "\n".join(rows), color=darken(colour), va="center", transform=axes.transAxes,
            linespacing=1.15,
        )  # fmt: skip


def _axes_position(axes: Axes, end: LineEnd) -> tuple[float, float]:
    """Return the end of a line in axes coordinates, 0 to 1."""
    x, y = axes.transLimits.transform(axes.transScale.transform((end.x, end.y)))
    return float(x), float(y)


def spread(positions: Sequence[float], sizes: Sequence[float], *, high: float) -> list[float]:
    """Move the centres of texts as little as possible until they do not overlap, in order and within 0 to `high`.

    Texts that cannot all fit start at the bottom.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    gaps = [(sizes[lower] + sizes[upper]) / 2 for lower, upper in pairwise(order)]
    offsets = list(accumulate(gaps, initial=0.0))
    blocks: list[tuple[float, int]] = []  # isotonic regression: sum and number of positions with the same value
    for index, offset in zip(order, offsets, strict=False):
        total, count = positions[index] - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            total, count = total + blocks[-1][0], count + blocks.pop()[1]
        blocks.append((total, count))
    fitted = [max(0.0, min(high - offsets[-1], total / count)) for total, count in blocks for _ in range(count)]
    moved = {index: value + offset for index, value, offset in zip(order, fitted, offsets, strict=False)}
    return [moved[index] for index in range(len(positions))]


def darken(colour: str) -> tuple[float, float, float]:
    """Darken a colour for small text on white."""
    red, green, blue = to_rgb(colour)
    return 0.72 * red, 0.72 * green, 0.72 * blue
