"""From experiments to runs: a method determines the members of its ensemble, which are (run, snapshot) pairs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from snapshot_cli.config.experiment import MEMBER_STRIDE, Experiment, Recipe, Run, short_hash
from snapshot_cli.config.study import Study
from snapshot_cli.networks.operations import count_multiply_adds

DROP_PROBABILITY = 0.2  # of the method dropout; section 4.1
TITLES = {
    "single": "Single model",
    "dropout": "Dropout",
    "nocycle": "NoCycle Snapshot",
    "singlecycle": "SingleCycle",
    "snapshot": "Snapshot",
    "ensemble": "True ensemble",
}


@dataclass(frozen=True)
class Member:
    """A network of an ensemble: the k-th snapshot, from 1, of a run."""

    run: Run
    snapshot: int


@dataclass(frozen=True)
class Cell:
    """An experiment, one of its replicates, and the members whose softmax outputs are averaged."""

    experiment: Experiment
    replicate: int
    members: tuple[Member, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The distinct runs behind the members, in order."""
        return tuple(dict.fromkeys(member.run for member in self.members))

    @property
    def alone(self) -> Experiment:
        """The replicate as an experiment of one replicate: the same members, whatever the number of replicates."""
        return self.experiment.model_copy(update={"seed": self.experiment.seed + self.replicate, "replicates": 1})

    @property
    def cell_id(self) -> str:
        """Network and method in words, then eight hex digits over all settings that differ from their default."""
        experiment = self.alone
        words = [experiment.network, experiment.method, f"M{experiment.cycles}"]
        words += [f"seed{experiment.seed}"] if experiment.seed else []
        return f"{experiment.dataset}/{'-'.join(words)}-{short_hash(experiment)}"


def expand(config: Experiment | Study) -> list[Cell]:
    """Return all cells of an experiment or study; the replicates of an experiment follow one another."""
    if isinstance(config, Experiment):
        return [cell(config, replicate=r) for r in range(config.replicates)]
    return [cell(experiment, replicate=r) for experiment in config.experiments for r in range(experiment.replicates)]


def runs(config: Experiment | Study | Run) -> list[Run]:
    """Return the distinct runs of a configuration."""
    if isinstance(config, Run):
        return [config]
    return list(dict.fromkeys(run for cell in expand(config) for run in cell.runs))


def cell(experiment: Experiment, *, replicate: int = 0) -> Cell:
    """Return the members of one replicate of an experiment.

    The k-th run (k from 0) of replicate r has seed + r + 1000 k, whatever the number of replicates. SingleCycle, true
    ensembles and Snapshot with independent runs have several runs, the other methods one. True ensembles and
    independent runs list the highest k first, so that the last member is the single model or a single Snapshot's.
    """
    members = {
        "single": _single,
        "dropout": _single,
        "nocycle": _nocycle,
        "singlecycle": _singlecycle,
        "snapshot": _snapshot,
        "ensemble": _ensemble,
    }[experiment.method]
    return Cell(experiment, replicate, tuple(members(experiment, experiment.seed + replicate)))


def label(experiment: Experiment) -> str:
    """Return the name of the method in tables and figures."""
    title = TITLES[experiment.method]
    if experiment.independent_runs > 1:
        title = f"{experiment.independent_runs} × {title}"
    if experiment.method == "snapshot":
        title = f"{title} (α₀ = {experiment.alpha0:g})"
    return " with ".join([title, *implicit(experiment)])


def run_label(run: Run) -> str:
    """Return network, dataset, schedule, M, alpha0, dropout and seed of a run, and last the hash in its id."""
    words = [run.network, run.dataset, f"{run.schedule} M{run.cycles}"]
    words += [f"cycle {run.cycle}"] if run.cycle else []
    words += [f"alpha0 {run.alpha0:g}"]
    words += [f"dropout {run.dropout:g}"] if run.dropout else []
    return " ".join([*words, f"seed {run.seed}", run.run_id.rpartition("-")[2]])


def implicit(experiment: Experiment) -> list[str]:
    """Return the implicit ensembles that a method other than dropout is combined with, in words."""
    dropout = 0.0 if experiment.method == "dropout" else experiment.dropout
    amounts = {"dropout": dropout, "stochastic depth": experiment.stochastic_depth}
    return [f"{name} {amount:g}" for name, amount in amounts.items() if amount]


def images(run: Run, available: int) -> int:
    """Return the number of training images that a run processes in all, given those of its dataset."""
    examples = run.training_examples(available)
    return examples * run.budget * run.snapshot_steps(examples)[-1] // run.total_steps(examples)


def operations(run: Run, available: int, side: int, classes: int) -> int:
    """Return the multiply-adds of all forward passes of a run, the estimate of its relative cost."""
    return images(run, available) * count_multiply_adds(run.network, side, run.network_options, classes=classes)


def cost(runs: Iterable[Run], budget: int) -> float:
    """Return the training cost of distinct runs, in full budgets of `budget` epochs."""
    return sum(run.budget / budget / (run.cycles if run.cycle else 1) for run in runs)


def _single(experiment: Experiment, seed: int) -> list[Member]:
    return [Member(_step(experiment, seed), experiment.cycles)]


def _nocycle(experiment: Experiment, seed: int) -> list[Member]:
    return [Member(_step(experiment, seed), k) for k in range(1, experiment.cycles + 1)]


def _snapshot(experiment: Experiment, seed: int) -> list[Member]:
    seeds = reversed(_seeds(seed, experiment.independent_runs))
    return [Member(_cosine(experiment, seed), k) for seed in seeds for k in range(1, experiment.cycles + 1)]


def _singlecycle(experiment: Experiment, seed: int) -> list[Member]:
    seeds = _seeds(seed, experiment.cycles)
    return [Member(_lone_cycle(experiment, seed, last=seed == seeds[-1]), 1) for seed in seeds]


def _lone_cycle(experiment: Experiment, seed: int, *, last: bool) -> Run:
    """Return the run of one cycle from fresh weights; cycles of equal length differ only in their seed."""
    epochs, remainder = divmod(experiment.budget, experiment.cycles)
    if remainder:
        return _cosine(experiment, seed, cycle=experiment.cycles if last else 1)
    return _cosine(experiment, seed, budget=epochs, cycles=1)


def _ensemble(experiment: Experiment, seed: int) -> list[Member]:
    return [Member(_step(experiment, seed), experiment.cycles) for seed in reversed(_seeds(seed, experiment.cycles))]


def _seeds(seed: int, networks: int) -> list[int]:
    return [seed + MEMBER_STRIDE * k for k in range(networks)]


def _step(experiment: Experiment, seed: int) -> Run:
    return Run(**_recipe(experiment, seed), schedule="step")


def _cosine(experiment: Experiment, seed: int, **settings: int) -> Run:
    drops = Run.model_fields["drops"].default
    return Run(**_recipe(experiment, seed) | {"drops": drops, "schedule": "cosine"} | settings)


def _recipe(experiment: Experiment, seed: int) -> dict[str, Any]:
    recipe = {name: getattr(experiment, name) for name in Recipe.model_fields}
    drop = experiment.dropout or (DROP_PROBABILITY if experiment.method == "dropout" else 0.0)
    return recipe | {"seed": seed, "dropout": drop}
