"""`data prepare` of small JPEGs in a zip: speed and memory; and the memory that a `train_size` loads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.blocks import Time, estimate, ratio
from bench.program import ROOT, command
from bench.tables import Row

SIDE, CLASSES = 64, 20
LOAD = """
import os, sys
from pathlib import Path
import torch
from bench import images
from snapshot_cli.datasets import batches, store
run = images.run("resnet-8", dataset="jpegs", train_size=int(sys.argv[2]))
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = resident()
dataset = store.load(Path(sys.argv[1]), "jpegs")  # keeps a reference, or its mapped memory would not count
held = batches.build_feeds(run, dataset, device=torch.device("cpu"))
print(resident() - before)
"""


def rows(*, train: int = 20_000, test: int = 2_000, train_size: int = 2_000, passes: int = 6) -> list[Row]:
    """Return images/s and peak memory of `data prepare`, and the memory that a smaller `train_size` loads.

    Passes on one core and on two alternate. The memory of `data prepare` is that of its largest process, without the
    memory-mapped array of images.
    """
    with tempfile.TemporaryDirectory() as name:
        cores = sorted(os.sched_getaffinity(0))
        source, data = Path(name) / "jpegs.zip", Path(name) / "data"
        _write(source, train=train, test=test)
        words = ("data", "prepare", "jpegs", "--from", str(source), "--data-dir", str(data), "--replace")
        one, two = list[tuple[Time, int]](), list[tuple[Time, int]]()
        for _ in range(passes):
            one.append(command(*words, cores=cores[:1]))
            two.append(command(*words, cores=cores[:2]))
        loaded = [_loaded(data, train_size) for _ in range(passes)]
    count, array = train + test, (train + test) * SIDE**2 * 3
    speeds = (estimate([count / getattr(time, clock) for time, _ in two]) for clock in ("wall", "cpu"))
    above = estimate([(peak - array) / 1e9 for _, peak in two])
    return [
        Row(f"data prepare of {count:,} JPEGs in a zip", *speeds, "images/s"),
        Row("data prepare: two cores / one", ratio([time.wall for time, _ in one], [time.wall for time, _ in two]),
            least=1.6),
        Row("data prepare: memory above the array of images", above, None, "GB", most=0.3),
        Row(f"train_size {train_size:,} of {train:,}: memory", estimate([size / 1e9 for size in loaded]), None, "GB",
            most=0.1),
    ]  # fmt: skip


def _write(path: Path, *, train: int, test: int) -> None:
    """Write JPEGs of Tiny ImageNet's size: a coarse pattern plus grain."""
    draw = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for row in range(train + test):
            coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE))
            grain = draw.integers(-12, 13, (SIDE, SIDE, 3))
            file = io.BytesIO()
            Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(file, "jpeg")
            split = "train" if row < train else "test"
            archive.writestr(f"{split}/class{row % CLASSES}/{row}.jpg", file.getvalue())


def _loaded(data: Path, train_size: int) -> int:
    """Return by how many bytes a process grows when it loads the images of a run."""
    code = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'scripts')]}\n{LOAD}"
    line = [sys.executable, "-c", code, str(data), str(train_size)]
    return int(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout)
