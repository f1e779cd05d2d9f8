"""Format scores as tables for the terminal, and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from snapshot_cli.analysis.claims import Verdict, compare
from snapshot_cli.analysis.outcomes import Outcome, group_by
from snapshot_cli.analysis.statistics import means
from snapshot_cli.config.plan import label
from snapshot_cli.reporting.table import DASH, signed
from snapshot_cli.scores import Choice, Metrics, Scores, defined
from snapshot_cli.words import counted

RUN_DIRECTORIES = "run directories"
"""The label of an ensemble of run directories, which has no experiment."""
SPLITS = {"test": "test images", "holdout": "withheld training images"}
FITTING = 6
"""The maximum number of ensemble sizes that are all listed; of more, the powers of two and the largest are."""
NARROWEST = 19
"""The minimum width of a column of text: that of "Snapshot (α₀ = 0.2)"."""
DIFFERENCE = "B − A: error of B minus error of A, in points. Above 0, A has the lower error."
T_TEST = "Interval and p: t test, paired by seed, not corrected for the number of pairs."
MCNEMAR = "p of one seed: McNemar's exact test. It says nothing about other seeds."
NOT_JUDGED = "No interval: a test needs at least three planned seeds, all finished."


def as_json(scores: Scores) -> dict[str, Any]:
    """Return the metrics of the members and of the ensembles of the last m; errors in percent, ECE a fraction.

    A metric that is not defined, such as those of a diverged network, is None.
    """
    run = _first_run(scores)
    return {
        "method": scores.experiment and scores.experiment.method,
        "dataset": run.dataset,
        "network": run.network,
        "split": scores.split,
        "examples": scores.images,
        "members": [
            {"run": member.run, "snapshot": member.snapshot, **metrics.numbers}
            for member, metrics in zip(scores.members, scores.alone, strict=True)
        ],
        "ensembles": [{"size": size, **metrics.numbers} for size, metrics in enumerate(scores.last, start=1)],
        "chosen_on_holdout": [
            choice.model_dump() | {"withheld_error": defined(choice.withheld_error), "error": defined(choice.error)}
            for choice in scores.chosen
            if choice.rule != "best"
        ],
    }


def study_as_json(name: str | None, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the cells of a study, or the replicates of an experiment, with their distinguishing settings."""
    cells = []
    for outcome in outcomes:
        experiment = outcome.experiment
        settings = {"alpha0": experiment.alpha0, "cycles": experiment.cycles, "budget": experiment.budget}
        for replicate, scores in outcome.scores.items():
            cells.append({"label": outcome.label, **settings, "replicate": replicate, **as_json(scores)})
    return {"study": name, "cells": cells}


def members_and_ensembles(scores: Scores) -> list[Table | str]:
    """Return a title, a table of the members and, with several members, a table of the ensembles of the last m."""
    run, title = _first_run(scores), RUN_DIRECTORIES if scores.experiment is None else label(scores.experiment)
    title = f"{title}: {run.network} on {run.dataset}, {scores.images:,} {SPLITS[scores.split]}"
    members = _table("member", "error (%)", "NLL", "ECE")
    for member, metrics in zip(scores.members, scores.alone, strict=True):
        seed = f"seed {scores.runs[member.run].config.seed}, " if len(scores.runs) > 1 else ""
        members.add_row(f"{seed}snapshot {member.snapshot}", *_main_numbers(metrics))
    if len(scores.members) == 1:
        return [title, "", members]
    ensembles = _table("ensemble", "error (%)", "NLL", "ECE")
    for size, metrics in enumerate(scores.last, start=1):
        ensembles.add_row("last member alone" if size == 1 else f"last {size} members", *_main_numbers(metrics))
    choices = [_describe_choice(choice) for choice in scores.chosen if choice.rule != "best"]
    return [title, "", members, "", ensembles, *(["", *choices] if choices else [])]


def _main_numbers(metrics: Metrics) -> list[str]:
    return [f"{metrics.error:.2f}", f"{metrics.nll:.4f}", f"{metrics.ece:.4f}"]


def _describe_choice(choice: Choice) -> str:
    numbers = ", ".join(f"{k} (x{n})" if n > 1 else str(k) for k, n in Counter(choice.members).items())
    return (
        f"chosen on the withheld images, {choice.rule}: members {numbers}; "
        f"{choice.withheld_error:.2f} % there, {choice.error:.2f} % on test images"
    )


