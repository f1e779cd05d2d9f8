"""Judge the paper's claims "method A has a lower error than method B" from the scores of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.analysis.statistics import (
    MIN_SEEDS,
    Decision,
    Differences,
    average,
    discordant,
    judge,
    judge_alone,
    mcnemar,
    means,
)
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.plan import DROP_PROBABILITY, implicit, label
from snapshot_cli.datasets.catalogue import split_name
from snapshot_cli.scores import Metrics, Scores

BASELINES = {
    "single": ("the single model", "single"),
    "dropout": ("Dropout", "Dropout"),
    "nocycle": ("NoCycle", "NoCycle"),
    "singlecycle": ("SingleCycle", "SingleCycle"),
}
"""Baselines of Snapshot: the name in a sentence, and in a column heading."""
ANY_CYCLES = ("single", "dropout")
"""Methods whose final network does not depend on the number of cycles."""
PAPER_ALPHA0 = (0.1, 0.2)
NO_DIFFERENCES = Differences((), (), MIN_SEEDS)
"""What stands for the differences of experiments on different images."""

Question = Literal["methods", "cycles"]
Family = Literal["primary", "secondary"]


@dataclass(frozen=True)
class Pair:
    """A claim about two experiments: `better` has the lower error.

    `group` holds the shared settings; settings that differ have their default there. Claims with `is_primary` are
    pooled over groups. `paper_gain` is the gain over `worse` in the paper's Table 1.
    """

    claim: str
    short: str
    group: Experiment
    better: Outcome
    worse: Outcome
    is_primary: bool = False
    paper_gain: paper.Gain | None = None

    @property
    def planned(self) -> int:
        """The number of replicates planned for both experiments."""
        return planned_replicates(self.better, self.worse)

    @cached_property
    def differences(self) -> Differences | None:
        """The differences of the full ensembles' errors, as in `subtract_errors`."""
        return subtract_errors(self.better, self.worse)


class PaperGain(NamedTuple):
    """Snapshot's gain in Table 1: in points, as a fraction of the error, and this fraction in points here."""

    points: float
    relative: float
    scaled: float


@dataclass(frozen=True)
class Verdict:
    """The answer to a claim, for one group or pooled over several.

    `finished` and `planned` count replicates by group. `mcnemar_p` is McNemar's p-value if a single replicate is
    planned. `paper_gain` is set for primary claims about the datasets of the paper's Table 1, at any image size.
    `family` is None for claims with fewer than three planned replicates.
    """

    claim: str
    short: str
    family: Family | None
    groups: tuple[Experiment, ...]
    decision: Decision
    finished: tuple[int, ...]
    planned: tuple[int, ...]
    mcnemar_p: float | None = None
    has_different_images: bool = False
    paper_gain: PaperGain | None = None


def judge_claims(outcomes: Sequence[Outcome], question: Question) -> list[Verdict]:
    """Judge every claim of a table: the primary family, then the claims of every group.

    "methods": Snapshot beats every baseline. By group also: alpha0 = 0.2 beats 0.1, a true ensemble beats Snapshot, and
    Snapshot with an implicit ensemble beats Snapshot without. "cycles": Snapshot beats the single model, and every
    intermediate number of cycles beats both the smallest and the largest.
    """
    pairs = list_pairs(outcomes, question)
    groups = Counter(pair.claim for pair in pairs if pair.is_primary and pair.planned >= MIN_SEEDS)
    primary: dict[str, list[Pair]] = {}
    by_group: list[Pair] = []
    for pair in pairs:
        is_primary = pair.is_primary and pair.planned >= MIN_SEEDS
        if is_primary:
            primary.setdefault(pair.claim, []).append(pair)
        if not is_primary or groups[pair.claim] > 1:  # a primary claim about the only group is judged once
            by_group.append(pair)
    secondary = iter(_judge_family([[pair] for pair in by_group if pair.planned >= MIN_SEEDS], "secondary"))
    return [
        *_judge_family(list(primary.values()), "primary"),
        *(next(secondary) if pair.planned >= MIN_SEEDS else _judge_alone(pair) for pair in by_group),
    ]


