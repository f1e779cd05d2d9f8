"""The paper's claims that one method has a lower error than another, answered from the scores of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.statistics import (
    SEEDS,
    Decision,
    Differences,
    discordant,
    judge,
    judge_alone,
    mcnemar,
)
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import implicit, label
from snapshot_cli.datasets.catalogue import split_name
from snapshot_cli.scores import Metrics, Scores

BASELINES = {
    "single": ("the single model", "single"),
    "dropout": ("Dropout", "Dropout"),
    "nocycle": ("NoCycle", "NoCycle"),
    "singlecycle": ("SingleCycle", "SingleCycle"),
}
"""The methods that Snapshot is compared with, in a sentence and above a column."""
ANY_CYCLES = ("single", "dropout")
"""Their network at the end does not depend on the number of cycles."""
PAPER_ALPHA0 = (0.1, 0.2)

Question = Literal["methods", "cycles"]


class Result(Protocol):
    """An experiment and the scores of its finished replicates by number."""

    @property
    def experiment(self) -> Experiment:
        """What was planned."""

    @property
    def scores(self) -> Mapping[int, Scores]:
        """What is finished."""


@dataclass(frozen=True)
class Pair:
    """A claim about two experiments: `better` has the lower error.

    `group` has the settings that both share, those that differ being the default's. `primary` claims are pooled over
    groups. `relative_gain` is the paper's, as a share of the error of `worse`.
    """

    claim: str
    short: str
    group: Experiment
    better: Result
    worse: Result
    primary: bool = False
    relative_gain: float | None = None

    @property
    def planned(self) -> int:
        """The replicates that both plan."""
        return min(self.better.experiment.replicates, self.worse.experiment.replicates)


@dataclass(frozen=True)
class Verdict:
    """Answer a claim for a group, or pooled over several.

    `finished` of the `planned` replicates are there, by group. `weights_p` is McNemar's p of the only replicate.
    `paper_gain` is there for primary claims about datasets of the paper's Table 1, at whatever image size. The
    family is None for what is outside of both: claims with fewer than three planned replicates.
    """

    claim: str
    short: str
    family: Literal["primary", "secondary"] | None
    groups: tuple[Experiment, ...]
    decision: Decision
    finished: tuple[int, ...]
    planned: tuple[int, ...]
    weights_p: float | None = None
    on_different_images: bool = False
    paper_gain: PaperGain | None = None


@dataclass(frozen=True)
class PaperGain:
    """By what share of the baseline's error Snapshot lowers it in Table 1, and how many points that share is here."""

    relative: float
    points: float


def judged(results: Sequence[Result], question: Question) -> list[Verdict]:
    """Answer every claim of a table: the primary family, then the claims of every group.

    "methods": Snapshot beats every baseline; by group also: alpha0 = 0.2 beats 0.1, a true ensemble beats Snapshot, and
    Snapshot with an implicit ensemble beats Snapshot without. "cycles": Snapshot beats the single model, and every
    number of cycles between the smallest and the largest beats these two.
    """
    pairs = pairs_of(results, question)
    primary: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair.primary and pair.planned >= SEEDS:
            primary.setdefault(pair.claim, []).append(pair)
    alone = {claim for claim in primary if sum(pair.claim == claim for pair in pairs) == 1}
    by_group = [[pair] for pair in pairs if not (pair.primary and pair.claim in alone)]
    secondary = [claim for claim in by_group if claim[0].planned >= SEEDS]
    families = iter([*_family(list(primary.values()), "primary"), *_family(secondary, "secondary")])
    return [
        *(next(families) for _ in primary),
        *(next(families) if pair.planned >= SEEDS else compared(pair) for (pair,) in by_group),
    ]


def pairs_of(results: Sequence[Result], question: Question) -> list[Pair]:
    """Return the claims that can be asked about some experiments, by group in the order of the first of each."""
    one_run = [result for result in results if result.experiment.replicas == 1]  # the paper has one run
    pairs: dict[tuple[str, Experiment], Pair] = {}
    for snapshot in one_run:
        if snapshot.experiment.method == "snapshot":
            others = [each for each in one_run if each is not snapshot and _alike(snapshot, each)]
            others.sort(key=lambda other: other.experiment.cycles != snapshot.experiment.cycles)
            asked = _methods(snapshot, others, one_run) if question == "methods" else _cycles(snapshot, others)
            for pair in asked:
                pairs.setdefault((pair.claim, pair.group), pair)
    groups = list(dict.fromkeys(pair.group for pair in pairs.values()))
    return sorted(pairs.values(), key=lambda pair: groups.index(pair.group))


def compared(pair: Pair) -> Verdict:
    """Answer a claim about two experiments outside any family."""
    differences = difference(pair)
    if differences is None:
        return _refused([pair], None)
    both = _both(pair)
    weights_p = None
    if pair.planned == 1 and differences.is_complete:
        weights_p = mcnemar(*(scores.right(scores.ensemble) for scores in both[0]))
    decision = judge_alone(differences)
    return Verdict(
        pair.claim, pair.short, None, (pair.group,), decision, (len(both),), (pair.planned,), weights_p=weights_p
    )


def difference(
    pair: Pair,
    better: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
    worse: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
) -> Differences | None:
    """Return error(worse) - error(better) in points, paired by replicate; None where they are of different images.

    The ensembles of all members are compared, or what the functions choose.
    """
    both = _both(pair)
    if any(one.labels_sha256 != other.labels_sha256 for one, other in both):
        return None
    chosen = [(one, better(one), other, worse(other)) for one, other in both]
    return Differences(
        tuple(high.error - low.error for _, low, _, high in chosen),
        tuple(
            sum(discordant(one.right(low), other.right(high))) * (100 / one.images) ** 2
            for one, low, other, high in chosen
        ),
        pair.planned,
    )


