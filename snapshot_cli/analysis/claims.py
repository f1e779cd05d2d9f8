"""The paper's claims, network by network and dataset by dataset, as comparisons for `statistics.judge`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from snapshot_cli.analysis.statistics import Comparison, Correct, Verdict, judge
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import implicit, label

BASELINES = ("single", "dropout", "nocycle", "singlecycle")
ANY_CYCLES = ("single", "dropout")  # their network at the end does not depend on M

Question = Literal["methods", "cycles"]


@dataclass(frozen=True)
class Outcome:
    """Hold an experiment and, for each finished replicate, which test examples its ensemble of all members gets right.

    Experiments are compared within a group, a network and dataset in words.
    """

    experiment: Experiment
    group: str
    correct: Mapping[int, Correct]


@dataclass(frozen=True)
class Judged:
    """Answer a claim for one group."""

    group: str
    verdict: Verdict


def judged(outcomes: Sequence[Outcome], question: Question) -> list[Judged]:
    """Answer every claim that some experiments of one table can be asked about, Holm's correction over all of them.

    "methods": Snapshot beats every baseline, alpha0 = 0.2 beats 0.1, a true ensemble beats Snapshot, Snapshot with an
    implicit ensemble beats Snapshot without. "cycles": Snapshot beats the single model, and every number of cycles
    between the smallest and the largest beats these two.
    """
    pairs = list(_pairs(outcomes, question))
    comparisons = [_comparison(claim, better, worse) for claim, better, worse in pairs]
    groups = [better.group for _, better, _ in pairs]
    return [Judged(group, verdict) for group, verdict in zip(groups, judge(comparisons), strict=True)]


def _pairs(outcomes: Sequence[Outcome], question: Question) -> Iterator[tuple[str, Outcome, Outcome]]:
    """Yield claim, the one that should have the lower error, and the other."""
    ask = _methods if question == "methods" else _cycles
    outcomes = [each for each in outcomes if each.experiment.replicas == 1]  # the paper has one run
    for snapshot in (each for each in outcomes if each.experiment.method == "snapshot"):
        others = [each for each in outcomes if each is not snapshot and _alike(snapshot, each)]
        yield from ask(snapshot, others)
        if implicit(snapshot.experiment):
            plain = snapshot.experiment.model_copy(update={"dropout": 0.0, "stochastic_depth": 0.0})
            claim = f"{label(snapshot.experiment)} beats {label(plain)}"
            yield from ((claim, snapshot, each) for each in outcomes if each.experiment == plain)


def _methods(snapshot: Outcome, others: Sequence[Outcome]) -> Iterator[tuple[str, Outcome, Outcome]]:
    mine = snapshot.experiment
    for other in others:
        theirs = other.experiment
        comparable = theirs.cycles == mine.cycles or theirs.method in ANY_CYCLES
        if theirs.method in BASELINES and comparable:
            yield f"{label(mine)} beats {label(theirs)}", snapshot, other
        elif theirs.method == "snapshot" and comparable and (mine.alpha0, theirs.alpha0) == (0.2, 0.1):
            yield "α₀ = 0.2 beats 0.1", snapshot, other
        elif theirs.method == "ensemble" and comparable:
            yield f"{label(theirs)} beats {label(mine)}, at {mine.cycles} times the cost", other, snapshot


def _cycles(snapshot: Outcome, others: Sequence[Outcome]) -> Iterator[tuple[str, Outcome, Outcome]]:
    mine = snapshot.experiment
    rivals = {
        other.experiment.cycles: other
        for other in others
        if other.experiment.method == "snapshot" and other.experiment.alpha0 == mine.alpha0
    }
    for other in others:
        if other.experiment.method == "single":
            yield f"{label(mine)} with M = {mine.cycles} beats {label(other.experiment)}", snapshot, other
    if rivals and min(rivals) < mine.cycles < max(rivals):
        for cycles in (min(rivals), max(rivals)):
            yield f"M = {mine.cycles} beats {cycles}", snapshot, rivals[cycles]


def _alike(one: Outcome, other: Outcome) -> bool:
    """Tell whether two experiments differ in nothing but what the claims are about."""
    varied = {"method", "alpha0", "cycles", "replicates"}
    first, second = (each.experiment.model_dump(exclude=varied) for each in (one, other))
    return first == second


def _comparison(claim: str, better: Outcome, worse: Outcome) -> Comparison:
    """Pair the replicates that both have finished."""
    both = sorted(better.correct.keys() & worse.correct.keys())
    return Comparison(claim, tuple(better.correct[each] for each in both), tuple(worse.correct[each] for each in both))