def list_pairs(outcomes: Sequence[Outcome], question: Question) -> list[Pair]:
    """Return the claims that the experiments allow, sorted by group; groups keep the order of the experiments."""
    single_run = [outcome for outcome in outcomes if outcome.experiment.independent_runs == 1]  # as in the paper
    pairs: dict[tuple[str, Experiment], Pair] = {}
    for snapshot in single_run:
        if snapshot.experiment.method == "snapshot":
            rivals = [rival for rival in single_run if rival is not snapshot and _is_comparable(snapshot, rival)]
            rivals.sort(key=lambda rival: _distance(snapshot.experiment, rival.experiment))
            claims = (
                _method_claims(snapshot, rivals, single_run)
                if question == "methods"
                else _cycle_claims(snapshot, rivals)
            )
            for pair in claims:
                pairs.setdefault((pair.claim, pair.group), pair)
    groups = list(dict.fromkeys(pair.group for pair in pairs.values()))
    return sorted(pairs.values(), key=lambda pair: groups.index(pair.group))


def compare(better: Outcome, worse: Outcome) -> Verdict:
    """Judge on its own, outside any family, whether the first of two experiments has the lower error."""
    return _judge_alone(Pair("", "", shared_settings(better), better, worse))


def subtract_errors(
    better: Outcome,
    worse: Outcome,
    of_better: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
    of_worse: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
) -> Differences | None:
    """Return error(worse) - error(better) in points, paired by replicate; None if the images differ.

    By default of the ensembles of all members; `of_better` and `of_worse` select other metrics of the scores.
    """

    def image_variance(low: Scores, high: Scores) -> float:
        discordant_images = sum(discordant(low.right(of_better(low)), high.right(of_worse(high))))
        return discordant_images * (100 / low.images) ** 2

    if any(low.labels_sha256 != high.labels_sha256 for low, high in paired_scores(better, worse)):
        return None
    return contrast(better, worse, lambda low, high: of_worse(high).error - of_better(low).error, image_variance)


def contrast(
    one: Outcome,
    other: Outcome,
    value: Callable[[Scores, Scores], float],
    image_variance: Callable[[Scores, Scores], float] = lambda one, other: 0.0,
) -> Differences:
    """Return a quantity, and its variance from the images, for every replicate that is finished in both experiments."""
    pairs = paired_scores(one, other)
    return Differences(
        tuple(value(*pair) for pair in pairs),
        tuple(image_variance(*pair) for pair in pairs),
        planned_replicates(one, other),
    )


def paired_scores(one: Outcome, other: Outcome) -> list[tuple[Scores, Scores]]:
    """Return the scores of two experiments for every replicate that is finished in both."""
    replicates = sorted(one.scores.keys() & other.scores.keys())
    return [(one.scores[replicate], other.scores[replicate]) for replicate in replicates]


def planned_replicates(one: Outcome, other: Outcome) -> int:
    """Return the number of replicates planned for both experiments."""
    return min(one.experiment.replicates, other.experiment.replicates)


def shared_settings(outcome: Outcome, **changes: object) -> Experiment:
    """Return the settings that an experiment shares with its group: settings that claims vary get their default."""
    defaults = {"method": "snapshot", "alpha0": 0.1, "replicates": 1, "dropout": 0.0, "stochastic_depth": 0.0}
    return outcome.experiment.model_copy(update=defaults | changes)


def _judge_alone(pair: Pair) -> Verdict:
    verdict = _verdict([pair], None, judge_alone(pair.differences or NO_DIFFERENCES))
    if verdict.has_different_images or not verdict.finished == verdict.planned == (1,):
        return verdict
    ((better, worse),) = paired_scores(pair.better, pair.worse)
    return replace(verdict, mcnemar_p=mcnemar(better.right(better.ensemble), worse.right(worse.ensemble)))


def _judge_family(claims: Sequence[Sequence[Pair]], family: Family) -> list[Verdict]:
    """Judge the claims of a family; claims on different images are refused but count in Holm's correction."""
    decisions = judge([_by_network_and_dataset(pairs) for pairs in claims])
    return [_verdict(pairs, family, decision) for pairs, decision in zip(claims, decisions, strict=True)]


def _by_network_and_dataset(pairs: Sequence[Pair]) -> list[Differences]:
    """Return the differences of every network and dataset, averaged over groups that differ in other settings."""
    groups: dict[tuple[str, str, str], list[Differences]] = {}
    for pair in pairs:
        network = (pair.group.network, str(pair.group.network_options))
        groups.setdefault((*network, pair.group.dataset), []).append(pair.differences or NO_DIFFERENCES)
    return [average(correlated) for correlated in groups.values()]


def _verdict(pairs: Sequence[Pair], family: Family | None, decision: Decision) -> Verdict:
    has_different_images = any(pair.differences is None for pair in pairs)
    return Verdict(
        pairs[0].claim,
        pairs[0].short,
        family,
        tuple(pair.group for pair in pairs),
        Decision("not decided", None) if has_different_images else decision,
        tuple(len(paired_scores(pair.better, pair.worse)) for pair in pairs),
        tuple(pair.planned for pair in pairs),
        has_different_images=has_different_images,
        paper_gain=_paper_gain(pairs) if family == "primary" and not has_different_images else None,
    )


