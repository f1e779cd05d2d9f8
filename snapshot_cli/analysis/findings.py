"""What the paper's figures and text say of its networks, answered from the scores of a study, outside any family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from snapshot_cli.analysis.claims import Pair, Result, difference, settings_of
from snapshot_cli.analysis.statistics import Decision, Differences, discordant, judge_alone
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import implicit
from snapshot_cli.scores import Line, Scores

Question = Literal["loss", "two-members", "bump", "correlation", "members", "nocycle"]

MARGIN = 0.5
"""Points of error within which NoCycle counts as equivalent to the single model."""
STATISTICS = "reestimated"
"""Where the batch-norm statistics come from on the lines that are looked at for a bump."""
LAST = 3
"""The snapshots whose correlation Figure 6 is about."""


@dataclass(frozen=True)
class Finding:
    """Answer a question for a group and one initial learning rate; above 0 speaks for what the paper says.

    `alpha0` is None where no cosine run is asked about. `finished` of the `planned` replicates are there.
    """

    question: Question
    group: Experiment
    alpha0: float | None
    decision: Decision
    finished: int
    planned: int


def answered(results: Sequence[Result], question: Question) -> list[Finding]:
    """Answer a question for every group of experiments that it can be asked about.

    "loss": the last epoch's training loss in nats, cosine minus step. "two-members": error of the single model minus
    that of the last two snapshots. "correlation": that of the last three members, step minus cosine. "members": the
    lowest error of a snapshot minus that of the ensemble. "nocycle": error of the single model minus NoCycle's,
    equivalent within `MARGIN`. "bump": the highest error between the ends of a line from an earlier to the last
    snapshot minus that of the higher end, the mean over the lines; above 0 in every replicate is a yes.
    """
    return list(_QUESTIONS[question](_distinct(results)))


def _distinct(results: Sequence[Result]) -> list[Result]:
    """Return the experiments of one run without implicit ensembles, of equal ones that with the most replicates."""
    distinct: dict[Experiment, Result] = {}
    for result in sorted(results, key=lambda each: -each.experiment.replicates):
        if result.experiment.replicas == 1 and not implicit(result.experiment):
            distinct.setdefault(result.experiment.model_copy(update={"replicates": 1}), result)
    return list(distinct.values())


def _loss(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, step in _with(results, "single", "nocycle"):
        yield _finding("loss", snapshot, _values(lambda a, b: _last_loss(a) - _last_loss(b), snapshot, step))


def _two_members(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, single in _with(results, "single"):
        if snapshot.experiment.cycles > 2:
            pair = Pair("", "", settings_of(snapshot), snapshot, single)
            two = difference(pair, better=lambda scores: scores.last[1])
            if two is not None:
                yield _finding("two-members", snapshot, two)


def _correlation(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot, step in _with(results, "nocycle"):
        if snapshot.experiment.cycles == step.experiment.cycles > LAST:
            values = _values(lambda a, b: _last_correlation(b) - _last_correlation(a), snapshot, step)
            yield _finding("correlation", snapshot, values)


def _members(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot in _snapshots(results):
        if snapshot.experiment.cycles > 1:
            planned = snapshot.experiment.replicates
            both = [_best_and_ensemble(snapshot.scores[r]) for r in range(planned) if r in snapshot.scores]
            differences = Differences(tuple(value for value, _ in both), tuple(noise for _, noise in both), planned)
            yield _finding("members", snapshot, differences)


def _nocycle(results: Sequence[Result]) -> Iterator[Finding]:
    for nocycle in results:
        for single in results if nocycle.experiment.method == "nocycle" else ():
            group = _group(nocycle)
            if single.experiment.method == "single" and _group(single) == group:
                differences = difference(Pair("", "", group, nocycle, single))
                if differences is not None:
                    decision = judge_alone(differences, margin=MARGIN)
                    yield Finding("nocycle", group, None, decision, len(differences.values), differences.planned)


def _bump(results: Sequence[Result]) -> Iterator[Finding]:
    for snapshot in _snapshots(results):
        planned = snapshot.experiment.replicates
        lines = [_lines(snapshot.scores[r]) for r in range(planned) if r in snapshot.scores]
        if lines and all(lines):
            bumps = tuple(fmean(map(_height, several)) for several in lines)
            differences = Differences(bumps, (0.0,) * len(bumps), planned)
            decision = judge_alone(differences)
            if differences.is_ready:
                seen = all(bump > 0 for bump in bumps)
                decision = Decision("yes" if seen else "no", decision.mean, decision.estimate)
            yield Finding("bump", settings_of(snapshot), snapshot.experiment.alpha0, decision, len(bumps), planned)


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
    return Finding(question, settings_of(snapshot), alpha0, decision, finished, differences.planned)


def _snapshots(results: Sequence[Result]) -> list[Result]:
    return [each for each in results if each.experiment.method == "snapshot"]


def _with(results: Sequence[Result], *methods: str) -> Iterator[tuple[Result, Result]]:
    """Yield every Snapshot with the baseline of its group, by the first of some methods that is there."""
    for snapshot in _snapshots(results):
        group = _group(snapshot)
        partners = [each for each in results if each.experiment.method in methods and _group(each) == group]
        if partners:
            yield snapshot, min(partners, key=lambda each: methods.index(each.experiment.method))


def _group(result: Result) -> Experiment:
    """Return what experiments share that are compared: members may be of any number of cycles."""
    return settings_of(result, cycles=1)


def _values(contrast: Callable[[Scores, Scores], float], one: Result, other: Result) -> Differences:
    """Return a contrast of every replicate that both have."""
    planned = min(one.experiment.replicates, other.experiment.replicates)
    both = [r for r in range(planned) if r in one.scores and r in other.scores]
    return Differences(tuple(contrast(one.scores[r], other.scores[r]) for r in both), (0.0,) * len(both), planned)


def _last_loss(scores: Scores) -> float:
    run = scores.only_run
    return run.curve.train_loss[-1] if run and run.curve.train_loss else float("nan")


def _last_correlation(scores: Scores) -> float:
    last = range(len(scores.members) - LAST, len(scores.members))
    return fmean(scores.correlation[a][b] for a in last for b in last if a < b)


def _best_and_ensemble(scores: Scores) -> tuple[float, float]:
    best = min(scores.alone, key=lambda metrics: metrics.error)
    disagreed = sum(discordant(scores.right(best), scores.right(scores.ensemble)))
    return best.error - scores.ensemble.error, disagreed * (100 / scores.images) ** 2


def _lines(scores: Scores) -> list[Line]:
    lines = scores.only_run.lines if scores.only_run else []
    return [line for line in lines if line.statistics == STATISTICS and len(line.errors) > 2]


def _height(line: Line) -> float:
    return max(line.errors[1:-1]) - max(line.errors[0], line.errors[-1])
