"""The figures of errors: against ensemble size, budget, cost, and over time; data in the paper's panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snapshot_cli.analysis import beyond
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import figures, titles
from snapshot_cli.reporting.drawn import Drawn, Picture, Request, by_pair
from snapshot_cli.reporting.entries import Entry, baseline, errors, grouped, mean, means, paper_value, spread, spreads
from snapshot_cli.reporting.figures import (
    BudgetCurve,
    BudgetPanel,
    CostCurve,
    Curve,
    PaperPoint,
    SizePanel,
    TimePanel,
)
from snapshot_cli.reporting.tables import signed

NAN = float("nan")
BANDS = "Bands: 95 % interval of the mean over seeds."
STATUS = {"rerun": "rerun by the authors", "copied": "copied from earlier work", "figure": "read off a figure"}


def ensemble_size(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw error against ensemble size, a figure a network, a panel a dataset, the single model dashed (Figure 3)."""
    drawn: list[Drawn] = []
    finished = [entry for entry in entries if entry.scored]
    networks = list(grouped(finished, "network"))
    for (network,), part in networks:
        panels = [_size_panel(group) for _, group in grouped(part, "dataset") if not all(map(_plain, group))]
        if not panels:
            continue
        asked = request if len(networks) == 1 else replace(request, stem=f"{request.stem}-{network}")
        drawn.append(
            Picture(
                asked,
                "Error of the ensemble of the last m members against m. Do lines fall from left to right, and below "
                "the dashed single model?",
                figures.ensemble_size(panels),
                "; ".join(_in_words(panel) for panel in panels),
                [*_interval_note(part), *beside_paper(part)],
            )
        )
    return drawn


def _size_panel(entries: Sequence[Entry]) -> SizePanel:
    plain = [each for each in entries if _plain(each)]
    dashed = plain if len(plain) == 1 else []  # of several each is drawn under its own name
    curves = [_size_curve(entry) for entry in entries if entry not in dashed]
    return SizePanel(entries[0].group, curves, mean(_last(dashed[0])) if dashed else None)


def _plain(entry: Entry) -> bool:
    return _looks(entry.experiment) == "single"


def _looks(experiment: Experiment) -> str:
    """Return a method and its implicit ensembles, as `figures.style.look` knows them."""
    return " with ".join([experiment.method, *(words.rpartition(" ")[0] for words in plan.implicit(experiment))])


def _size_curve(entry: Entry) -> Curve:
    experiment, found = entry.experiment, errors(entry)
    sizes = range(1, len(found[0]) + 1)
    values = {m: paper_value(entry, m if len(sizes) > 1 else None) for m in sizes}
    points = [PaperPoint(m, value.value, value.uncertainty) for m, value in values.items() if value]
    return Curve(entry.method, _looks(experiment), experiment.alpha0, means(found), spreads(found), points)


def _last(entry: Entry) -> list[float]:
    return [scored.error for scored in entry.scored]


def _in_words(panel: SizePanel) -> str:
    lines = [f"{curve.label} from {curve.errors[0]:.2f} to {curve.errors[-1]:.2f} %" for curve in panel.curves]
    single = [] if panel.single is None else [f"single model {panel.single:.2f} %"]
    return f"{panel.title}: {', '.join(lines + single)}"


def _interval_note(entries: Sequence[Entry]) -> list[str]:
    return [BANDS] if any(len(entry.scored) > 1 for entry in entries) else []


def beside_paper(entries: Sequence[Entry]) -> list[str]:
    """Return a list of lines, one for the ensemble of all members of which the paper has a number, its status too."""
    lines = []
    for entry in entries:
        value = paper_value(entry)
        if value:
            ours = mean(_last(entry))
            difference = signed(ours - value.value)
            beside = f"the paper's {value.value:.2f} ({STATUS[value.status]}), difference {difference}"
            lines.append(f"{entry.group}, {entry.method}: {ours:.2f}, {beside}")
    return ["\n- ".join(["Error (%) beside the paper's:", *lines])] if lines else []


