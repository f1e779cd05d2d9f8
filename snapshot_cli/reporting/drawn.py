"""A table or figure that is ready: its files and its place on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.reporting import labels, save
from snapshot_cli.reporting.outcomes import Outcome, grouped
from snapshot_cli.reporting.table import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Request:
    """What a table or figure is made for: the stem of its files, the study's title and its name on the command line."""

    stem: str
    title: str
    study: str | None = None

    def of(self, *names: str) -> Request:
        """Return the request for a part, such as one network, whose names go into the stem."""
        return replace(self, stem="-".join([self.stem, *names]))


@dataclass(frozen=True)
class Picture:
    """A figure, what to see in it, and what it shows to those who do not see it; it is drawn when it is needed.

    `cells` counts the scored cells that it rests on.
    """

    request: Request
    caption: str
    draw: Callable[[], Figure]
    alternative: str
    cells: int
    notes: Sequence[str] = ()

    @cached_property
    def figure(self) -> Figure:
        """The figure."""
        return self.draw()

    @cached_property
    def svg(self) -> bytes:
        """The figure as SVG."""
        return save.rendered(self.figure, "svg")

    @cached_property
    def png(self) -> bytes:
        """The figure as PNG."""
        return save.rendered(self.figure, "png")

    def write(self, folder: Path) -> list[Path]:
        """Write it as SVG and PNG."""
        return save.write_pair(self.svg, lambda: self.png, folder / self.request.stem)


Drawn = Picture | Table


def by_pair(outcomes: Sequence[Outcome], request: Request) -> list[tuple[list[Outcome], Request]]:
    """Return the experiments of every network and dataset, and the request with these in the stem if there are more."""
    groups = list(grouped(outcomes, "network", "dataset"))
    return [(part, request if len(groups) == 1 else request.of(*names)) for names, part in groups]


def by_dataset(outcomes: Sequence[Outcome], request: Request) -> list[tuple[str, list[Outcome], Request]]:
    """Return each dataset's title, its experiments, and the request with its name in the stem if there are more."""
    groups = list(grouped(outcomes, "dataset"))
    return [(labels.dataset(name), part, request if len(groups) == 1 else request.of(name)) for (name,), part in groups]
