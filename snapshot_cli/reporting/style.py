"""The style of all figures: a fixed colour for each method, panels placed in inches, and names beside lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from snapshot_cli.config.experiment import Experiment

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, TEXT_WIDTH = 3.5, 7.0  # inches; a column of the paper, and both
HEIGHT = 1.9  # inches of a panel's axes
LABEL_SIZE, TITLE_SIZE = 7.5, 8.0  # points
DPI = 400
LEFT, INNER, RIGHT, BOTTOM = 0.54, 0.4, 0.14, 0.42  # inches around axes for ticks and labels; INNER: no y label
TITLE_LINE, GAP, LEGEND_LINE = 0.14, 0.12, 0.19  # inches
GREY, PALE = "#6b6b6b", "#8a8a8a"
DASHED = (0, (4, 2.5))

STYLE: dict[str, Any] = {
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
    "svg.fonttype": "path",  # text as outlines: the same in every browser and paper
    "svg.hashsalt": "snapshot",
    "text.parse_math": False,
}


class Look(NamedTuple):
    """The colour and the marker of a method; hollow markers are joined by a dotted line."""

    colour: str
    marker: str
    is_hollow: bool = False


# Okabe and Ito's colours, told apart by colour-blind readers too, and a marker for print without colour.
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
"""A snapshot beside the ensemble that it is a member of."""


def look(experiment: Experiment) -> Look:
    """Return the look of a method: one colour whatever it is combined with, Snapshot by its alpha0."""
    method = LOOKS.get(f"{experiment.method} {experiment.alpha0}") or LOOKS[experiment.method]
    if experiment.stochastic_depth:
        return method._replace(marker="p")
    if experiment.dropout and experiment.method != "dropout":
        return method._replace(marker="v")
    return method._replace(marker=">") if experiment.replicas > 1 else method


@contextmanager
def style() -> Iterator[None]:
    """Draw and write figures in the style of this module, whatever a person's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, free of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True)
class Heading:
    """What stands above a panel: what it shows, part by part, and below it facts such as seeds and split.

    What all panels of a figure have in common is written once, above them. Headings of a figure have as many parts.
    """

    network: str = ""
    dataset: str = ""
    method: str = ""
    detail: str = ""
    facts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The parts in words."""
        place = " on ".join(part for part in (self.network, self.dataset) if part)
        return ", ".join(part for part in (place, self.method, self.detail) if part)

    def without(self, common: Heading) -> Heading:
        """Return what a heading says beside what is common."""
        parts: dict[str, Any] = {
            name: getattr(self, name) for name in PARTS if getattr(self, name) != getattr(common, name)
        }
        return Heading(**parts, facts=tuple(fact for fact in self.facts if fact not in common.facts))


PARTS = ("network", "dataset", "method", "detail")


def common(headings: Sequence[Heading]) -> Heading:
    """Return what all headings say."""
    first = headings[0]
    parts: dict[str, Any] = {
        name: getattr(first, name) for name in PARTS if len({getattr(each, name) for each in headings}) == 1
    }
    return Heading(**parts, facts=tuple(fact for fact in first.facts if all(fact in each.facts for each in headings)))


def panels(
    headings: Sequence[Heading],
    *,
    columns: int = 3,
    heights: Sequence[float] = (HEIGHT,),
    width: float | None = None,
    names: Sequence[str] | None = None,
    legend: Sequence[str] | None = None,
    beside: float = 0.0,
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a panel a heading, `columns` a row: for each panel its axes from top to bottom.

    The axes of a panel share x and have `heights` in inches. One panel has a column's width, several have the text's,
    or `width` inches. Room is left for `names` right of the axes, a `legend` below all panels and `beside` inches right
    of all.
    """
    columns = min(columns, len(headings))
    width = width or (WIDTH if columns == 1 else TEXT_WIDTH)
    right = RIGHT if not names else 0.22 + max(text_width(line) for name in names for line in name_lines(name))
    across = (width - beside - LEFT - INNER * (columns - 1)) / columns - right
    whole = common(headings) if len(headings) > 1 else headings[0]
    parts = [heading.without(whole) for heading in headings]
    titles = [wrapped(heading.title, across + right) for heading in parts]
    rows = [range(start, min(start + columns, len(parts))) for start in range(0, len(parts), columns)]
    heads = [max(_head_height(titles[k], parts[k].facts) for k in row) for row in rows]
    top_title = wrapped(whole.title, width - LEFT - RIGHT)
    above = _head_height(top_title, whole.facts) + 0.05
    below = 0.0 if not legend else LEGEND_LINE * len(legend_rows(legend, width)) + 0.04
    tall = sum(heights) + GAP * (len(heights) - 1)
    figure = new_figure(width, above + sum(heads) + (0.09 + tall + BOTTOM) * len(rows) + below)
    drawn = []
    top = figure.get_figheight() - 0.03
    _head(figure, LEFT, top, top_title, whole.facts)
    top -= above
    for row, head in zip(rows, heads, strict=True):
        for column, index in enumerate(row):
            left = LEFT + column * (INNER + across + right)
            _head(figure, left, top, titles[index], parts[index].facts)
            drawn.append(_stack(figure, left, top - head - 0.06, across, heights))
        top -= 0.09 + head + tall + BOTTOM
    return figure, drawn


