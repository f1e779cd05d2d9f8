"""The folders of a TensorBoard log directory: one per run, one per ensemble, one for a study's figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshot_cli.analysis import labels, scoring
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.plan import Cell
from snapshot_cli.config.study import Split, Study
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import report
from snapshot_cli.reporting.drawn import Picture
from snapshot_cli.run_directory import RunDirectory, Status
from snapshot_cli.tracking import curves, events
from snapshot_cli.tracking.event_file import extend


@dataclass(frozen=True)
class Log:
    """A folder of the log directory: name, status of its source, and the content of its event file, None for none."""

    name: str
    status: Callable[[], Status]
    content: Callable[[], bytes | None]


def update(logs: Sequence[Log], output: Path) -> tuple[list[Log], dict[str, str]]:
    """Extend the event files below `output`; return the logs that are not done and the errors by name of log."""
    unfinished: list[Log] = []
    errors: dict[str, str] = {}
    for log in logs:
        status = log.status()
        if status != "done":
            unfinished.append(log)
        try:
            content = None if status == "absent" else log.content()
        except UserError as error:
            errors[log.name] = str(error)
            continue
        if content is not None:
            extend(output / log.name, content)
    return unfinished, errors


def run_log(directory: RunDirectory, run: Run, examples: int, *, split: Split) -> Log:
    """Return the log of a run, given its number of training examples."""

    def content() -> bytes:
        fresh = replace(directory)  # drops what was cached of the run
        points = list(curves.training_points(fresh, examples))
        if fresh.status == "done":
            members = [(fresh, snapshot) for snapshot in range(1, run.snapshots + 1)]
            scores = scoring.score(members, split=split)
            points += [*curves.snapshot_points(scores), *curves.ensemble_points(scores)]
        return events.session_file(run.run_id, curves.settings(run), points, start=curves.start_time(fresh))

    return Log(f"runs/{run.run_id}", lambda: directory.status, content)


def ensemble_logs(study: Study, results: Path) -> Iterator[Log]:
    """Yield the log of every replicate of every experiment of a study."""
    names = labels.methods(study.experiments)
    for cell in plan.expand(study):
        experiment = cell.experiment
        words = [names[experiment]] + [f"replicate {cell.replicate}"] * (experiment.replicates > 1)
        name = "/".join(
            ["ensembles", study.name, experiment.dataset, experiment.network, _folder_name(", ".join(words))]
        )
        yield _ensemble_log(name, cell, results, study.split)


def figure_log(study: Study, results: Path, hashes: Mapping[str, str]) -> Log:
    """Return the log of the figures of a study, drawn from finished runs."""

    def content() -> bytes | None:
        sheet = report.draw(study, results, hashes)
        figures = [drawing for drawing in sheet.drawn if isinstance(drawing, Picture)]
        pictures = {f"figures/{figure.request.stem}": figure.png for figure in figures}
        runs = [run for outcome in sheet.outcomes for scores in outcome.finished for run in scores.runs.values()]
        return events.picture_file(pictures, time=max(map(curves.end_time, runs))) if pictures else None

    return Log(f"figures/{study.name}", lambda: "done", content)


def _ensemble_log(name: str, cell: Cell, results: Path, split: Split) -> Log:
    def status() -> Status:
        return "absent" if scoring.missing_runs([cell], results, split) else "done"

    def content() -> bytes | None:
        scores = scoring.find(cell, results, split)
        if scores is None:
            return None
        points = [*curves.member_points(scores), *curves.ensemble_points(scores)]
        start = min(map(curves.start_of_run, scores.runs.values()))
        return events.session_file(name, curves.settings(cell.alone), points, start=start)

    return Log(name, status, content)


def _folder_name(label: str) -> str:
    """Return a label as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", label.replace("α₀", "alpha0").replace("×", "x")).strip("-.")
