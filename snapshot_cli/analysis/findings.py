"""Check the statements of the paper's figures and text against the scores of a study, outside any family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from snapshot_cli.analysis.claims import contrast, shared_settings, subtract_errors
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.analysis.statistics import Decision, Differences, judge_alone
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import implicit
from snapshot_cli.scores import Line, Metrics, Scores

Question = Literal["loss", "two-members", "bump", "correlation", "members", "nocycle"]

MARGIN = 0.5
"""NoCycle is equivalent to the single model if their errors differ by at most this many points."""
STATISTICS = "reestimated"
"""The batch-norm statistics of the interpolation lines that are searched for a bump."""
LAST = 3
"""The number of last snapshots whose correlation Figure 6 discusses."""


@dataclass(frozen=True)
class Finding:
    """The answer to a question for one group and initial learning rate; values above 0 support the paper.

    `alpha0` is None if the question involves no cosine run. `finished` and `planned` count replicates.
    """

    group: Experiment
    alpha0: float | None
    decision: Decision
    finished: int
    planned: int

    @property
    def pair(self) -> tuple[str, str]:
        """The network and the dataset."""
        return self.group.network, self.group.dataset


Measured = Iterator[tuple[Outcome, Differences | None]]
"""Experiments with the measured quantity of every replicate; None if the images differ."""


@dataclass(frozen=True)
class Statement:
    """A statement of the paper, the quantity that is above 0 if it holds here, and its unit and decimal places."""

    paper: str
    measured: str
    measure: Callable[[Sequence[Outcome]], Measured]
    unit: str = " points"
    places: int = 2


def check_statement(outcomes: Sequence[Outcome], question: Question) -> list[Finding]:
    """Check a statement of the paper for every group that has the experiments it needs."""
    measured = STATEMENTS[question].measure(_distinct(outcomes))
    return [_finding(question, outcome, differences) for outcome, differences in measured if differences]


def _finding(question: Question, outcome: Outcome, differences: Differences) -> Finding:
    decision = judge_alone(differences, margin=MARGIN if question == "nocycle" else None)
    if question == "bump" and differences.is_ready:
        decision = replace(decision, answer="yes" if all(bump > 0 for bump in differences.values) else "no")
    alpha0 = None if question == "nocycle" else outcome.experiment.alpha0
    return Finding(shared_settings(outcome), alpha0, decision, len(differences.values), differences.planned)


def _distinct(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the single-run experiments without implicit ensembles; of duplicates keep the one with most replicates."""
    distinct: dict[Experiment, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.experiment.replicates):
        if outcome.experiment.independent_runs == 1 and not implicit(outcome.experiment):
            distinct.setdefault(outcome.experiment.model_copy(update={"replicates": 1}), outcome)
    return list(distinct.values())


def _loss(outcomes: Sequence[Outcome]) -> Measured:
    for snapshot, step in _with_baseline(outcomes, "snapshot", "single", "nocycle"):
        yield snapshot, contrast(snapshot, step, lambda a, b: _last_loss(a) - _last_loss(b))


def _two_members(outcomes: Sequence[Outcome]) -> Measured:
    for snapshot, single in _with_baseline(outcomes, "snapshot", "single"):
        if snapshot.experiment.cycles > 2:
            yield snapshot, subtract_errors(snapshot, single, of_better=lambda scores: scores.last[1])


def _bump(outcomes: Sequence[Outcome]) -> Measured:
    for snapshot in _of_method(outcomes, "snapshot"):
        if snapshot.scores and all(_lines(scores) for scores in snapshot.finished):
            yield snapshot, contrast(snapshot, snapshot, lambda scores, _: fmean(map(_height, _lines(scores))))


def _correlation(outcomes: Sequence[Outcome]) -> Measured:
    for snapshot, nocycle in _with_baseline(outcomes, "snapshot", "nocycle"):
        if snapshot.experiment.cycles == nocycle.experiment.cycles > LAST:
            yield snapshot, contrast(snapshot, nocycle, lambda a, b: _last_correlation(b) - _last_correlation(a))


def _members(outcomes: Sequence[Outcome]) -> Measured:
    for snapshot in _of_method(outcomes, "snapshot"):
        if snapshot.experiment.cycles > 1:
            yield snapshot, subtract_errors(snapshot, snapshot, of_worse=_best_member)


def _nocycle(outcomes: Sequence[Outcome]) -> Measured:
    for nocycle, single in _with_baseline(outcomes, "nocycle", "single"):
        yield nocycle, subtract_errors(nocycle, single)


STATEMENTS: dict[Question, Statement] = {
    "loss": Statement(
        "Figure 2. The paper: the standard schedule ends at a lower training loss than the cycles.",
        "Loss of the last epoch, cosine minus step",
        _loss,
        " nats",
        4,
    ),
    "two-members": Statement(
        "Figure 3. The paper: in most cases two snapshots already beat the single model.",
        "Error of the single model minus that of the last two snapshots",
        _two_members,
    ),
    "bump": Statement(
        "Figure 5. The paper: between most earlier snapshots and the last one the error has a bump, so they are in "
        "different minima.",
        "Height of the bump: the highest error between the two minus that of the worse one, with re-estimated "
        "batch-norm statistics, mean over the lines of a run; yes if it is above 0 for all seeds, else no",
        _bump,
    ),
    "correlation": Statement(
        "Figure 6. The paper: the last three snapshots of the standard schedule correlate more than those of the "
        "cycles.",
        "Mean correlation of the last three, step minus cosine",
        _correlation,
        "",
        3,
    ),
    "members": Statement(
        "Figures 7 and 8. The paper: the ensemble always has a lower error than all of its members.",
        "Error of the best snapshot minus that of the ensemble",
        _members,
    ),
    "nocycle": Statement(
        "Section 4. The paper: NoCycle has little effect.",
        f"Error of the single model minus that of NoCycle; yes if the interval is within ±{MARGIN:g} points, no if it "
        "is outside, otherwise not decided",
        _nocycle,
    ),
}


def _of_method(outcomes: Sequence[Outcome], method: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.experiment.method == method]


def _with_baseline(outcomes: Sequence[Outcome], method: str, *baselines: str) -> Iterator[tuple[Outcome, Outcome]]:
    """Yield the experiments of a method, with a baseline of equal shared settings.

    It is of the first of `baselines` that there is, and has the same number of cycles if there is such a one.
    """
    candidates = [other for name in baselines for other in _of_method(outcomes, name)]
    for outcome in _of_method(outcomes, method):
        cycles = outcome.experiment.cycles
        rivals = [c for c in candidates if shared_settings(c, cycles=cycles) == shared_settings(outcome)]
        rivals = [c for c in rivals if c.experiment.method == rivals[0].experiment.method]
        if rivals:
            yield outcome, min(rivals, key=lambda rival: rival.experiment.cycles != cycles)


def _last_loss(scores: Scores) -> float:
    run = scores.only_run
    return run.curve.train_loss[-1] if run and run.curve.train_loss else float("nan")


def _last_correlation(scores: Scores) -> float:
    last = range(len(scores.members) - LAST, len(scores.members))
    return fmean(scores.correlation[a][b] for a in last for b in last if a < b)


def _best_member(scores: Scores) -> Metrics:
    return min(scores.alone, key=lambda metrics: metrics.error)


def _lines(scores: Scores) -> list[Line]:
    lines = scores.only_run.lines if scores.only_run else []
    return [line for line in lines if line.statistics == STATISTICS and len(line.errors) > 2]


def _height(line: Line) -> float:
    return max(line.errors[1:-1]) - max(line.errors[0], line.errors[-1])