def settings_of(result: Result, **changes: object) -> Experiment:
    """Return what an experiment shares with others of its group, with what the claims are about at its default."""
    defaults = {"method": "snapshot", "alpha0": 0.1, "replicates": 1, "dropout": 0.0, "stochastic_depth": 0.0}
    return result.experiment.model_copy(update=defaults | changes)


def _both(pair: Pair) -> list[tuple[Scores, Scores]]:
    better, worse = pair.better.scores, pair.worse.scores
    return [(better[replicate], worse[replicate]) for replicate in sorted(better.keys() & worse.keys())]


def _family(claims: Sequence[Sequence[Pair]], family: Literal["primary", "secondary"]) -> Iterator[Verdict]:
    """Answer the claims of a family; one on different images counts in its size, and is refused."""
    differences = [[difference(pair) for pair in pairs] for pairs in claims]
    missing = Differences((), (), SEEDS)
    decisions = judge([[each or missing for each in groups] for groups in differences])
    for pairs, groups, decision in zip(claims, differences, decisions, strict=True):
        if None in groups:
            yield _refused(pairs, family)
            continue
        finished = tuple(len(each.values) for each in groups if each)
        planned = tuple(pair.planned for pair in pairs)
        names = tuple(pair.group for pair in pairs)
        gain = _paper_gain(pairs) if family == "primary" else None
        yield Verdict(pairs[0].claim, pairs[0].short, family, names, decision, finished, planned, paper_gain=gain)


def _paper_gain(pairs: Sequence[Pair]) -> PaperGain | None:
    """Return the paper's gain at the errors measured here, the mean over pairs; None unless all have both."""
    relative, points = [], []
    for pair in pairs:
        errors = [scores.ensemble.error for scores in pair.worse.scores.values()]
        if pair.relative_gain is None or not errors:
            return None
        relative.append(pair.relative_gain)
        points.append(pair.relative_gain * fmean(errors))
    return PaperGain(fmean(relative), fmean(points))


def _refused(pairs: Sequence[Pair], family: Literal["primary", "secondary"] | None) -> Verdict:
    return Verdict(
        pairs[0].claim,
        pairs[0].short,
        family,
        tuple(pair.group for pair in pairs),
        Decision("not decided", None),
        tuple(len(_both(pair)) for pair in pairs),
        tuple(pair.planned for pair in pairs),
        on_different_images=True,
    )


def _alike(one: Result, other: Result) -> bool:
    """Return whether two experiments differ in nothing but what the claims are about."""
    varied = {"method", "alpha0", "cycles", "replicates"}
    first, second = (each.experiment.model_dump(exclude=varied) for each in (one, other))
    return first == second


def _methods(snapshot: Result, others: Sequence[Result], results: Sequence[Result]) -> Iterator[Pair]:
    settings, group, name = snapshot.experiment, settings_of(snapshot), label(snapshot.experiment)
    added = "".join(f" with {each}" for each in implicit(settings))
    is_paper = settings.alpha0 in PAPER_ALPHA0 and not added
    dataset, _ = split_name(settings.dataset)
    for other in others:
        method = other.experiment.method
        if other.experiment.cycles != settings.cycles and method not in ANY_CYCLES:
            continue
        if method in BASELINES:
            sentence, short = BASELINES[method]
            claim = f"{name} beats {sentence}{added}"
            gain = paper.relative_gain(dataset, method, settings.alpha0) if is_paper else None
            yield Pair(claim, f"{settings.alpha0:g} vs {short}{added}", group, snapshot, other, is_paper, gain)
        elif method == "snapshot" and (settings.alpha0, other.experiment.alpha0) == (0.2, 0.1):
            yield Pair(f"α₀ = 0.2 beats 0.1{added}", f"0.2 vs 0.1{added}", group, snapshot, other)
        elif method == "ensemble":
            claim = f"The true ensemble beats {name}, at {settings.cycles} times the cost"
            yield Pair(claim, f"true ensemble vs {settings.alpha0:g}{added}", group, other, snapshot)
    if added:
        plain = settings.model_copy(update={"dropout": 0.0, "stochastic_depth": 0.0, "replicates": 1})
        for other in results:
            if other.experiment.model_copy(update={"replicates": 1}) == plain:
                yield Pair(
                    f"{name} beats {label(plain)}", f"{settings.alpha0:g}{added} vs without", group, snapshot, other
                )


def _cycles(snapshot: Result, others: Sequence[Result]) -> Iterator[Pair]:
    settings = snapshot.experiment
    group = settings_of(snapshot, alpha0=settings.alpha0, cycles=1)
    name, added = label(settings), "".join(f" with {each}" for each in implicit(settings))
    rivals = {
        other.experiment.cycles: other
        for other in others
        if other.experiment.method == "snapshot" and other.experiment.alpha0 == settings.alpha0
    }
    for other in others:
        if other.experiment.method == "single":
            claim = f"{name} with M = {settings.cycles} beats the single model{added}"
            yield Pair(claim, f"M = {settings.cycles} vs single{added}", group, snapshot, other, primary=not added)
    if rivals and min(rivals) < settings.cycles < max(rivals):
        for cycles in (min(rivals), max(rivals)):
            claim = f"{name} with M = {settings.cycles} beats M = {cycles}"
            short = f"M = {settings.cycles} vs {cycles}{added}"
            yield Pair(claim, short, group, snapshot, rivals[cycles], primary=not added)
