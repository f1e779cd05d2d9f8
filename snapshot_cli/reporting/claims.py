"""Write the verdicts on the paper's claims in words, for tables and the page, and as a matrix by network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from markupsafe import Markup

from snapshot_cli.analysis import claims, findings, labels
from snapshot_cli.analysis.claims import Verdict
from snapshot_cli.analysis.findings import Finding
from snapshot_cli.analysis.outcomes import Outcome, count_range
from snapshot_cli.analysis.statistics import Answer, Decision
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting.table import bullets, signed
from snapshot_cli.words import counted

SCORED_ON = {"test": "this test set", "holdout": "these withheld training images"}
RULE = (
    "Difference: error of the second method minus error of the first, in points on {images}, paired by seed.",
    "A claim is judged once all planned seeds of both methods are finished, at least three. Until then it is not "
    "finished. Two planned seeds decide nothing.",
    "With one planned seed the result holds for these weights only: the exact McNemar p is shown, outside any family.",
    "Yes and no: the difference is above or below 0 with p < 0.05 after Holm's correction over all claims of the "
    "family, unfinished ones included. Otherwise the claim is not decided.",
)
PRIMARY = (
    "Primary family: {primary}, pooled over the networks and datasets with at least three planned seeds. The estimate "
    "averages their mean differences.",
)
SECONDARY = ("Secondary family: {secondary}, each about one network and dataset.",)
TEST = (
    "The t test pools the variance of the differences over networks and datasets, with sum(R − 1) degrees of freedom "
    "for R seeds. The variance, in squared points, is never below 100² d/n² for n images, where d is the mean number "
    "of images that only one of the two methods classifies right.",
    "Intervals: 95 %, before Holm's correction; p is shown after it.",
)
PAPER_GAINS = (
    "The paper's gains in its Table 1 on this dataset, on average over networks: in points, as a share of the error, "
    "and in points if Snapshot gained the same share of the error measured here. The last is excluded if it is outside "
    "the 95 % interval of the difference measured here:"
)
ONE_SEED = (
    "No claim is judged: a verdict needs at least three seeds per method, and fewer are planned here (replicates)."
)
UNADJUSTED = (
    "Yes and no need at least three seeds, all finished. They use a 95 % t interval without correction for multiple "
    "comparisons."
)
SYMBOLS: dict[Answer, str] = {
    "yes": "✓",
    "no": "✗",
    "not decided": "?",
    "not finished": "…",
    "these weights only": "◦",
}
"""The symbols of answers in the matrix, readable without colour."""


def notes(outcomes: Sequence[Outcome], question: claims.Question) -> list[str]:
    """Return the notes below a table: the claims of both families with finished replicates, and the rule."""
    verdicts = claims.judge_claims(outcomes, question)
    primary = [verdict for verdict in verdicts if verdict.family == "primary"]
    secondary = [verdict for verdict in verdicts if verdict.family == "secondary"]
    lists = {"Primary claims": primary}
    for group, name in _names(verdicts).items():
        in_group = [verdict for verdict in verdicts if verdict.family != "primary" and verdict.groups == (group,)]
        lists[f"{name}, secondary" if in_group and in_group[0].family else name] = in_group
    paragraphs = []
    for title, listed in lists.items():
        if any(sum(verdict.finished) for verdict in listed):
            paragraphs.append(bullets(f"{title}:", map(sentence, listed)))
            gains = [_paper_gain(verdict) for verdict in listed if verdict.paper_gain]
            paragraphs += [bullets(PAPER_GAINS, gains)] if gains else []
    if not paragraphs:
        return []
    rule = [*RULE, *(PRIMARY if primary else ()), *(SECONDARY if secondary else ())]
    rule += TEST if primary or secondary else ()
    facts = {"primary": _count_claims(len(primary)), "secondary": _count_claims(len(secondary))}
    return [*paragraphs, bullets("The rule:", rule).format(images=SCORED_ON[outcomes[0].split], **facts)]


def sentences(outcomes: Sequence[Outcome]) -> list[str]:
    """Return one sentence per primary claim, or a single one that no claim has enough planned seeds."""
    verdicts = claims.judge_claims(outcomes, "methods")
    primary = [sentence(verdict) for verdict in verdicts if verdict.family == "primary"]
    return primary or ([ONE_SEED] if verdicts else [])


def sentence(verdict: Verdict) -> str:
    """Return a claim with its answer, difference, seeds and p-value."""
    return f"{verdict.claim}: {', '.join(_facts(verdict))}"


def matrix(outcomes: Sequence[Outcome]) -> Markup:
    """Return an HTML table of answers: a row per network and dataset and a pooled row, a column per claim.

    The class of a cell is its answer: yes, no, not-decided, not-finished, these-weights-only. Empty without claims.
    """
    verdicts = claims.judge_claims(outcomes, "methods")
    if not verdicts:
        return Markup()
    names = _names(verdicts)
    columns = list(dict.fromkeys(verdict.short for verdict in verdicts))
    rows: dict[str, dict[str, Verdict]] = {"pooled": {}} if len(names) > 1 else {}
    rows |= {name: {} for name in names.values()}
    for verdict in verdicts:
        row = "pooled" if len(verdict.groups) > 1 else names[verdict.groups[0]]
        rows[row].setdefault(verdict.short, verdict)
    datasets = {group.dataset for group in names}
    only_dataset = labels.dataset(datasets.pop()) if len(datasets) == 1 else ""
    head = Markup().join(Markup('<th scope="col">{}</th>').format(column) for column in columns)
    body = Markup("\n").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            name.replace(f" on {only_dataset}", ""), Markup().join(_matrix_cell(row.get(column)) for column in columns)
        )
        for name, row in rows.items()
        if row
    )
    table = '<table class="matrix">\n<thead><tr><th>{}</th>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table>'
    return Markup(table).format(only_dataset, head, body)


def further(outcomes: Sequence[Outcome], *questions: findings.Question) -> list[str]:
    """Return the statements of the paper's figures and text with the answers here; by default all statements.

    Outcomes may come from several studies; scores on withheld images are used only if there are none on test images.
    """
    on_test = [outcome for outcome in outcomes if outcome.split == "test"] or outcomes
    paragraphs = [
        paragraph for question in questions or findings.STATEMENTS for paragraph in _further(on_test, question)
    ]
    return [*paragraphs, UNADJUSTED] if paragraphs else []


def _further(outcomes: Sequence[Outcome], question: findings.Question) -> Iterator[str]:
    """Yield a statement with its answers: by network and dataset, only for the settings with the most planned seeds."""
    answers = [finding for finding in findings.check_statement(outcomes, question) if finding.finished]
    most_planned: dict[tuple[str, str], int] = {}
    for finding in answers:
        most_planned[finding.pair] = max(most_planned.get(finding.pair, 0), finding.planned)
    answers = [finding for finding in answers if finding.planned == most_planned[finding.pair]]
    if answers:
        statement, names = findings.STATEMENTS[question], _group_names([finding.group for finding in answers])
        yield bullets(
            f"{statement.paper} {statement.measured}:",
            (f"{names[finding.group]}{_finding(finding, question)}" for finding in answers),
        )


def _finding(finding: Finding, question: findings.Question) -> str:
    statement, decision, answer = findings.STATEMENTS[question], finding.decision, str(finding.decision.answer)
    if question == "bump" and decision.mean is not None and answer != "not finished":
        has_bump = decision.mean > 0 if answer == "these weights only" else answer == "yes"
        answer += ", a bump is seen" if has_bump else ", no bump is seen"
    setting = "" if finding.alpha0 is None else f", α₀ = {finding.alpha0:g}"
    value = [] if decision.mean is None else [_value(decision, statement.unit, statement.places)]
    return f"{setting}: " + ", ".join([answer, *value, _seeds((finding.finished,), (finding.planned,))])


def _value(decision: Decision, unit: str, places: int, sign: Literal["+", "-"] = "+") -> str:
    """Return the mean difference as text, with its interval if it has one."""
    assert decision.mean is not None
    value = f"{signed(decision.mean, sign, places)}{unit}"
    if decision.estimate:
        low, high = (signed(end, "-", places) for end in decision.estimate.interval)
        value += f" [{low}, {high}]"
    return value


def _facts(verdict: Verdict) -> Iterator[str]:
    decision = verdict.decision
    yield decision.answer
    if verdict.has_different_images:
        yield "on different images"
        return
    if decision.mean is not None:
        is_yes = decision.answer == "yes"
        yield ("by " if is_yes else "") + _value(decision, " points", 2, "-" if is_yes else "+")
    if verdict.family == "primary":
        yield _pooled_over(verdict.groups)
    yield _seeds(verdict.finished, verdict.planned)
    if decision.p is not None:
        yield f"p = {decision.p:.2g}"
    elif verdict.mcnemar_p is not None:
        yield f"McNemar p = {verdict.mcnemar_p:.2g}"


def _paper_gain(verdict: Verdict) -> str:
    """Return the paper's gain as text: in points, in percent, at this scale, and whether the interval excludes it."""
    gain, estimate = verdict.paper_gain, verdict.decision.estimate
    assert gain
    paper = f"{signed(gain.points, '-')} points, {signed(100 * gain.relative, '-', 1)} %"
    size = f"{paper}; here {signed(gain.scaled, '-')} points"
    if estimate is None:
        return f"{verdict.claim}: {size}"
    low, high = estimate.interval
    return f"{verdict.claim}: {size}, {'not excluded' if low <= gain.scaled <= high else 'excluded'}"