def budget(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw error against training budget, a panel a network and dataset (Figure 4)."""
    finished = [entry for entry in entries if entry.scored]
    panels = [_budget_panel(part) for _, part in grouped(finished, "network", "dataset")]
    if not panels:
        return []
    caption = "Error of the ensemble of all members against the training budget. Which line stays low on the left?"
    words = [
        f"{panel.title}: " + ", ".join(f"{c.label} {_pairs(c.budgets, c.errors)}" for c in panel.curves)
        for panel in panels
    ]
    notes = [*_interval_note(finished), *beside_paper(finished)]
    return [Picture(request, caption, figures.budget(panels), "; ".join(words), notes)]


ALONG = ("budget", "replicates")  # what may differ along a line of the figure


def _budget_panel(entries: Sequence[Entry]) -> BudgetPanel:
    labels = titles.methods([entry.experiment for entry in entries], without=ALONG)
    lines = grouped(entries, *(name for name in Experiment.model_fields if name not in ALONG))
    curves = [_budget_curve(line, labels[line[0].experiment]) for _, line in lines]
    return BudgetPanel(entries[0].group, curves)


def _budget_curve(entries: Sequence[Entry], label: str) -> BudgetCurve:
    ordered = sorted(entries, key=lambda entry: entry.experiment.budget)
    experiment = ordered[0].experiment
    half = [spread(_last(entry)) for entry in ordered]
    values = [(entry.experiment.budget, paper_value(entry)) for entry in ordered]
    return BudgetCurve(
        label=label,
        method=_looks(experiment),
        alpha0=experiment.alpha0,
        budgets=[entry.experiment.budget for entry in ordered],
        errors=[mean(_last(entry)) for entry in ordered],
        spreads=[NAN if each is None else each for each in half] if any(each is not None for each in half) else (),
        paper=[PaperPoint(place, value.value, value.uncertainty) for place, value in values if value],
    )


def _pairs(x: Sequence[float], y: Sequence[float]) -> str:
    return ", ".join(f"{error:.2f} % at {place:g}" for place, error in zip(x, y, strict=True))


def over_time(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw each snapshot alone and the ensemble of the first k, a panel an experiment (Figures 7 and 8)."""
    finished = [entry for entry in entries if entry.scored]
    panels = []
    for _, part in grouped(finished, "network", "dataset"):
        several = [each for each in part if len(each.scored[0].members) > 1 and each.experiment.replicas == 1]
        panels += [_time_panel(each, baseline(each, part, "single")) for each in several]
    if not panels:
        return []
    caption = (
        "Each snapshot alone, and the ensemble of the first k, against k. The ensemble should lie below its members "
        "and end below the dashed single model."
    )
    words = [
        f"{panel.title}: snapshots {_percents(panel.members)}, ensembles {_percents(panel.ensembles)}"
        for panel in panels
    ]
    return [Picture(request, caption, figures.over_time(panels), "; ".join(words), beside_paper(finished))]


def _time_panel(entry: Entry, single: Entry | None) -> TimePanel:
    members = means([[each.top1_error for each in scored.evaluation.members] for scored in entry.scored])
    first = means([beyond.first_errors(scored) for scored in entry.scored])
    return TimePanel(
        f"{entry.group}, {entry.method}",
        _looks(entry.experiment),
        entry.experiment.alpha0,
        members,
        first,
        mean(_last(single)) if single else None,
    )


def _percents(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values) + " %"


def cost(entries: Sequence[Entry], request: Request) -> list[Drawn]:
    """Draw error against training cost in full budgets, a figure a network and dataset; ensembles at every size.

    Sizes are members of a true ensemble, and runs of a snapshot ensemble with replicas. A full budget is the largest
    among the experiments drawn together.
    """
    drawn: list[Drawn] = []
    for part, asked in by_pair([entry for entry in entries if entry.scored], request):
        curves = _cost_curves(part)
        caption = (
            "Error against training cost in full budgets: what lies low on the left is free. True ensembles and "
            "replicas of snapshot ensembles are drawn at every size."
        )
        words = f"{part[0].group}: " + ", ".join(f"{c.label} {_pairs(c.costs, c.errors)}" for c in curves)
        notes = [BANDS] if any(curve.spreads and len(curve.costs) > 1 for curve in curves) else []
        drawn.append(Picture(asked, caption, figures.cost(curves, title=part[0].group), words, notes))
    return drawn


def _cost_curves(entries: Sequence[Entry]) -> list[CostCurve]:
    full = max(entry.experiment.budget for entry in entries)
    curves = []
    for entry in entries:
        experiment, members, share = entry.experiment, entry.scored[0].members, entry.experiment.budget / full
        run = 1 if experiment.method == "ensemble" else len(members) // experiment.replicas
        sizes = range(run, len(members) + 1, run)
        columns = [[each[m - 1] for each in errors(entry)] for m in sizes]
        half = [each for column in columns if (each := spread(column)) is not None]
        curves.append(
            CostCurve(
                entry.method,
                _looks(experiment),
                experiment.alpha0,
                costs=[share * plan.cost(members[-m:], experiment.budget) for m in sizes],
                errors=[mean(column) for column in columns],
                names=[str(m // run) for m in sizes] if len(sizes) > 1 else (),
                spreads=half,
            )
        )
    return curves
