"""A table or figure that is ready: its files and its place on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.reporting import figures, frames, tables
from snapshot_cli.reporting.entries import Entry, grouped
from snapshot_cli.reporting.html import FigureBlock, TableBlock

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Request:
    """What a table or figure is made for: the stem of its files, the study's title and its name on the command line."""

    stem: str
    title: str
    study: str | None = None

    @property
    def command(self) -> str | None:
        """What draws it again."""
        return None if self.study is None else f"snapshot report {self.study}"


@dataclass(frozen=True)
class Rows:
    """A table of errors in the paper's layout; the caption says what to see in it."""

    request: Request
    caption: str
    rows: Sequence[tables.Row]
    notes: Sequence[str]

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, CSV and LaTeX."""
        stem, request = folder / self.request.stem, self.request
        return tables.write_table(self.rows, stem, title=request.title, notes=self.notes, study=request.study)

    def block(self) -> TableBlock:
        """Return its place on the page."""
        notes = tables.sentences(self.rows, self.notes, self.request.study)
        frame = tables.table(self.rows, flavour="markdown", study=self.request.study)  # its bold is read by the page
        return TableBlock(self.caption, frame, notes, self.request.command)


@dataclass(frozen=True)
class Grid:
    """A table of anything else: strings to show and the numbers behind them, a record a line of the CSV."""

    request: Request
    title: str
    caption: str
    frame: pd.DataFrame
    records: Sequence[dict[str, object]]
    notes: Sequence[str]

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, CSV and LaTeX."""
        return frames.write(
            self.frame, self.records, folder / self.request.stem, title=self.title, notes=list(self.notes)
        )

    def block(self) -> TableBlock:
        """Return its place on the page."""
        return TableBlock(self.caption, self.frame, self.notes, self.request.command)


@dataclass(frozen=True)
class Picture:
    """A figure; the alternative says what it shows to those who do not see it."""

    request: Request
    caption: str
    figure: Figure
    alternative: str
    notes: Sequence[str] = ()

    def write(self, folder: Path) -> list[Path]:
        """Write it as SVG and PNG."""
        return figures.save(self.figure, folder / self.request.stem)

    def block(self) -> FigureBlock:
        """Return its place on the page."""
        return FigureBlock(self.caption, self.figure, self.alternative, self.notes, self.request.command)


Drawn = Rows | Grid | Picture


def by_pair(entries: Sequence[Entry], request: Request) -> list[tuple[list[Entry], Request]]:
    """Return the experiments of every network and dataset, and the request with these in the stem if there are more."""
    groups = list(grouped(entries, "network", "dataset"))
    return [
        (part, request if len(groups) == 1 else replace(request, stem="-".join([request.stem, *names])))
        for names, part in groups
    ]
