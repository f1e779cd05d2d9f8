"""Write finished runs with chosen predictions, through RunDirectory and without training."""

import numpy as np

from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.study import Study
from snapshot_cli.run_directory import RunDirectory

HASH = "47dfa2e54589aad376a98b57ebd4a86557af69f77d6c232c22637c10ded583a3"  # of digits


def logits_of(classes_chosen, *, classes=10, confidence=1 / 2):
    """Return float32 logits whose softmax gives the chosen class `confidence` and all others the same."""
    rest = (1 - confidence) / (classes - 1)
    logits = np.full((len(classes_chosen), classes), np.log(rest), np.float32)
    logits[np.arange(len(classes_chosen)), classes_chosen] = np.log(confidence)
    return logits


def wrong(labels, mistakes, **options):
    """Return logits that choose the class after the label for the first `mistakes` examples, else the label."""
    chosen = np.array(labels)
    chosen[:mistakes] = (chosen[:mistakes] + 1) % 10
    return logits_of(chosen, **options)


def experiment(method="snapshot", **settings):
    """Return an experiment of two cycles on digits."""
    values = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2}
    return Experiment(method=method, **values | settings)


def study(*experiments, **fields):
    """Return a study that draws a table and a figure."""
    fields = {"title": "Mine", "render": {"table": "methods", "figure": "ensemble-size"}} | fields
    return Study(name="mine", experiments=experiments, **fields)


def finish(run, results, logits, labels, *, dataset_hash=HASH, split="test", rows=None, train_examples=640):
    """Write a finished run with the logits of each snapshot, and rows of metrics.csv, by default one an epoch."""
    directory = RunDirectory.of(run, results)
    directory.start(run, {"dataset_hash": dataset_hash, "started": "2026-01-01T00:00:00+00:00"})
    for snapshot, each in enumerate(logits, start=1):
        directory.write_predictions(split, snapshot, each)
    directory.write_labels(split, np.asarray(labels, np.int64))
    directory.write_metrics(epochs(run, train_examples) if rows is None else rows)
    directory.finish({"run": run.run_id, "dataset_hash": dataset_hash, "train_examples": train_examples})
    return directory


def epochs(run, train_examples):
    """Return rows of metrics.csv, one an epoch, whose loss falls from 2."""
    last = run.snapshot_steps(train_examples)[-1]
    length = -(-train_examples // run.batch_size)
    steps = [min(length * epoch, last) for epoch in range(1, -(-last // length) + 1)]
    return [
        {
            "epoch": epoch,
            "iteration": step,
            "rate": run.lr(step, train_examples),
            "train_loss": 2 / epoch,
            "train_error": 90 / epoch,
            "seconds": 1.0,
            "images_per_second": 640.0,
        }
        for epoch, step in enumerate(steps, start=1)
    ]


def finish_cells(asked, results, mistakes, *, examples=20, **options):
    """Finish every run of a file; `mistakes(run, snapshot)` says how many of the examples are wrong."""
    labels = np.arange(examples) % 10
    return [
        finish(run, results, [wrong(labels, mistakes(run, k)) for k in range(1, run.snapshots + 1)], labels, **options)
        for run in plan.runs(asked)
    ]