def _seeds(finished: Sequence[int], planned: Sequence[int]) -> str:
    """Return the number of seeds as text: "5 seeds", "3 to 5 seeds", "1 to 3 of 5 seeds so far"."""
    if tuple(finished) != tuple(planned):
        return f"{count_range(finished)} of {count_range(planned)} seed{'s' * (max(planned) > 1)} so far"
    suffix = " each" if len(finished) > 1 and len(set(planned)) == 1 else ""
    return f"{count_range(planned)} seed{'s' * (max(planned) > 1)}{suffix}"


def _pooled_over(groups: Sequence[Experiment]) -> str:
    """Return the number of networks, datasets or settings that a claim is pooled over; a single group is named."""
    if len(groups) == 1:
        return _group_names(groups)[groups[0]]
    networks, datasets = ({getattr(group, name) for group in groups} for name in ("network", "dataset"))
    if len(networks) == len(groups) and len(datasets) == 1:
        return f"{len(groups)} networks"
    if len(datasets) == len(groups) and len(networks) == 1:
        return f"{len(groups)} datasets"
    if len({(group.network, group.dataset) for group in groups}) == len(groups):
        return f"{len(groups)} networks on datasets"
    return f"{len(groups)} settings"


def _names(verdicts: Sequence[Verdict]) -> dict[Experiment, str]:
    return _group_names(list(dict.fromkeys(group for verdict in verdicts for group in verdict.groups)))


def _group_names(groups: Sequence[Experiment]) -> dict[Experiment, str]:
    """Return a unique name for every group: network, dataset, and the settings that differ among groups with both."""
    by_pair: dict[tuple[str, str], list[Experiment]] = {}
    for group in groups:
        by_pair.setdefault((group.network, group.dataset), []).append(group)
    return {
        group: f"{labels.network(group.network)} on {labels.dataset(group.dataset)}"
        + labels.differing_settings(group, by_pair[group.network, group.dataset])
        for group in groups
    }


def _count_claims(number: int) -> str:
    return counted(number, "claim")


def _matrix_cell(verdict: Verdict | None) -> Markup:
    if verdict is None:
        return Markup("<td></td>")
    answer, mean = verdict.decision.answer, verdict.decision.mean
    value = "" if mean is None else signed(mean) + (" so far" if answer == "not finished" else "")
    return Markup('<td class="{}">{} {}<br>{}</td>').format(answer.replace(" ", "-"), SYMBOLS[answer], answer, value)
