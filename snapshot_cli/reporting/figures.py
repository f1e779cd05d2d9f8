"""The figures: data in, a matplotlib figure out, and the one function that writes figures to files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.reporting.style import LineEnd, column_figure, look, name_ends, style
from snapshot_cli.run_directory import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True)
class Curve:
    """Hold a line of a figure: its name, what fixes its colour, and errors in percent for sizes 1, 2, ..."""

    label: str
    method: str
    alpha0: float | None
    errors: Sequence[float]


def ensemble_size(curves: Sequence[Curve], *, single: float | None, title: str) -> Figure:
    """Draw error (%) against ensemble size m = 1..M, a line a curve, and the single model's error as a dashed line.

    A method of one member, such as Dropout, is drawn as a dashed line too. Points that are NaN are left out.
    """
    with style():
        figure, axes = column_figure(title)
        sizes = max(len(curve.errors) for curve in curves)
        axes.set_xlim(1 - 0.04 * sizes, sizes + 0.04 * sizes)
        ends = [_draw(axes, curve, sizes) for curve in curves]
        if single is not None:
            ends.append(_draw_level(axes, "Single model", look("single")[0], single))
        axes.set_xticks(range(1, sizes + 1))
        axes.margins(y=0.08)
        axes.set_xlabel("Ensemble size m")
        axes.set_ylabel("Error (%)")
        name_ends(axes, ends)
    return figure


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write a figure to STEM.svg and STEM.png, or to `stem` itself where it ends in a known format; return the paths.

    The same figure gives the same bytes.
    """
    if stem.suffix.removeprefix(".") in FORMATS:
        paths = [stem]
    else:
        paths = [stem.with_name(f"{stem.name}.{name}") for name in formats]
    for path in paths:
        _write(figure, path)
    return paths


def _draw(axes: Axes, curve: Curve, sizes: int) -> LineEnd:
    colour, marker = look(curve.method, curve.alpha0)
    if len(curve.errors) == 1 < sizes:
        return _draw_level(axes, curve.label, colour, curve.errors[0])
    x = range(1, len(curve.errors) + 1)
    axes.plot(x, curve.errors, color=colour, marker=marker, markeredgewidth=0, label=curve.label, clip_on=False)
    known = [
        LineEnd(curve.label, colour, size, error) for size, error in zip(x, curve.errors, strict=True) if error == error
    ]
    return known[-1] if known else LineEnd(curve.label, colour, sizes, float("nan"))


def _draw_level(axes: Axes, label: str, colour: str, error: float) -> LineEnd:
    axes.axhline(error, color=colour, linestyle=(0, (4, 2.5)), linewidth=1.1, label=label, zorder=1.5)
    return LineEnd(label, colour, axes.get_xlim()[1], error)


def _write(figure: Figure, path: Path) -> None:
    name = path.suffix.removeprefix(".")
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    content = io.BytesIO()
    with style():
        figure.savefig(content, format=name, dpi=200, metadata=metadata[name])
    write_atomically(path, lambda file: file.write(content.getbuffer()))
