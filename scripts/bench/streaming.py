"""Decoding photographs into batches in the training process: ours against torchvision's ImageFolder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from bench import images
from bench.blocks import by_turns, estimate, ratio, timed
from bench.tables import Row
from snapshot_cli.datasets import batches, store
from snapshot_cli.datasets.decoding import JITTER
from snapshot_cli.datasets.prepare import prepare

FILES, HEIGHT, WIDTH = 128, 375, 500  # the size of most of ImageNet's images


def rows(*, blocks: int) -> list[Row]:
    """Return the images/s that one process decodes and augments, and the ratio to torchvision."""
    with tempfile.TemporaryDirectory() as name:
        photographs, data = Path(name) / "photographs", Path(name) / "data"
        _write(photographs)
        prepare("photographs", data, source=photographs, streamed=True)
        run = images.run("imagenet-resnet-50", dataset="photographs")
        feed = batches.build_feeds(run, store.load(data, "photographs"), device=torch.device("cpu"), workers=0)["train"]
        reference = _reference(photographs / "train")
        work = {
            "ours": lambda: timed(lambda: list(feed.training(0, 0, batch_size=images.BATCH))),
            "torchvision": lambda: timed(lambda: list(reference)),
        }
        times = by_turns(work, blocks=blocks)
    wall, cpu = ([[getattr(t, clock) for t in times[way]] for way in work] for clock in ("wall", "cpu"))
    speeds = (estimate([FILES / t for t in clock[0]]) for clock in (wall, cpu))
    return [
        Row("photographs: ours", *speeds, "images/s"),
        Row("photographs: ours / torchvision", ratio(wall[1], wall[0]), ratio(cpu[1], cpu[0])),
    ]


def _write(folder: Path) -> None:
    """Write JPEGs of the size of photographs: a coarse pattern plus grain."""
    draw = np.random.default_rng(0)
    for row in range(FILES + 2):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
        grain = draw.normal(0, 12, (HEIGHT, WIDTH, 3))
        path = folder / ("train" if row < FILES else "test") / f"class{row % 2}" / f"{row}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(path, quality=90)


def _reference(folder: Path) -> DataLoader[Any]:
    """Return torchvision's pipeline for training on ImageNet, with the same colour jitter as ours."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    view = v2.Compose([
        v2.RandomResizedCrop(224, antialias=True),
        v2.ColorJitter(JITTER, JITTER, JITTER),
        v2.RandomHorizontalFlip(),
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    return DataLoader(ImageFolder(str(folder), view), batch_size=images.BATCH, shuffle=True)
