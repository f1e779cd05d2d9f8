"""One self-contained HTML page of tables, figures and runs; no address outside it and no script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snapshot_cli.durations import duration
from snapshot_cli.reporting.figures import inline_svg
from snapshot_cli.reporting.html_table import html_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TEMPLATES = Path(__file__).parent / "templates"
COLUMN = 4.0  # inches; a wider figure has the text's width and scrolls sideways on a small screen


@dataclass(frozen=True)
class TableBlock:
    """Hold a table, what to see in it, the lines below it, and the command that redraws it.

    The frame's cells are text, as `tables.table(rows, flavour="markdown")` gives it: **bold** is set bold.
    """

    caption: str
    frame: pd.DataFrame
    notes: Sequence[str] = ()
    command: str | None = None


@dataclass(frozen=True)
class FigureBlock:
    """Hold a figure, what to see in it, what it shows to those who do not see it, notes, and the command."""

    caption: str
    figure: Figure
    alternative: str
    notes: Sequence[str] = ()
    command: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """Hold a run: its id, its config as YAML text, seconds of training, device, versions by package, and commit.

    `dirty` tells whether the checkout had uncommitted changes; None stands for what is not known.
    """

    run_id: str
    config: str
    seconds: float | None = None
    device: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    commit: str | None = None
    dirty: bool | None = None
    started: str | None = None


@dataclass(frozen=True)
class Section:
    """Hold a part of the page: title, paragraphs, then tables and figures in order, and runs at its end."""

    title: str
    paragraphs: Sequence[str] = ()
    blocks: Sequence[TableBlock | FigureBlock] = ()
    runs: Sequence[RunFacts] = ()


def page(title: str, intro: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the HTML of a page with a contents list; text is escaped, figures are inline SVG.

    The same content gives the same page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    shown = [_section(section, number) for number, section in enumerate(sections, start=1)]
    return environment.get_template("page.html").render(title=title, intro=intro, sections=shown)


def _section(section: Section, number: int) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")
    blocks = [_block(block, f"s{number}f{place}") for place, block in enumerate(section.blocks, start=1)]
    return {
        "anchor": f"s{number}-{slug}".strip("-"),
        "title": section.title,
        "paragraphs": section.paragraphs,
        "blocks": blocks,
        "runs": [_run(run) for run in section.runs],
    }


def _block(block: TableBlock | FigureBlock, prefix: str) -> dict[str, Any]:
    from markupsafe import Markup

    common = {"caption": block.caption, "notes": block.notes, "command": block.command}
    if isinstance(block, TableBlock):
        return {"kind": "table", "table": html_table(block.frame), **common}
    kind = "wide" if block.figure.get_figwidth() > COLUMN else "column"
    svg = Markup(inline_svg(block.figure, prefix))  # matplotlib's own, text drawn as outlines
    return {"kind": kind, "svg": svg, "alternative": block.alternative, **common}


def _run(run: RunFacts) -> dict[str, Any]:
    time = None if run.seconds is None else duration(run.seconds)
    facts = [
        ("started", run.started),
        ("training time", time),
        ("device", run.device),
        ("versions", ", ".join(f"{name} {version}" for name, version in run.versions.items()) or None),
        ("commit", _commit(run)),
    ]
    return {
        "run_id": run.run_id,
        "config": run.config.strip(),
        "summary": ", ".join(text for text in (time, run.device) if text),
        "dirty": bool(run.dirty),
        "facts": [(name, value) for name, value in facts if value is not None],
    }


def _commit(run: RunFacts) -> str:
    if run.commit is None:
        return "not known: not trained from a git checkout"
    return run.commit + (", from a checkout with uncommitted changes" if run.dirty else "")
