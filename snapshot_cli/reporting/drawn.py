"""A table or figure that is ready to be written to files and placed on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from matplotlib.figure import Figure

from snapshot_cli.analysis.outcomes import Outcome, group_by
from snapshot_cli.reporting import save
from snapshot_cli.reporting.style import style
from snapshot_cli.reporting.table import Table


@dataclass(frozen=True)
class Request:
    """A request for a table or figure: the stem of its files, the study's title and its command-line argument."""

    stem: str
    title: str
    study: str | None = None

    def for_part(self, *names: str) -> Request:
        """Return the request for a part, such as one network; the names are appended to the stem."""
        return replace(self, stem="-".join([self.stem, *names]))


@dataclass(frozen=True)
class Picture:
    """A figure, its caption and its text alternative for screen readers; drawn on first use, in the common style.

    `cells` counts the scored cells that the figure shows.
    """

    request: Request
    caption: str
    draw: Callable[[], Figure]
    alt_text: str
    cells: int
    notes: Sequence[str] = ()

    @cached_property
    def figure(self) -> Figure:
        """The figure."""
        with style():
            return self.draw()

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG."""
        return save.render(self.figure, "svg")

    @cached_property
    def png(self) -> bytes:
        """The figure as PNG."""
        return save.render(self.figure, "png")

    def write(self, folder: Path) -> list[Path]:
        """Write the figure as SVG and PNG, and return the paths."""
        return save.write_pair(self.svg, lambda: self.png, folder / self.request.stem)


Drawn = Picture | Table


def split(outcomes: Sequence[Outcome], request: Request, *fields: str) -> list[tuple[list[Outcome], Request]]:
    """Split experiments by some fields, such as the network, with a request for every part.

    With several parts, the values of the fields are appended to the stems.
    """
    parts = group_by(outcomes, *fields)
    return [(part, request if len(parts) == 1 else request.for_part(*values)) for values, part in parts.items()]
