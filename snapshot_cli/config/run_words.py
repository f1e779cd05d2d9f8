"""A readable name of a run, for tables and messages."""

from __future__ import annotations

from snapshot_cli.config.experiment import Run


def in_words(run: Run) -> str:
    """Return network, dataset, schedule, M, alpha0, dropout and seed of a run, and the hash of its name last."""
    words = [run.network, run.dataset, f"{run.schedule} M{run.cycles}"]
    words += [f"cycle {run.cycle}"] if run.cycle else []
    words += [f"alpha0 {run.alpha0:g}"]
    words += [f"dropout {run.dropout:g}"] if run.dropout else []
    return " ".join([*words, f"seed {run.seed}", run.run_id.rpartition("-")[2]])