def _head_height(title: str, facts: Sequence[str]) -> float:
    return TITLE_LINE * ((title.count("\n") + 1 if title else 0) + bool(facts))


def _head(figure: Figure, left: float, top: float, title: str, facts: Sequence[str]) -> None:
    if title:
        write(figure, left, top, title, fontsize=TITLE_SIZE, fontweight="bold", va="top", linespacing=1.25)
        top -= TITLE_LINE * (title.count("\n") + 1) + 0.01
    if facts:
        write(figure, left, top, ", ".join(facts), color=GREY, va="top")


def outer_labels(drawn: Sequence[Sequence[Axes]]) -> None:
    """Leave the labels of the y axes to the panels of the first column."""
    first = min(panel[0].get_position().x0 for panel in drawn)
    for panel in drawn:
        if panel[0].get_position().x0 > first + 1e-9:
            for axes in panel:
                axes.set_ylabel("")


def _stack(figure: Figure, left: float, top: float, across: float, heights: Sequence[float]) -> list[Axes]:
    drawn: list[Axes] = []
    for height in heights:
        top -= height
        drawn.append(place(figure, left, top, across, height, sharex=drawn[0] if drawn else None))
        top -= GAP
    for axes in drawn[:-1]:
        axes.tick_params(labelbottom=False)
    return drawn


def place(figure: Figure, left: float, bottom: float, width: float, height: float, **settings: Any) -> Axes:
    """Add axes at a place in inches, with axis labels at fixed distances, which need not be measured."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up), **settings)
    axes.xaxis.set_label_coords(0.5, -0.25 / height)
    axes.yaxis.set_label_coords(-0.41 / width, 0.5)
    return axes


def write(figure: Figure, x: float, y: float, text: str, **settings: Any) -> None:
    """Write text at a place in inches."""
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, **settings)


def corner(axes: Axes) -> tuple[float, float]:
    """Return where the lower left corner of axes is, in inches."""
    across, up = axes.figure.get_size_inches()  # type: ignore[union-attr]
    box = axes.get_position()
    return box.x0 * across, box.y0 * up


def size_in_inches(axes: Axes) -> tuple[float, float]:
    """Return the width and height of axes."""
    across, up = axes.figure.get_size_inches()  # type: ignore[union-attr]
    box = axes.get_position()
    return box.width * across, box.height * up


@lru_cache(maxsize=1000)
def text_width(text: str, size: float = LABEL_SIZE, weight: str = "normal") -> float:
    """Return how many inches a line of text is wide."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=STYLE["font.family"], size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) / 72


def wrapped(title: str, width: float) -> str:
    """Return a title in lines that fit into so many inches, broken after commas if possible, equations kept whole."""
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


def name_lines(name: str) -> list[str]:
    """Return the name of a line in short lines, equations kept whole."""
    whole = re.sub(r"(\d+)( of \d+)? seed|α₀ = ", lambda part: part.group().replace(" ", "\N{NO-BREAK SPACE}"), name)
    return textwrap.wrap(whole, 25, break_long_words=False, break_on_hyphens=False)


def legend_rows(labels: Sequence[str], width: float) -> list[list[str]]:
    """Return labels in as few rows as fit side by side into so many inches, the rows about equally long."""
    fewest = _filled(labels, width - 0.1)
    narrower = (_filled(labels, width * share) for share in (0.5, 0.6, 0.7, 0.8, 0.9))
    return next((rows for rows in narrower if len(rows) == len(fewest)), fewest)


