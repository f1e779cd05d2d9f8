"""The scores of finished runs as a pandas DataFrame, for tables and figures of your own."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pandas as pd

from snapshot_cli.analysis import outcomes
from snapshot_cli.config import load, shipped
from snapshot_cli.config.study import Split
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory

METRICS = ("error", "top5_error", "nll", "brier", "ece", "calibrated_nll")


def read_scores(source: str | Path, results: str | Path | None = None, split: Split | None = None) -> pd.DataFrame:
    """Return the scores of an experiment, a study or a run directory: one row per ensemble of the last m members.

    The columns are the label, the settings, the replicate, the split, the number of images, m, and the metrics: errors
    in percent, NLL in nats, Brier score 0 to 2, ECE a fraction. Unfinished replicates are left out. `results` is
    --results-dir of the command line. Raises UserError if nothing is finished, and for another split.
    """
    if split not in (None, *get_args(Split)):
        raise UserError(f"split: expected {' or '.join(get_args(Split))}, given {split!r}")
    path = shipped.config_path(str(source))
    if shipped.is_run_directory(str(source)):
        scored = outcomes.score_runs([RunDirectory(Path(source))], split or "test")
    else:
        study = load.as_study(load.load(path), path)
        folder = shipped.results_folder(path, None if results is None else Path(results))
        scored = outcomes.collect(study.model_copy(update={"split": split or study.split}), folder, dataset_hashes={})
        if not outcomes.count_cells(scored):
            raise UserError(f"{source}: nothing is finished in {folder}")
    return pd.DataFrame(
        [
            {
                "label": outcome.label,
                **outcome.experiment.model_dump(exclude={"replicates"}),
                "replicate": replicate,
                "split": scores.split,
                "images": scores.images,
                "m": m,
                **{name: getattr(metrics, name) for name in METRICS},
            }
            for outcome in scored
            for replicate, scores in outcome.scores.items()
            for m, metrics in enumerate(scores.last, start=1)
        ]
    )
