"""Make scores of chosen correctness, without runs and predictions."""

import hashlib

import numpy as np

from snapshot_cli.analysis import labels
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.config import plan
from snapshot_cli.scores import Curve, Line, Member, Metrics, Reliability, Scores, TrainedRun, pack

IMAGES = 1000


def right(mistakes, first=0, images=IMAGES):
    """Return the correctness of a network that is wrong on `mistakes` images from `first` on."""
    correct = np.ones(images, bool)
    correct[first : first + mistakes] = False
    return correct


def metrics(correct, **numbers):
    """Return metrics whose error is that of some correctness, whose other numbers are made up."""
    correct = right(correct) if isinstance(correct, int) else correct
    values = {"top5_error": 1.0, "nll": 0.5, "brier": 0.2, "temperatures": (1.0, 1.0), "calibrated_nll": 0.4}
    bins = Reliability(count=[len(correct)], confidence=[0.9], accuracy=[float(np.mean(correct))])
    error = 100 * float(np.mean(~correct))
    return Metrics(**{"error": error, "reliability": bins, "correct": pack(correct)} | values | numbers)


def trained(run, *, losses=(0.1,), machine=(), lines=()):
    """Return a finished run; `lines` are the errors from each earlier snapshot to the last one."""
    curve = Curve(step=[10], train_loss=list(losses), train_error=[1.0], seconds=[2.0])
    drawn = [
        Line(snapshot=k, statistics="reestimated", lambdas=list(np.linspace(0, 1, len(errors))), errors=list(errors))
        for k, errors in enumerate(lines, start=1)
    ]
    facts = {"dataset_hash": "0", "train_examples": 640, "steps": 40, "files": {}}
    return TrainedRun(config=run, curve=curve, machine=list(machine), lines=drawn, **facts)


def scores(cell, ensemble, *, alone=None, last=None, correlation=0.5, images_of="a", calibrated=None, chosen=(), **run):
    """Return the scores of a cell whose ensemble of all members makes some mistakes (or has some correctness).

    `alone` are those of the members, `last` those of the ensembles of the last m = 2..M-1; by default they are the
    ensemble's. `calibrated` are the calibrated NLLs of the last m = 1..M.
    """
    size = len(cell.members)
    whole = metrics(ensemble)
    each = [metrics(mistakes) for mistakes in (alone or [ensemble] * size)]
    later = [metrics(mistakes) for mistakes in (last or [ensemble] * (size - 2))][: max(size - 2, 0)]
    later = [*later, whole] if size > 1 else []
    if size == 1:
        each = [whole]
    if calibrated:
        each[-1], *later = (
            one.model_copy(update={"calibrated_nll": value})
            for one, value in zip([each[-1], *later], calibrated, strict=True)
        )
    runs = {member.run.run_id: trained(member.run, **run) for member in cell.members}
    return Scores(
        experiment=cell.alone,
        split="test",
        images=len(whole_correct(whole)),
        labels_sha256=hashlib.sha256(images_of.encode()).hexdigest(),
        classes=10,
        members=[Member(run=member.run.run_id, snapshot=member.snapshot) for member in cell.members],
        runs=runs,
        alone=each,
        later=later,
        earlier=later[:-1],
        correlation=[[1.0 if a == b else correlation for a in range(size)] for b in range(size)],
        disagreement=[[0.0 if a == b else 20.0 for a in range(size)] for b in range(size)],
        chosen=list(chosen),
        cost=plan.cost(cell.runs, cell.experiment.budget),
    )


def whole_correct(whole):
    return range(whole.reliability.count[0])


def outcome(experiment, *ensembles, **options):
    """Return an experiment with scores for every replicate of which the mistakes are given; None: not finished."""
    found = {
        r: scores(plan.cell(experiment, replicate=r), ensemble, **options)
        for r, ensemble in enumerate(ensembles)
        if ensemble is not None
    }
    label = labels.methods([experiment])[experiment]
    return Outcome(experiment, label, found)
