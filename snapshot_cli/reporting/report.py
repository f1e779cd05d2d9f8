"""The tables and figures of studies, drawn from whatever of their runs is finished, as files and as one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.files import write_atomically
from snapshot_cli.reporting import html, measurements, numbers, pictures, titles, traces
from snapshot_cli.reporting.drawn import Drawn, Request
from snapshot_cli.reporting.entries import Entry, collect
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


@dataclass(frozen=True)
class Sheet:
    """Hold the tables and figures of a study, the directories of its finished runs, and its name for people to type."""

    study: Study
    called: str | None
    drawn: Sequence[Drawn]
    directories: Sequence[RunDirectory]

    def write(self, folder: Path) -> list[Path]:
        """Write every table and figure into a folder and return the files."""
        return [path for each in self.drawn for path in each.write(folder)]


def draw(study: Study, results: Path, dataset_hashes: Mapping[str, str], *, called: str | None = None) -> Sheet:
    """Return every table and figure that a study renders, from what is finished below a folder of results.

    `called` is what a person gives to `snapshot reproduce` for this study, told beside what is missing.
    """
    entries = collect(study, results, dataset_hashes)
    drawn: list[Drawn] = []
    for stem, drawing in study.render.items():
        drawn += KINDS[drawing.kind](shown(entries, drawing), Request(stem, study.title, called))
    scored = [each for entry in entries for each in entry.scored]
    return Sheet(study, called, drawn, list(dict.fromkeys(d for each in scored for d in each.directories)))


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
    write_atomically(path, lambda file: file.write(content))
    return path


INTRO = (
    "Every number here is computed from the predictions that the runs listed below have stored. Errors are percentages "
    "of the images that were scored on; a run stands in the section that needs it first.",
)


def _paragraphs(sheet: Sheet) -> list[str]:
    where = "test images" if sheet.study.split == "test" else "training images that were withheld"
    again = f" Train what is missing and draw it again: snapshot reproduce {sheet.called}" if sheet.called else ""
    return [f"Scored on {where}.{again}"]


def facts(directory: RunDirectory) -> html.RunFacts:
    """Return what the page says of a run."""
    machine, summary = directory.machine, directory.summary
    return html.RunFacts(
        run_id=directory.run.run_id,
        config=(directory.path / "config.yaml").read_text(),
        seconds=summary.get("seconds"),
        device=machine.get("device_name") or machine.get("device"),
        versions=machine.get("versions", {}),
        commit=machine.get("commit"),
        dirty=directory.uncommitted_changes,
    )
