"""The tables and figures of studies, drawn from whatever of their runs is finished, as files and as one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.files import write_atomically
from snapshot_cli.reporting import html, measurements, numbers, pictures, titles, traces
from snapshot_cli.reporting.drawn import Drawn, Request, Rows
from snapshot_cli.reporting.entries import Entry, collect, unfinished
from snapshot_cli.run_directory import RunDirectory

Draw = Callable[[Sequence[Entry], Request], list[Drawn]]

KINDS: dict[str, Draw] = {
    "methods": numbers.methods,
    "cycles": numbers.cycles,
    "metrics": measurements.measured,
    "weighting": measurements.weighting,
    "ensemble-size": pictures.ensemble_size,
    "budget": pictures.budget,
    "over-time": pictures.over_time,
    "cost": pictures.cost,
    "schedule": traces.schedule,
    "loss": traces.loss,
    "interpolation": traces.interpolation,
    "interpolation-final": traces.interpolation_final,
    "correlation": traces.correlation,
    "calibration": traces.calibration,
}

UNSCORED = {"schedule", "loss"}  # show the training alone


@dataclass(frozen=True)
class Sheet:
    """Hold the tables and figures of a study, the directories of its finished runs, and its name for people to type.

    `absent` are the stems of figures of which nothing is there yet.
    """

    study: Study
    called: str | None
    drawn: Sequence[Drawn]
    directories: Sequence[RunDirectory]
    absent: Sequence[str] = ()

    def write(self, folder: Path) -> list[Path]:
        """Write every table and figure into a folder and return the files."""
        return [path for each in self.drawn for path in each.write(folder)]


def draw(study: Study, results: Path, dataset_hashes: Mapping[str, str], *, called: str | None = None) -> Sheet:
    """Return every table and figure that a study renders, from what is finished below a folder of results.

    `called` is what a person gives to `snapshot reproduce` for this study, told beside what is missing.
    """
    entries = collect(study, results, dataset_hashes)
    requests = {stem: Request(stem, study.title, called) for stem in study.render}
    drawn = {stem: _draw(entries, drawing, requests[stem]) for stem, drawing in study.render.items()}
    scored = [each for entry in entries for each in entry.scored]
    return Sheet(
        study,
        called,
        [each for found in drawn.values() for each in found],
        list(dict.fromkeys(directory for each in scored for directory in each.directories)),
        [stem for stem, found in drawn.items() if not found],
    )


def _draw(entries: Sequence[Entry], drawing: Drawing, request: Request) -> list[Drawn]:
    """Return the tables or figures of a drawing; what is not finished is said below them, as `Rows` do."""
    chosen = shown(entries, drawing)
    note = unfinished(chosen, request.study)
    return [
        each if isinstance(each, Rows) else replace(each, notes=[*each.notes, *note])
        for each in KINDS[drawing.kind](chosen, request)
    ]


def shown(entries: Sequence[Entry], drawing: Drawing) -> list[Entry]:
    """Return the experiments that a drawing asks for, with the labels that tell these from one another."""
    chosen = [entry for entry in entries if drawing.shows(entry.experiment)]
    labels = titles.methods([entry.experiment for entry in chosen])
    return [replace(entry, method=labels[entry.experiment]) for entry in chosen]


def page(sheets: Sequence[Sheet], *, title: str) -> str:
    """Return the page over the studies that have anything finished."""
    sections: list[html.Section] = []
    listed: set[RunDirectory] = set()
    for sheet in (sheet for sheet in sheets if sheet.directories):
        own = [directory for directory in sheet.directories if directory not in listed]
        listed |= set(own)
        blocks, runs = [each.block() for each in sheet.drawn], [facts(each) for each in own]
        sections.append(html.Section(sheet.study.title, _paragraphs(sheet), blocks, runs))
    return html.page(title, INTRO, sections)


def write_page(sheets: Sequence[Sheet], results: Path, *, title: str) -> Path:
    """Write report.html into the folder of results and return its path."""
    path, content = results / "report.html", page(sheets, title=title).encode()
    write_atomically(path, content)
    return path


INTRO = (
    "Every number here is computed from the predictions that the runs listed below have stored. Errors are percentages "
    "of the images that were scored on; a run stands in the section that needs it first.",
)


def _paragraphs(sheet: Sheet) -> list[str]:
    kinds = {drawing.kind for drawing in sheet.study.render.values()}
    where = "test images" if sheet.study.split == "test" else "training images that were withheld"
    sentences = [] if kinds <= UNSCORED else [f"Scored on {where}."]
    if sheet.absent:
        sentences += [f"Nothing to draw yet: {', '.join(sheet.absent)}."]
    if sheet.called:
        sentences += [f"Train what is missing and draw it again: snapshot reproduce {sheet.called}"]
    return [" ".join(sentences)] if sentences else []


def facts(directory: RunDirectory) -> html.RunFacts:
    """Return what the page says of a run."""
    machine, summary = directory.machine, directory.summary
    return html.RunFacts(
        run_id=directory.run.run_id,
        config=(directory.path / "config.yaml").read_text("utf-8"),
        seconds=summary.get("seconds"),
        device=machine.get("device_name") or machine.get("device"),
        versions=machine.get("versions", {}),
        commit=machine.get("commit"),
        dirty=directory.uncommitted_changes,
        started=machine.get("started"),
    )
