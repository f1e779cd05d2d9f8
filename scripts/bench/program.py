"""The program as users see it: start-up, the plan of all studies, the report of many finished runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from bench.blocks import Time, by_turns, estimate, timed
from bench.tables import Row
from snapshot_cli.config import plan
from snapshot_cli.config.load import load

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "configs/studies"
EXAMPLES = 10_000
WATCH = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, usage = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
MANY = """\
title: "Many runs"
base: {budget: 200, cycles: 5}
axes:
  network: [resnet-20, resnet-110, wide-resnet-32-4, densenet-40-12, densenet-100-24]
  dataset: [cifar10, cifar100]
methods: [single, dropout, nocycle, singlecycle, {method: snapshot, alpha0: 0.1}, {method: snapshot, alpha0: 0.2},
          {method: snapshot, alpha0: 0.3}, ensemble]
render: {many: methods, many-metrics: metrics, many-ensemble-size: ensemble-size, many-cost: cost}
"""


def start(*, blocks: int) -> list[Row]:
    """Return the seconds of `snapshot --help` and of planning all shipped studies."""
    work = {
        "snapshot --help": lambda: command("--help")[0],
        "plan of all studies": lambda: timed(lambda: [plan.runs(load(path)) for path in STUDIES.rglob("*.yaml")]),
    }
    times = by_turns(work, blocks=blocks)
    return [Row(name, *(estimate([getattr(t, clock) for t in each]) for clock in ("wall", "cpu")), "s")
            for name, each in times.items()]  # fmt: skip


def report() -> list[Row]:
    """Return seconds and memory of the report of a finished study as large as the paper's Table 1.

    Its runs have the predictions of all snapshots for 10,000 images of 10 or 100 classes. The report is drawn with
    scoring, then from scores alone. A last row is the report of small/table1 and its page from the committed scores.
    """
    with tempfile.TemporaryDirectory() as folder:
        results, small = Path(folder) / "results", Path(folder) / "small"
        study = Path(folder) / "many.yaml"
        study.write_text(MANY)
        count = _finish(study, results)
        shutil.copytree(ROOT / "results/small/scores", small / "scores")
        many = ("report", str(study), "--results-dir", str(results), "--data-dir", folder)
        table = ("report", str(STUDIES / "small/table1.yaml"), "--results-dir", str(small), "--data-dir", folder)
        scoring = _passes(many, results, fresh=("scores", "*.*"), passes=1)
        drawing, page = _passes(many, results, fresh=("*.*",)), _passes(table, small, fresh=("*.*",))
    name = f"report of {count} finished runs"
    return [
        _row(f"{name}, scored first", scoring, most=15),
        _row(f"{name}, from scores", drawing, most=3),
        _row("report of small/table1 and its page, from scores", page, most=3),
        Row(f"{name}, memory", estimate([memory / 1e9 for _, memory in scoring]), None, "GB", most=1),
    ]


def _row(name: str, passes: Sequence[tuple[Time, int]], *, most: float) -> Row:
    return Row(name, estimate([t.wall for t, _ in passes]), estimate([t.cpu for t, _ in passes]), "s", most=most)


def _passes(words: Sequence[str], results: Path, *, fresh: Sequence[str], passes: int = 3) -> list[tuple[Time, int]]:
    """Return the time and memory of some passes of a command; the files `fresh` are deleted before every pass."""
    times = []
    for _ in range(passes):
        for path in (path for pattern in fresh for path in results.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        times.append(command(*words))
    return times


def command(*words: str, cores: Collection[int] | None = None) -> tuple[Time, int]:
    """Return the time of a snapshot command in a process, and its peak memory in bytes.

    It runs on the given cores, or on all. A small process starts it, because Linux includes the parent's memory in a
    child's peak.
    """
    line = [sys.executable, "-c", WATCH, sys.executable, "-P", "-m", "snapshot_cli", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        line, env=environment, check=True, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores or os.sched_getaffinity(0)),
    )  # fmt: skip
    wall, cpu, kibibytes = json.loads(done.stdout)
    return Time(wall, cpu), 1024 * kibibytes


def _finish(study: Path, results: Path) -> int:
    """Write all runs of a study as if they were trained, and return their number."""
    import numpy as np

    from snapshot_cli.run_directory import RunDirectory

    draw, runs = np.random.default_rng(0), plan.runs(load(study))
    for run in runs:
        classes, directory = 100 if run.dataset == "cifar100" else 10, RunDirectory.of(run, results)
        directory.start(run, {"dataset_hash": "0" * 64})
        labels = np.arange(EXAMPLES) % classes
        for snapshot in range(1, run.snapshots + 1):
            logits = draw.normal(size=(EXAMPLES, classes)).astype(np.float32)
            logits[np.arange(EXAMPLES), labels] += 4
            directory.write_predictions("test", snapshot, logits)
        directory.write_labels("test", labels)
        steps = run.snapshot_steps(50_000)[-1]
        row = {"rate": 0.1, "train_loss": 1.0, "train_error": 10.0, "seconds": 1.0, "images_per_second": 1.0}
        directory.write_metrics(
            {"epoch": epoch, "iteration": min(steps, 782 * epoch)} | row for epoch in range(1, -(-steps // 782) + 1)
        )
        directory.finish({"run": run.run_id, "dataset_hash": "0" * 64, "train_examples": 50_000})
    return len(runs)
