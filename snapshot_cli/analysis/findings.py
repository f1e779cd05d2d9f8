"""Check the statements of the paper's figures and text against the scores of a study, outside any family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from snapshot_cli.analysis.claims import Pair, Result, compute_differences, shared_settings
from snapshot_cli.analysis.statistics import Decision, Differences, discordant, judge_alone
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import implicit
from snapshot_cli.scores import Line, Scores

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

    question: Question
    group: Experiment
    alpha0: float | None
    decision: Decision
    finished: int
    planned: int


def answer_question(results: Sequence[Result], question: Question) -> list[Finding]:
    """Answer a question for every group that has the experiments it needs.

    "loss": training loss of the last epoch in nats, cosine minus step. "two-members": error of the single model minus
    the error of the last two snapshots. "correlation": mean correlation of the last three members, step minus cosine.
    "members": the lowest error of a snapshot minus the error of the ensemble. "nocycle": error of the single model
    minus the error of NoCycle, equivalent within `MARGIN`. "bump": the highest error inside a line from an earlier
    snapshot to the last one minus the higher error of its two ends, averaged over lines; yes if above 0 in every
    replicate.
    """
    return list(_QUESTIONS[question](_distinct(results)))


def _distinct(results: Sequence[Result]) -> list[Result]:
    """Return the single-run experiments without implicit ensembles; of duplicates keep the one with most replicates."""
    distinct: dict[Experiment, Result] = {}
    for result in sorted(results, key=lambda result: -result.experiment.replicates):
        if result.experiment.independent_runs == 1 and not implicit(result.experiment):
            distinct.setdefault(result.experiment.model_copy(update={"replicates": 1}), result)
    return list(distinct.values())


def _loss(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, step in _with_baseline(results, "single", "nocycle"):
        yield _finding("loss", snapshot, _contrasts(lambda a, b: _last_loss(a) - _last_loss(b), snapshot, step))


def _two_members(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, single in _with_baseline(results, "single"):
        if snapshot.experiment.cycles > 2:
            pair = Pair("", "", shared_settings(snapshot), snapshot, single)
            differences = compute_differences(pair, better=lambda scores: scores.last[1])
            if differences is not None:
                yield _finding("two-members", snapshot, differences)


def _correlation(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, step in _with_baseline(results, "nocycle"):
        if snapshot.experiment.cycles == step.experiment.cycles > LAST:
            values = _contrasts(lambda a, b: _last_correlation(b) - _last_correlation(a), snapshot, step)
            yield _finding("correlation", snapshot, values)


def _members(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot in _snapshots(results):
        if snapshot.experiment.cycles > 1:
            planned = snapshot.experiment.replicates
            gains = [_ensemble_gain(snapshot.scores[r]) for r in range(planned) if r in snapshot.scores]
            values, variances = tuple(gain for gain, _ in gains), tuple(variance for _, variance in gains)
            yield _finding("members", snapshot, Differences(values, variances, planned))


def _nocycle(results: Sequence[Result]) -> Iterator[Finding]:
    for nocycle in results:
        for single in results if nocycle.experiment.method == "nocycle" else ():
            group = _group(nocycle)
            if single.experiment.method == "single" and _group(single) == group:
                differences = compute_differences(Pair("", "", group, nocycle, single))
                if differences is not None:
                    decision = judge_alone(differences, margin=MARGIN)
                    yield Finding("nocycle", group, None, decision, len(differences.values), differences.planned)


def _bump(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot in _snapshots(results):
        planned = snapshot.experiment.replicates
        lines = [_lines(snapshot.scores[r]) for r in range(planned) if r in snapshot.scores]
        if lines and all(lines):
            bumps = tuple(fmean(map(_height, run_lines)) for run_lines in lines)
            differences = Differences(bumps, (0.0,) * len(bumps), planned)
            decision = judge_alone(differences)
            if differences.is_ready:
                has_bump = all(bump > 0 for bump in bumps)
                decision = Decision("yes" if has_bump else "no", decision.mean, decision.estimate)
            yield Finding("bump", shared_settings(snapshot), snapshot.experiment.alpha0, decision, len(bumps), planned)


_QUESTIONS: dict[Question, Callable[[Sequence[Result]], Iterator[Finding]]] = {
    "loss": _loss,
    "two-members": _two_members,
    "correlation": _correlation,
    "members": _members,
    "nocycle": _nocycle,
    "bump": _bump,
}


def _finding(question: Question, snapshot: Result, differences: Differences) -> Finding:
    alpha0, decision = snapshot.experiment.alpha0, judge_alone(differences)
    finished = len(differences.values)
    return Finding(question, shared_settings(snapshot), alpha0, decision, finished, differences.planned)


def _snapshots(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.experiment.method == "snapshot"]


def _with_baseline(results: Sequence[Result], *methods: str) -> Iterator[tuple[Result, Result]]:
    """Yield every Snapshot with a baseline of its group: the first of `methods` that the group has."""
    for snapshot in _snapshots(results):
        group = _group(snapshot)
        baselines = [result for result in results if result.experiment.method in methods and _group(result) == group]
        if baselines:
            yield snapshot, min(baselines, key=lambda baseline: methods.index(baseline.experiment.method))


def _group(result: Result) -> Experiment:
    """Return the settings that compared experiments share; the number of cycles may differ."""
    return shared_settings(result, cycles=1)


def _contrasts(contrast: Callable[[Scores, Scores], float], snapshot: Result, baseline: Result) -> Differences:
    """Return a contrast for every replicate that is finished in both experiments."""
    planned = min(snapshot.experiment.replicates, baseline.experiment.replicates)
    finished = [r for r in range(planned) if r in snapshot.scores and r in baseline.scores]
    values = tuple(contrast(snapshot.scores[r], baseline.scores[r]) for r in finished)
    return Differences(values, (0.0,) * len(values), planned)


def _last_loss(scores: Scores) -> float:
    run = scores.only_run
    return run.curve.train_loss[-1] if run and run.curve.train_loss else float("nan")


def _last_correlation(scores: Scores) -> float:
    last = range(len(scores.members) - LAST, len(scores.members))
    return fmean(scores.correlation[a][b] for a in last for b in last if a < b)


def _ensemble_gain(scores: Scores) -> tuple[float, float]:
    """Return the error of the best member minus the ensemble's, and its variance from the images alone."""
    best = min(scores.alone, key=lambda metrics: metrics.error)
    discordant_images = sum(discordant(scores.right(best), scores.right(scores.ensemble)))
    return best.error - scores.ensemble.error, discordant_images * (100 / scores.images) ** 2


def _lines(scores: Scores) -> list[Line]:
    lines = scores.only_run.lines if scores.only_run else []
    return [line for line in lines if line.statistics == STATISTICS and len(line.errors) > 2]


def _height(line: Line) -> float:
    return max(line.errors[1:-1]) - max(line.errors[0], line.errors[-1])
