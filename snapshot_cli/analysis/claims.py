"""Judge the paper's claims "method A has a lower error than method B" from the scores of a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, Protocol

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.statistics import (
    MIN_SEEDS,
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
"""Baselines of Snapshot: the name in a sentence, and in a column heading."""
ANY_CYCLES = ("single", "dropout")
"""Methods whose final network does not depend on the number of cycles."""
PAPER_ALPHA0 = (0.1, 0.2)

Question = Literal["methods", "cycles"]


class Result(Protocol):
    """An experiment and the scores of its finished replicates."""

    @property
    def experiment(self) -> Experiment:
        """The planned experiment."""

    @property
    def scores(self) -> Mapping[int, Scores]:
        """The scores of the finished replicates, by replicate number."""


@dataclass(frozen=True)
class Pair:
    """A claim about two experiments: `better` has the lower error.

    `group` holds the shared settings; settings that differ have their default there. Claims with `is_primary` are
    pooled over groups. `relative_gain` is the paper's gain as a fraction of the error of `worse`.
    """

    claim: str
    short: str
    group: Experiment
    better: Result
    worse: Result
    is_primary: bool = False
    relative_gain: float | None = None

    @property
    def planned(self) -> int:
        """The number of replicates planned for both experiments."""
        return min(self.better.experiment.replicates, self.worse.experiment.replicates)


@dataclass(frozen=True)
class Verdict:
    """The answer to a claim, for one group or pooled over several.

    `finished` and `planned` count replicates by group. `mcnemar_p` is McNemar's p-value if a single replicate is
    planned. `paper_gain` is set for primary claims about the datasets of the paper's Table 1, at any image size.
    `family` is None for claims with fewer than three planned replicates.
    """

    claim: str
    short: str
    family: Literal["primary", "secondary"] | None
    groups: tuple[Experiment, ...]
    decision: Decision
    finished: tuple[int, ...]
    planned: tuple[int, ...]
    mcnemar_p: float | None = None
    has_different_images: bool = False
    paper_gain: PaperGain | None = None


@dataclass(frozen=True)
class PaperGain:
    """Snapshot's gain in Table 1: as a fraction of the baseline's error, and the same fraction in points here."""

    relative: float
    points: float


def judge_claims(results: Sequence[Result], question: Question) -> list[Verdict]:
    """Judge every claim of a table: the primary family, then the claims of every group.

    "methods": Snapshot beats every baseline. By group also: alpha0 = 0.2 beats 0.1, a true ensemble beats Snapshot, and
    Snapshot with an implicit ensemble beats Snapshot without. "cycles": Snapshot beats the single model, and every
    intermediate number of cycles beats both the smallest and the largest.
    """
    pairs = list_pairs(results, question)
    primary: dict[str, list[Pair]] = {}
    for pair in pairs:
        if pair.is_primary and pair.planned >= MIN_SEEDS:
            primary.setdefault(pair.claim, []).append(pair)
    single_group_claims = {claim for claim in primary if sum(pair.claim == claim for pair in pairs) == 1}
    group_pairs = [pair for pair in pairs if not (pair.is_primary and pair.claim in single_group_claims)]
    secondary = [[pair] for pair in group_pairs if pair.planned >= MIN_SEEDS]
    verdicts = iter([*_judge_family(list(primary.values()), "primary"), *_judge_family(secondary, "secondary")])
    return [
        *(next(verdicts) for _ in primary),
        *(next(verdicts) if pair.planned >= MIN_SEEDS else compare(pair) for pair in group_pairs),
    ]


def list_pairs(results: Sequence[Result], question: Question) -> list[Pair]:
    """Return the claims that the experiments allow, sorted by group; groups keep the order of the experiments."""
    single_run = [result for result in results if result.experiment.independent_runs == 1]  # as in the paper
    pairs: dict[tuple[str, Experiment], Pair] = {}
    for snapshot in single_run:
        if snapshot.experiment.method == "snapshot":
            rivals = [rival for rival in single_run if rival is not snapshot and _is_comparable(snapshot, rival)]
            rivals.sort(key=lambda rival: rival.experiment.cycles != snapshot.experiment.cycles)
            claims = (
                _method_claims(snapshot, rivals, single_run)
                if question == "methods"
                else _cycle_claims(snapshot, rivals)
            )
            for pair in claims:
                pairs.setdefault((pair.claim, pair.group), pair)
    groups = list(dict.fromkeys(pair.group for pair in pairs.values()))
    return sorted(pairs.values(), key=lambda pair: groups.index(pair.group))


def compare(pair: Pair) -> Verdict:
    """Judge a claim about two experiments on its own, outside any family."""
    differences = compute_differences(pair)
    if differences is None:
        return _refuse([pair], None)
    paired = _paired_scores(pair)
    mcnemar_p = None
    if pair.planned == 1 and differences.is_complete:
        mcnemar_p = mcnemar(*(scores.right(scores.ensemble) for scores in paired[0]))
    decision = judge_alone(differences)
    return Verdict(
        pair.claim, pair.short, None, (pair.group,), decision, (len(paired),), (pair.planned,), mcnemar_p=mcnemar_p
    )


def compute_differences(
    pair: Pair,
    better: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
    worse: Callable[[Scores], Metrics] = lambda scores: scores.ensemble,
) -> Differences | None:
    """Return error(worse) - error(better) in points, paired by replicate; None if the images differ.

    By default compares the ensembles of all members; `better` and `worse` select other metrics of the scores.
    """
    paired = _paired_scores(pair)
    if any(low.labels_sha256 != high.labels_sha256 for low, high in paired):
        return None
    selected = [(low, better(low), high, worse(high)) for low, high in paired]
    return Differences(
        tuple(high_metrics.error - low_metrics.error for _, low_metrics, _, high_metrics in selected),
        tuple(
            sum(discordant(low.right(low_metrics), high.right(high_metrics))) * (100 / low.images) ** 2
            for low, low_metrics, high, high_metrics in selected
        ),
        pair.planned,
    )


def shared_settings(result: Result, **changes: object) -> Experiment:
    """Return the settings that an experiment shares with its group: settings that claims vary get their default."""
    defaults = {"method": "snapshot", "alpha0": 0.1, "replicates": 1, "dropout": 0.0, "stochastic_depth": 0.0}
    return result.experiment.model_copy(update=defaults | changes)


def _paired_scores(pair: Pair) -> list[tuple[Scores, Scores]]:
    better, worse = pair.better.scores, pair.worse.scores
    return [(better[replicate], worse[replicate]) for replicate in sorted(better.keys() & worse.keys())]


def _judge_family(claims: Sequence[Sequence[Pair]], family: Literal["primary", "secondary"]) -> Iterator[Verdict]:
    """Judge the claims of a family; claims on different images are refused but count in Holm's correction."""
    claim_differences = [[compute_differences(pair) for pair in pairs] for pairs in claims]
    missing = Differences((), (), MIN_SEEDS)
    decisions = judge([[group or missing for group in groups] for groups in claim_differences])
    for pairs, groups, decision in zip(claims, claim_differences, decisions, strict=True):
        if None in groups:
            yield _refuse(pairs, family)
            continue
        finished = tuple(len(group.values) for group in groups if group)
        planned = tuple(pair.planned for pair in pairs)
        settings = tuple(pair.group for pair in pairs)
        gain = _paper_gain(pairs) if family == "primary" else None
        yield Verdict(pairs[0].claim, pairs[0].short, family, settings, decision, finished, planned, paper_gain=gain)


