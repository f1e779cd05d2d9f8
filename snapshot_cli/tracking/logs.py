"""The folders of a TensorBoard's log directory: one a run, one an ensemble, one for the figures of a study."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from snapshot_cli.analysis import scoring
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.plan import Cell
from snapshot_cli.config.study import Split, Study
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import labels, report
from snapshot_cli.reporting.drawn import Picture
from snapshot_cli.run_directory import RunDirectory, Status
from snapshot_cli.tracking import curves, events
from snapshot_cli.tracking.event_file import grow


@dataclass(frozen=True)
class Log:
    """A folder: its name, how far what it shows is, and the content of its event file, None where there is none."""

    name: str
    status: Callable[[], Status]
    content: Callable[[], bytes | None]


def update(logs: Sequence[Log], output: Path) -> tuple[list[Log], dict[str, str]]:
    """Bring event files below `output` up to date; return what is not done yet, and by log what is wrong, in words."""
    unfinished: list[Log] = []
    wrong: dict[str, str] = {}
    for log in logs:
        status = log.status()
        if status != "done":
            unfinished.append(log)
        try:
            content = None if status == "absent" else log.content()
        except UserError as error:
            wrong[log.name] = str(error)
            continue
        if content is not None:
            grow(output / log.name, content)
    return unfinished, wrong


def of_run(directory: RunDirectory, run: Run, examples: int, *, split: Split) -> Log:
    """Return the log of a run that trains on so many examples."""

    def content() -> bytes:
        fresh = replace(directory)  # what was read of the run before is not kept
        points = list(curves.of_training(fresh, examples))
        if fresh.status == "done":
            members = [(fresh, snapshot) for snapshot in range(1, run.snapshots + 1)]
            scores = scoring.score(members, split=split)
            points += [*curves.of_snapshots(scores), *curves.of_ensembles(scores)]
        return events.of_session(run.run_id, curves.settings(run), points, start=curves.began(fresh))

    return Log(f"runs/{run.run_id}", lambda: directory.status, content)


def of_ensembles(study: Study, results: Path) -> Iterator[Log]:
    """Yield the log of every replicate of every experiment of a study."""
    names = labels.methods(study.experiments)
    for cell in plan.expand(study):
        experiment = cell.experiment
        words = [names[experiment]] + [f"replicate {cell.replicate}"] * (experiment.replicates > 1)
        name = "/".join(["ensembles", study.name, experiment.dataset, experiment.network, _plain(", ".join(words))])
        yield _of_ensemble(name, cell, results, study.split)


def of_figures(study: Study, results: Path, hashes: Mapping[str, str]) -> Log:
    """Return the log of the figures of a study, drawn from what is finished."""

    def content() -> bytes | None:
        sheet = report.draw(study, results, hashes)
        drawn = [each for each in sheet.drawn if isinstance(each, Picture)]
        pictures = {f"figures/{each.request.stem}": each.png for each in drawn}
        runs = [run for outcome in sheet.outcomes for scores in outcome.finished for run in scores.runs.values()]
        return events.of_pictures(pictures, time=max(map(curves.ended, runs))) if pictures else None

    return Log(f"figures/{study.name}", lambda: "done", content)


def _of_ensemble(name: str, cell: Cell, results: Path, split: Split) -> Log:
    def status() -> Status:
        return "absent" if scoring.missing_runs([cell], results, split) else "done"

    def content() -> bytes | None:
        scores = scoring.find(cell, results, split)
        if scores is None:
            return None
        points = [*curves.of_members(scores), *curves.of_ensembles(scores)]
        start = min(map(curves.started, scores.runs.values()))
        return events.of_session(name, curves.settings(cell.alone), points, start=start)

    return Log(name, status, content)


def _plain(label: str) -> str:
    """Return a label as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", label.replace("α₀", "alpha0").replace("×", "x")).strip("-.")
