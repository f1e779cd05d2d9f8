"""One self-contained HTML page of tables, figures and runs; no address outside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class TableBlock:
    """Hold a table: strings in a frame (as `tables.table` gives it), what to see in it, and the lines below it."""

    caption: str
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    command: str | None = None


@dataclass(frozen=True)
class FigureBlock:
    """Hold a figure, what to see in it, what it shows in a sentence for those who do not see it, and notes."""

    caption: str
    figure: Figure
    alternative: str
    notes: Sequence[str] = ()
    command: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """Hold a run: its id, config as YAML text, seconds of training, device, versions by package, and commit.

    `dirty` marks a checkout that had uncommitted changes; None stands for what is not known.
    """

    run_id: str
    config: str
    seconds: float | None
    device: str | None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool = False


@dataclass(frozen=True)
class Section:
    """Hold a part of the page: title, paragraphs, then tables and figures in order, and runs at its end."""

    title: str
    paragraphs: Sequence[str] = ()
    blocks: Sequence[TableBlock | FigureBlock] = ()
    runs: Sequence[RunFacts] = ()


def page(title: str, intro: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the HTML of a page with a contents list; text is escaped, figures are inline."""
    raise NotImplementedError
