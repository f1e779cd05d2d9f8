"""Render studies as one self-contained HTML page: the answer first, then tables and figures, then the runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from snapshot_cli.config import yaml_file
from snapshot_cli.reporting import claims, save
from snapshot_cli.reporting.drawn import Drawn, Picture
from snapshot_cli.scores import TrainedRun
from snapshot_cli.words import duration

if TYPE_CHECKING:
    from snapshot_cli.reporting.report import Sheet

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
COLUMN = 4.0  # inches; wider figures are shown at double width
SPANNING = 7  # columns; wider tables span the page and have their caption below
SPLITS = {"test": "test images", "holdout": "training images that were withheld"}


def page(sheets: Sequence[Sheet], *, title: str) -> str:
    """Return the HTML of a page with inline SVG figures and escaped text; it loads nothing from other addresses.

    Equal input gives equal bytes. Studies without finished experiments are listed at the end.
    """
    drawn = [sheet for sheet in sheets if sheet.drawn]
    listed: set[str] = set()
    html = TEMPLATES.get_template("page.html").render(
        title=title,
        answer=_answer(drawn),
        sections=[_section(sheet, number, listed) for number, sheet in enumerate(drawn, start=1)],
        empty=[sheet for sheet in sheets if not sheet.drawn],
    )
    return save.share_glyphs(html)


def _answer(sheets: Sequence[Sheet]) -> dict[str, Any] | None:
    """Return the top of the page: the claims and the story figure of the first study that compares methods."""
    sheet = next((sheet for sheet in sheets if _kinds(sheet) & {"methods"}), None)
    if sheet is None:
        return None
    stems = [stem for stem, drawing in sheet.study.render.items() if drawing.kind == "story"]
    story = next((artifact for artifact in sheet.drawn if artifact.request.stem in stems), None)
    return {
        "study": sheet.study.title,
        "sentences": claims.sentences(sheet.outcomes),
        "matrix": claims.matrix(sheet.outcomes),
        "further": [
            note.split("\n- ") for note in claims.further([outcome for sheet in sheets for outcome in sheet.outcomes])
        ],
        "story": None if story is None else _block(story, "story"),
    }


def _section(sheet: Sheet, number: int, listed: set[str]) -> dict[str, Any]:
    slug = re.sub(r"[^a-z0-9]+", "-", sheet.study.title.lower()).strip("-")
    stories = {stem for stem, drawing in sheet.study.render.items() if drawing.kind == "story"}
    shown = [artifact for artifact in sheet.drawn if number > 1 or artifact.request.stem not in stories]
    return {
        "anchor": f"s{number}-{slug}".strip("-"),
        "title": sheet.study.title,
        "split": SPLITS[sheet.study.split],
        "argument": sheet.argument,
        "empty": "; ".join(sheet.empty),
        "experiments": len(sheet.outcomes),
        "unfinished": list(_unfinished(sheet)),
        "blocks": [_block(artifact, f"s{number}f{index}") for index, artifact in enumerate(shown, start=1)],
        "runs": list(_runs(sheet, listed)),
    }


def _kinds(sheet: Sheet) -> set[str]:
    return {drawing.kind for drawing in sheet.study.render.values()}


def _unfinished(sheet: Sheet) -> Iterator[str]:
    """Yield the label of every unfinished experiment with its number of finished seeds."""
    for outcome in sheet.outcomes:
        if not outcome.is_complete:
            yield f"{outcome.group}, {outcome.label}: {outcome.seeds}"


def _block(artifact: Drawn, prefix: str) -> dict[str, Any]:
    common = {"caption": artifact.caption, "notes": [note.split("\n- ") for note in artifact.notes]}
    if not isinstance(artifact, Picture):
        kind = "table" if len(artifact.columns) < SPANNING else "spanning"
        return {"kind": kind, "table": artifact, **common}
    kind = "wide" if save.svg_size(artifact.svg)[0] > COLUMN else "column"
    svg = Markup(save.inline_svg(artifact.svg, prefix))  # safe: written by matplotlib, text as outlines
    return {"kind": kind, "table": None, "svg": svg, "alt_text": artifact.alt_text, **common}


def _runs(sheet: Sheet, listed: set[str]) -> Iterator[dict[str, Any]]:
    """Yield the runs that no previous section lists."""
    for outcome in sheet.outcomes:
        for scores in outcome.finished:
            for run_id, run in scores.runs.items():
                if run_id not in listed:
                    listed.add(run_id)
                    yield _run(run_id, run)


def _run(run_id: str, run: TrainedRun) -> dict[str, Any]:
    machine = run.machine[0] if run.machine else {}
    versions = machine.get("versions", {})
    dirty = any(session.get("uncommitted_changes") is True for session in run.machine)
    facts = [
        ("started", machine.get("started")),
        ("training time", duration(run.seconds)),
        ("device", machine.get("device_name") or machine.get("device")),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items()) or None),
        ("commit", _commit(machine.get("commit"), dirty)),
    ]
    return {
        "run_id": run_id,
        "config": yaml_file.written(run.config).strip(),
        "summary": ", ".join(str(value) for name, value in facts[1:3] if value),
        "dirty": dirty,
        "facts": [(name, value) for name, value in facts if value is not None],
    }


def _commit(commit: str | None, dirty: bool) -> str:
    if commit is None:
        return "unknown: not trained from a git checkout"
    return commit + (", from a checkout with uncommitted changes" if dirty else "")
