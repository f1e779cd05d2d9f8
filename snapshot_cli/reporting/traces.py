"""The figures of runs: rate and loss over epochs, errors between snapshots, correlations, reliability."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.analysis import beyond, paper
from snapshot_cli.config.experiment import iterations_per_epoch
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import figures
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, by_pair
from snapshot_cli.reporting.entries import Entry
from snapshot_cli.reporting.figures import (
    CalibrationPanel,
    CorrelationPanel,
    InterpolationPanel,
    LossCurve,
    PaperPoint,
    RateCurve,
)
from snapshot_cli.reporting.rate_curve import planned
from snapshot_cli.run_directory import METRICS, RunDirectory

LINE = "Weights are λ × last snapshot + (1 − λ) × earlier snapshot."
STATISTICS = {
    "reestimated": f"{LINE} Batch-norm statistics are estimated anew on training images at every point.",
    "final": f"{LINE} Batch-norm statistics are the running ones of the last snapshot at every point, as learnable "
    "parameters alone are interpolated: λ = 0 is not the earlier snapshot's own error.",
}

READ_OFF = "The paper's losses were read off its Figure 2, give or take 15 %."


def loss(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the training loss of one run an experiment, with the rate below it, a figure a pair (Figure 2)."""
    caption = (
        "Mean training loss of every epoch, on a log scale, and the learning rate. Each restart throws the loss up, "
        "and each cycle brings it down again."
    )
    drawn: list[Drawn] = []
    for part, asked in by_pair(_traced(entries), request):
        curves, rates = [_loss_curve(entry) for entry in part], [rate_curve(entry) for entry in part]
        restarts = next((each.snapshots for each in rates if each.method == "snapshot"), rates[0].snapshots)
        figure = figures.training_loss(curves, rates, restarts=restarts, title=part[0].group)
        words = ", ".join(f"{curve.label} ends at {curve.losses[-1]:.2g}" for curve in curves)
        notes = [READ_OFF] if any(curve.paper for curve in curves) else []
        drawn.append(Picture(asked, caption, figure, f"{part[0].group}: {words}", notes))
    return drawn


def schedule(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the learning rates, snapshots marked, a figure a network and dataset."""
    drawn: list[Drawn] = []
    for part, asked in by_pair(_traced(entries), request):
        rates = [rate_curve(entry) for entry in part]
        words = ", ".join(f"{curve.label} with {len(curve.snapshots)} snapshots" for curve in rates)
        figure = figures.schedule(rates, title=part[0].group)
        drawn.append(Picture(asked, "Learning rate against epochs; marks are snapshots.", figure, words))
    return drawn


def _traced(entries: Sequence[Entry]) -> list[Entry]:
    """Return the experiments with one finished run and its rows of metrics, of those that share it the first."""
    found: dict[RunDirectory, Entry] = {}
    for entry in entries:
        if len(entry.directories) == 1 and entry.directories[0].metrics():
            found.setdefault(entry.directories[0], entry)
    return list(found.values())


def _epoch_length(directory: RunDirectory) -> int:
    return iterations_per_epoch(_examples(directory), directory.run.batch_size)


def _examples(directory: RunDirectory) -> int:
    """Return how many training images an epoch of a finished run has."""
    examples: int = directory.summary.get("train_examples") or 0
    if examples < 1:
        raise UserError(
            f"{directory.path}: does not say how many images it was trained on; delete it and train it again"
        )
    return examples


def _loss_curve(entry: Entry) -> LossCurve:
    (directory,) = entry.directories
    rows, length, experiment = directory.metrics(), _epoch_length(directory), entry.experiment
    if not {"iteration", "train_loss"} <= rows[0].keys():
        raise UserError(
            f"{directory.path / METRICS}: has no iterations or losses; delete {directory.path} and train it again"
        )
    return LossCurve(
        entry.method,
        experiment.method,
        experiment.alpha0,
        epochs=[row["iteration"] / length for row in rows],
        losses=[row["train_loss"] for row in rows],
        paper=[PaperPoint(x, y, y * paper.FIGURE2_UNCERTAINTY) for x, y in paper.losses(experiment).items()],
    )


def rate_curve(entry: Entry) -> RateCurve:
    """Return the learning rate of an experiment's run against epochs."""
    (directory,) = entry.directories
    return planned(directory.run, _examples(directory), label=entry.method, method=entry.experiment.method)


def interpolation(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw errors on the lines to the last snapshot, statistics re-estimated (Figure 5)."""
    return _interpolation(entries, request, "reestimated")


def interpolation_final(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw errors on the lines to the last snapshot with its running statistics."""
    return _interpolation(entries, request, "final")


def _interpolation(entries: Sequence[Entry], request: Request, statistics: str) -> list[Drawn]:
    stored = [entry for entry in entries if len(entry.directories) == 1 and entry.directories[0].has_interpolation]
    panels = [_interpolation_panel(entry, statistics) for entry in stored if len(entry.scored[0].members) > 1]
    if not panels:
        return []
    caption = (
        "Test error on the line from every earlier snapshot (left) to the last one (right). A bump between says that "
        "the two lie in different minima."
    )
    words = [f"{panel.title}: {len(panel.errors)} lines, highest {_highest(panel):.2f} %" for panel in panels]
    return [Picture(request, caption, figures.interpolation(panels), "; ".join(words), [STATISTICS[statistics]])]


def _interpolation_panel(entry: Entry, statistics: str) -> InterpolationPanel:
    rows = [row for row in entry.directories[0].interpolation() if row[2] == statistics]
    lambdas = sorted({place for _, place, _, _ in rows})
    found = {(snapshot, place): error for snapshot, place, _, error in rows}
    snapshots = sorted({snapshot for snapshot, _ in found})
    errors = [[found[snapshot, place] for place in lambdas] for snapshot in snapshots]
    return InterpolationPanel(f"{entry.group}, {entry.method}", lambdas, errors)


def _highest(panel: InterpolationPanel) -> float:
    return max(max(line) for line in panel.errors)


def correlation(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw the pairwise correlations of the members of each ensemble (Figure 6)."""
    several = [entry for entry in entries if entry.scored and len(entry.scored[0].members) > 1]
    if not several:
        return []
    panels = [CorrelationPanel(f"{each.group}, {each.method}", beyond.correlation(each.scored)) for each in several]
    caption = "Correlation between the softmax outputs of every two snapshots. Lower is more diverse."
    note = "Pearson correlation over all softmax entries, examples and classes together; the paper states none."
    words = [f"{panel.title}: first with last {panel.values[0, -1]:.3f}" for panel in panels]
    return [Picture(request, caption, figures.correlation(panels), "; ".join(words), [note])]


def calibration(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw a reliability diagram an experiment, a figure a network and dataset, its replicates pooled."""
    drawn: list[Drawn] = []
    for part, asked in by_pair([entry for entry in entries if entry.scored], request):
        panels = [
            CalibrationPanel(e.method, e.experiment.method, e.experiment.alpha0, beyond.reliability(e.scored))
            for e in part
        ]
        caption = f"{part[0].group}: accuracy against confidence in 15 bins. Below the diagonal is overconfident."
        drawn.append(Picture(asked, caption, figures.calibration(panels), f"{len(panels)} reliability diagrams"))
    return drawn