def compare_methods(outcomes: Sequence[Outcome]) -> list[Table | str]:
    """Return a title and a table per dataset and network: mean errors by method (rows) and ensemble size (columns)."""
    shown: list[Table | str] = []
    finished = [outcome for outcome in outcomes if outcome.scores]
    most = max(outcome.members for outcome in finished)
    sizes = [m for m in range(1, most + 1) if most <= FITTING or m.bit_count() == 1]
    with_all = ["all M"] if most > FITTING else []
    for (network, dataset), part in group_by(finished, "network", "dataset").items():
        images = f"{part[0].finished[0].images:,} {SPLITS[part[0].split]}"
        shown += ["", f"{network} on {dataset}, {images}", "Error (%) of the ensemble of the last m members:", ""]
        table = _table("method", "seeds", *(f"m = {m}" if m == 1 else str(m) for m in sizes), *with_all)
        for outcome in part:
            errors = [f"{error:.2f}" for error in means(outcome.errors_of("last"))]
            listed = [errors[m - 1] if m <= len(errors) else "" for m in sizes]
            table.add_row(outcome.label, _seeds(outcome), *listed, *(errors[-1] for _ in with_all))
        shown.append(table)
    return shown[1:]


def list_errors(outcomes: Sequence[Outcome]) -> Table:
    """Return a table with one row per experiment: the mean error of the full ensemble ± its 95 % half-width."""
    has_groups = len({outcome.group for outcome in outcomes}) > 1
    texts = ["network and dataset", "method"] if has_groups else ["method"]
    table = _table(*texts, "error (%)", "seeds", text=len(texts))
    for outcome in outcomes:
        names = [outcome.group, outcome.label] if has_groups else [outcome.label]
        error = f"{outcome.error:.2f}" + ("" if outcome.half_width is None else f" ± {outcome.half_width:.2f}")
        table.add_row(*names, error, _seeds(outcome))
    return table


def compare_pairs(outcomes: Sequence[Outcome], pairs: Iterable[tuple[Outcome, Outcome]]) -> list[Table | str]:
    """Return a table of errors and, for every network and dataset, a table of the differences of pairs.

    Pairs across networks or datasets are last; pairs on different images are left out.
    """
    shown: list[Table | str] = [f"Errors on {SPLITS[outcomes[0].split]}; ± is half the 95 % interval over seeds", ""]
    shown.append(list_errors(outcomes))
    tables: dict[str, Table] = {}
    verdicts = [(*pair, verdict) for pair in pairs if not (verdict := compare(*pair)).has_different_images]
    verdicts.sort(key=lambda row: row[0].group != row[1].group)
    for one, other, verdict in verdicts:
        is_across = one.group != other.group
        names = [f"{outcome.label}, {outcome.group}" if is_across else outcome.label for outcome in (one, other)]
        table = tables.setdefault(
            "Across networks or datasets" if is_across else one.group,
            _table("A", "B", "B − A", "95 % interval", "p", text=2),
        )
        mean = verdict.decision.mean
        table.add_row(*names, DASH if mean is None else signed(mean), *_evidence(verdict))
    for group, table in tables.items():
        shown += ["", group, "", table]
    judged = [verdict for *_, verdict in verdicts if verdict.decision.estimate]
    one_seed = [verdict for *_, verdict in verdicts if verdict.mcnemar_p is not None]
    notes = [DIFFERENCE] if verdicts else []
    notes += [T_TEST] if judged else []
    notes += [MCNEMAR] if one_seed else []
    notes += [NOT_JUDGED] if len(judged) + len(one_seed) < len(verdicts) else []
    return [*shown, "", *notes]


def _evidence(verdict: Verdict) -> tuple[str, str]:
    """Return the interval and p of a pair; the number of seeds instead of an interval that there is not."""
    estimate, finished, planned = verdict.decision.estimate, verdict.finished[0], verdict.planned[0]
    if estimate is not None:
        low, high = (signed(end, "-") for end in estimate.interval)
        return f"[{low}, {high}]", f"{estimate.p:.2g}"
    seeds = f"{finished} of {planned} seeds" if finished < planned else counted(planned, "seed")
    return seeds, "" if verdict.mcnemar_p is None else f"{verdict.mcnemar_p:.2g}"


def _table(*headings: str, text: int = 1) -> Table:
    """Return a table whose first columns hold text, which is wrapped in narrow terminals, and the others numbers."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings[:text]:
        table.add_column(heading, min_width=NARROWEST)
    for heading in headings[text:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _seeds(outcome: Outcome) -> str:
    return f"{len(outcome.scores)} of {outcome.experiment.replicates}"


def _first_run(scores: Scores) -> Any:
    return scores.runs[scores.members[0].run].config