def _filled(labels: Sequence[str], width: float) -> list[list[str]]:
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
    """Write a legend at the bottom of a figure that `panels` left room for: a handle and its label, row by row."""
    width = figure.get_figwidth()
    rows = legend_rows(list(handles), width) if handles else []
    for place_, row in enumerate(reversed(rows)):
        widths = [0.5 + text_width(label) for label in row]
        left = (width - sum(widths)) / 2 + 0.05
        y = LEGEND_LINE * (place_ + 0.5) + 0.02
        for label, start in zip(row, accumulate([0.0, *widths[:-1]]), strict=True):
            _sample(figure, handles[label], left + start, y)
            write(figure, left + start + 0.34, y, label, va="center_baseline")


def _sample(figure: Figure, handle: Artist, left: float, y: float) -> None:
    """Draw what a legend's label stands for: a piece of line with its marker, or a patch."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    across, up = figure.get_size_inches()
    if isinstance(handle, Line2D):
        line = Line2D([(left + x) / across for x in (0.02, 0.16, 0.3)], [y / up] * 3, markevery=[1])
        line.update_from(handle)
        line.set_transform(figure.transFigure)
        line.set_markevery([1])
        line.set_clip_on(False)
        figure.add_artist(line)
    elif isinstance(handle, Patch):
        patch = Rectangle(((left + 0.04) / across, (y - 0.045) / up), 0.24 / across, 0.09 / up)
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


def counted(count: int, most: int = 12) -> range:
    """Return the ticks of an axis that counts 1..count: all of them, or as many as there is room for."""
    return range(1, count + 1, -(-count // most))


def shades(count: int) -> list[str]:
    """Return colours from dark to light for snapshots 1..count, in an order that colour-blind readers see too."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.85 * k / max(1, count - 1))) for k in range(count)]


class LineEnd(NamedTuple):
    """The name of a line, its look, and the place (data) where the line ends."""

    label: str
    look: Look
    x: float
    y: float


FAR = 0.3  # inches from the right of the axes; from there a dotted line would cross what others draw


def name_ends(axes: Axes, ends: Sequence[LineEnd]) -> None:
    """Write each line's name right of the axes at the height of its end, moved where names would touch.

    A dotted line leads to the name, or its marker stands beside it where the line ends far away.
    """
    from matplotlib.lines import Line2D

    width, height = size_in_inches(axes)
    axes.set_ylim(axes.get_ylim())
    places = [_fraction(axes, end) for end in ends]
    lines = [name_lines(end.label) for end in ends]
    needed = [1.2 * LABEL_SIZE * len(each) + 2 for each in lines]
    moved = apart([72 * height * y for _, y in places], needed, high=72 * height)
    for end, (x, y), text, to in zip(ends, places, lines, moved, strict=True):
        up, colour = to / 72 / height, end.look.colour
        if (1 - x) * width > FAR:
            leader = Line2D([1 + 0.09 / width], [up], color=colour, marker=end.look.marker, markeredgewidth=0)
        else:
            x_pair = [min(1, x) + 0.05 / width, 1 + 0.16 / width]
            leader = Line2D(x_pair, [y, up], color=colour, linewidth=0.6, linestyle=":")
        leader.set(transform=axes.transAxes, clip_on=False, label="_nolegend_")
        axes.add_artist(leader)
        axes.text(
            1 + 0.19 / width, up, "\n".join(text), color=darker(colour), va="center", transform=axes.transAxes,
            linespacing=1.15,
        )  # fmt: skip


def _fraction(axes: Axes, end: LineEnd) -> tuple[float, float]:
    """Return where a line ends on its axes, 0 to 1 from left to right and from bottom to top."""
    place_ = axes.transLimits.transform(axes.transScale.transform((end.x, end.y)))
    return float(place_[0]), float(place_[1])


def apart(positions: Sequence[float], sizes: Sequence[float], *, high: float) -> list[float]:
    """Move the middles of texts of some sizes until they do not touch: as little as possible, in order, from 0 to high.

    Where they cannot all fit, they start at the bottom.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    gaps = [(sizes[one] + sizes[two]) / 2 for one, two in pairwise(order)]
    offsets = list(accumulate(gaps, initial=0.0))
    blocks: list[tuple[float, int]] = []  # sum and length of runs that share one value: isotonic regression
    for index, offset in zip(order, offsets, strict=False):
        total, count = positions[index] - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            total, count = total + blocks[-1][0], count + blocks.pop()[1]
        blocks.append((total, count))
    fitted = [max(0.0, min(high - offsets[-1], total / count)) for total, count in blocks for _ in range(count)]
    moved = {index: value + offset for index, value, offset in zip(order, fitted, offsets, strict=False)}
    return [moved[index] for index in range(len(positions))]


def darker(colour: str) -> tuple[float, float, float]:
    """Return a colour dark enough for small text on white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.72 * red, 0.72 * green, 0.72 * blue