def _paper_gain(pairs: Sequence[Pair]) -> PaperGain | None:
    """Return the mean paper gain over pairs; None unless every pair has a paper gain and a measured error."""
    gains = [
        PaperGain(*pair.paper_gain, pair.paper_gain.relative * pair.worse.error)
        for pair in pairs
        if pair.paper_gain and pair.worse.scores
    ]
    return PaperGain(*means(gains)) if len(gains) == len(pairs) else None


def _is_comparable(snapshot: Outcome, rival: Outcome) -> bool:
    """Return whether two experiments differ only in settings that claims vary or that belong to the rival's method."""
    varied = {"method", "alpha0", "cycles", "replicates", "drops"}
    if rival.experiment.method == "dropout" and not snapshot.experiment.dropout:
        varied.add("dropout")
    return snapshot.experiment.model_dump(exclude=varied) == rival.experiment.model_dump(exclude=varied)


def _distance(snapshot: Experiment, rival: Experiment) -> tuple[bool, bool, bool]:
    """Return a key that sorts rivals: those with equal cycles and the method's defaults first."""
    dropout = DROP_PROBABILITY if rival.method == "dropout" else snapshot.dropout
    return rival.cycles != snapshot.cycles, rival.drops != snapshot.drops, rival.dropout not in (0.0, dropout)


def _method_claims(snapshot: Outcome, rivals: Sequence[Outcome], outcomes: Sequence[Outcome]) -> Iterator[Pair]:
    settings, group, name = snapshot.experiment, shared_settings(snapshot), label(snapshot.experiment)
    suffix = "".join(f" with {ensemble}" for ensemble in implicit(settings))
    is_paper = settings.alpha0 in PAPER_ALPHA0 and not suffix
    dataset, _ = split_name(settings.dataset)
    for rival in rivals:
        method = rival.experiment.method
        if rival.experiment.cycles != settings.cycles and method not in ANY_CYCLES:
            continue
        if method in BASELINES:
            sentence, short = BASELINES[method]
            claim = f"{name} beats {sentence}{suffix}"
            gain = paper.gain(dataset, method, settings.alpha0) if is_paper else None
            yield Pair(claim, f"{settings.alpha0:g} vs {short}{suffix}", group, snapshot, rival, is_paper, gain)
        elif method == "snapshot" and (settings.alpha0, rival.experiment.alpha0) == (0.2, 0.1):
            yield Pair(f"α₀ = 0.2 beats 0.1{suffix}", f"0.2 vs 0.1{suffix}", group, snapshot, rival)
        elif method == "ensemble":
            claim = f"The true ensemble beats {name}, at {settings.cycles} times the cost"
            yield Pair(claim, f"true ensemble vs {settings.alpha0:g}{suffix}", group, rival, snapshot)
    if suffix:
        plain = settings.model_copy(update={"dropout": 0.0, "stochastic_depth": 0.0, "replicates": 1})
        for outcome in outcomes:
            if outcome.experiment.model_copy(update={"replicates": 1}) == plain:
                claim = f"{name} beats {label(plain)}"
                yield Pair(claim, f"{settings.alpha0:g}{suffix} vs without", group, snapshot, outcome)


def _cycle_claims(snapshot: Outcome, rivals: Sequence[Outcome]) -> Iterator[Pair]:
    settings = snapshot.experiment
    group = shared_settings(snapshot, alpha0=settings.alpha0, cycles=1)
    name, suffix = label(settings), "".join(f" with {ensemble}" for ensemble in implicit(settings))
    by_cycles = {
        rival.experiment.cycles: rival
        for rival in rivals
        if rival.experiment.method == "snapshot" and rival.experiment.alpha0 == settings.alpha0
    }
    for rival in rivals:
        if rival.experiment.method == "single":
            claim = f"{name} with M = {settings.cycles} beats the single model{suffix}"
            short = f"M = {settings.cycles} vs single{suffix}"
            yield Pair(claim, short, group, snapshot, rival, is_primary=not suffix)
    if by_cycles and min(by_cycles) < settings.cycles < max(by_cycles):
        for cycles in (min(by_cycles), max(by_cycles)):
            claim = f"{name} with M = {settings.cycles} beats M = {cycles}"
            short = f"M = {settings.cycles} vs {cycles}{suffix}"
            yield Pair(claim, short, group, snapshot, by_cycles[cycles], is_primary=not suffix)
