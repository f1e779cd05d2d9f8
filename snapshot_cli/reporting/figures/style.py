"""The style of all figures: a fixed colour for each method, widths, panels, and names at the ends of lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.4, 2.5  # inches; a column of the paper
TEXT_WIDTH = 7.0  # inches; both columns
LABEL_SIZE = 7.5  # points
DPI = 200  # of files with pixels, and of what the layout is measured in

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine draws the same
    "font.size": LABEL_SIZE,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
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
}

# Okabe and Ito's colours, told apart by colour-blind readers too, and a marker for print without colour.
LOOKS: dict[str, tuple[str, str]] = {
    "single": ("#444444", "x"),
    "dropout": ("#e69f00", "v"),
    "nocycle": ("#56b4e9", "D"),
    "singlecycle": ("#cc79a7", "^"),
    "snapshot 0.1": ("#0072b2", "s"),
    "snapshot 0.2": ("#d55e00", "o"),
    "snapshot": ("#7a4419", "h"),
    "ensemble": ("#009e73", "P"),
}

# Combined with an implicit ensemble a method keeps its colour.
IMPLICIT_MARKERS = {"dropout": "v", "stochastic depth": "*"}

# The dotted line from the end of a line to its name.
LEADER = {"arrowstyle": "-", "linewidth": 0.5, "linestyle": ":", "shrinkA": 1, "shrinkB": 3}


def look(method: str, alpha0: float | None = None) -> tuple[str, str]:
    """Return the colour and the marker of a method; Snapshot at an alpha0 that the paper does not use has its own.

    A method may name the implicit ensembles that it is combined with: "snapshot with dropout".
    """
    method, *implicit = method.split(" with ")
    colour, marker = LOOKS.get(f"{method} {alpha0}") or LOOKS[method]
    return colour, IMPLICIT_MARKERS[implicit[-1]] if implicit else marker


def spread(positions: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Move positions apart until neighbours are `gap` away, as little as possible, in order and between low and high.

    Where they cannot all fit, they start at `low`.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    blocks: list[tuple[float, int]] = []  # sum and length of runs that share one value: isotonic regression
    for rank, index in enumerate(order):
        total, count = positions[index] - rank * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            total, count = total + blocks[-1][0], count + blocks.pop()[1]
        blocks.append((total, count))
    top = high - (len(positions) - 1) * gap
    fitted = [max(low, min(top, total / count)) for total, count in blocks for _ in range(count)]
    moved = {index: value + rank * gap for rank, (index, value) in enumerate(zip(order, fitted, strict=True))}
    return [moved[index] for index in range(len(positions))]


@dataclass(frozen=True)
class LineEnd:
    """Hold the name of a line, its colour, and the place (data) where the line ends."""

    label: str
    colour: str
    x: float
    y: float


@contextmanager
def style() -> Iterator[None]:
    """Draw and write figures in the style of this module, whatever a person's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)  # type: ignore[arg-type]
        yield


def blank_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches, free of pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from snapshot_cli.reporting.figures.sheet import Sheet

    figure = Sheet(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_figure(titles: Sequence[str], *, columns: int = 2, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """Return a figure with one pair of axes a title, `columns` a row of `height` inches.

    One panel alone has a column's width, several have the text's.
    """
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = blank_figure(WIDTH if len(titles) == 1 else TEXT_WIDTH, rows * height)
    if rows > 1:
        figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr, call-arg]
    panels = [figure.add_subplot(rows, columns, place) for place in range(1, len(titles) + 1)]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(wrapped(title, columns), fontsize=8 if columns < 4 else 7)
    return figure, panels


def wrapped(title: str, columns: int) -> str:
    """Return a title in lines short enough for one of `columns` panels side by side, equations whole."""
    whole = title.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    return textwrap.fill(whole, 42 if columns == 1 else 74 // columns)


def counted(count: int) -> range:
    """Return the ticks of an axis that counts 1..count: all of them, or as many as there is room for."""
    return range(1, count + 1, -(-count // 12))


def shades(count: int) -> list[str]:
    """Return colours from dark to light for snapshots 1..count, in an order that colour-blind readers see too."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](0.85 * k / max(1, count - 1))) for k in range(count)]


def name_ends(axes: Axes, ends: Sequence[LineEnd], *, side: Literal["left", "right"] = "right") -> None:
    """Write each line's name beside the axes at the height of its end, moved where names would touch."""
    from matplotlib.text import OffsetFrom

    from snapshot_cli.reporting.figures.sheet import Leader

    ends = [end for end in ends if end.y == end.y]  # NaN has no place
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # lays out, so that heights are known
    points = axes.bbox.height * 72 / axes.figure.dpi
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    heights = [_height(axes, end.y) * points for end in ends]
    labels = [end.label.replace(" with ", "\nwith ") for end in ends]
    rows = max((label.count("\n") + 1 for label in labels), default=1)
    moved = spread(heights, gap=1.25 * LABEL_SIZE * rows, low=0, high=points)
    right = side == "right"
    for end, label, height in zip(ends, labels, moved, strict=True):
        axes.annotate(
            label,
            xy=(end.x, end.y),
            xytext=(9 if right else -9, height),
            textcoords=OffsetFrom(axes, (int(right), 0), unit="points"),
            color=darker(end.colour),
            horizontalalignment="left" if right else "right",
            verticalalignment="center",
            annotation_clip=False,
            arrowprops=LEADER | {"color": end.colour, "relpos": (int(not right), 0.5), "connectionstyle": Leader()},
        )


def _height(axes: Axes, y: float) -> float:
    """Return where y lies on the axes, 0 at the bottom and 1 at the top, on a linear or a logarithmic scale."""
    (scaled,), limits = axes.yaxis.get_transform().transform([y]), axes.yaxis.get_transform().transform(axes.get_ylim())
    return float((scaled - limits[0]) / (limits[1] - limits[0]))


def darker(colour: str) -> tuple[float, float, float]:
    """Return a colour dark enough for small text on white."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(colour)
    return 0.72 * red, 0.72 * green, 0.72 * blue