def _paper_gain(pairs: Sequence[Pair]) -> PaperGain | None:
    """Return the mean paper gain over pairs; None unless every pair has a paper gain and a measured error."""
    relative, points = [], []
    for pair in pairs:
        errors = [scores.ensemble.error for scores in pair.worse.scores.values()]
        if pair.relative_gain is None or not errors:
            return None
        relative.append(pair.relative_gain)
        points.append(pair.relative_gain * fmean(errors))
    return PaperGain(fmean(relative), fmean(points))


def _refuse(pairs: Sequence[Pair], family: Literal["primary", "secondary"] | None) -> Verdict:
    return Verdict(
        pairs[0].claim,
        pairs[0].short,
        family,
        tuple(pair.group for pair in pairs),
        Decision("not decided", None),
        tuple(len(_paired_scores(pair)) for pair in pairs),
        tuple(pair.planned for pair in pairs),
        has_different_images=True,
    )


def _is_comparable(snapshot: Result, rival: Result) -> bool:
    """Return whether two experiments differ only in settings that claims vary."""
    varied = {"method", "alpha0", "cycles", "replicates"}
    return snapshot.experiment.model_dump(exclude=varied) == rival.experiment.model_dump(exclude=varied)


def _method_claims(snapshot: Result, rivals: Sequence[Result], results: Sequence[Result]) -> Iterator[Pair]:
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
            gain = paper.relative_gain(dataset, method, settings.alpha0) if is_paper else None
            yield Pair(claim, f"{settings.alpha0:g} vs {short}{suffix}", group, snapshot, rival, is_paper, gain)
        elif method == "snapshot" and (settings.alpha0, rival.experiment.alpha0) == (0.2, 0.1):
            yield Pair(f"α₀ = 0.2 beats 0.1{suffix}", f"0.2 vs 0.1{suffix}", group, snapshot, rival)
        elif method == "ensemble":
            claim = f"The true ensemble beats {name}, at {settings.cycles} times the cost"
            yield Pair(claim, f"true ensemble vs {settings.alpha0:g}{suffix}", group, rival, snapshot)
    if suffix:
        plain = settings.model_copy(update={"dropout": 0.0, "stochastic_depth": 0.0, "replicates": 1})
        for result in results:
            if result.experiment.model_copy(update={"replicates": 1}) == plain:
                claim = f"{name} beats {label(plain)}"
                yield Pair(claim, f"{settings.alpha0:g}{suffix} vs without", group, snapshot, result)


def _cycle_claims(snapshot: Result, rivals: Sequence[Result]) -> Iterator[Pair]:
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
