"""Folders, device and processes of a training: options, never part of an experiment file or a run id."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from snapshot_cli.config import container

Device = Literal["auto", "cpu", "cuda"]
CHECKPOINT_SECONDS = 300.0
FOLDERS = ("data", "results")


def processors() -> int:
    """Return the number of processors that this process may use; a batch system or container may grant only some."""
    granted = container.processors()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable if granted is None else min(usable, math.ceil(granted))


@dataclass(frozen=True)
class Machine:
    """Folders, device and processes."""

    data: Path = Path("data")
    """Folder of prepared datasets."""

    results: Path = Path("results")
    """Folder of results, with the runs in runs/."""

    device: Device = "auto"
    """auto: a GPU if there is one."""

    threads: int | None = None
    """Threads of a training on a CPU; None: torch's default. Results depend on it in their last digits."""

    checkpoint_seconds: float = CHECKPOINT_SECONDS
    """Maximum time between two checkpoints; one is also saved at the end of every epoch."""

    deterministic: bool = False
    """Use deterministic kernels, which are slower on a GPU."""

    compile: bool = False
    """Train with torch.compile, on a GPU with CUDA graphs. Results depend on it in their last digits."""

    workers: int | None = None
    """Processes that decode streamed images, per training process; None: its share of the processors. Results do not
    depend on it."""

    other_ranks: bool = False
    """Resume a run in another number of processes than before, which changes its numbers."""

    def decoders(self, trainings: int = 1) -> int:
        """Return the number of decoding processes for one of some parallel trainings."""
        return max(1, processors() // trainings) if self.workers is None else self.workers

    def options(self) -> list[str]:
        """Return the command-line options for this machine: both folders, and all values that are not defaults."""
        words: list[str] = ["--data-dir", str(self.data), "--results-dir", str(self.results)]
        for field in fields(self):
            value, name = getattr(self, field.name), f"--{field.name.replace('_', '-')}"
            if field.name in FOLDERS or value == field.default:
                continue
            words += [name] if value is True else [name, f"{value:g}" if isinstance(value, float) else str(value)]
        return words
