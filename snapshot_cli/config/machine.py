"""Where and how runs are trained: from options and environment, never in an experiment's file or a run's name."""

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
    """Return how many processors this process may use: a batch system or container grants some of a host's."""
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
    """auto takes a GPU when there is one."""

    threads: int | None = None
    """Threads of a training on the CPU; None leaves them to torch. The numbers depend on it in their last digits."""

    checkpoint_seconds: float = CHECKPOINT_SECONDS
    """The most between two saves of a run's state; it is saved at the end of every epoch, too."""

    deterministic: bool = False
    """Take kernels that give the same bits every time, also on a GPU, where they are slower."""

    compile: bool = False
    """Train through torch.compile, on a GPU with CUDA graphs. The numbers depend on it in their last digits."""

    workers: int | None = None
    """Processes that decode streamed images, which no number depends on; None: as many as there are processors.
    Of a run in several processes, each has so many, or its share of the processors."""

    other_ranks: bool = False
    """Let a run go on in another number of processes than it was trained in so far, which changes its numbers."""

    def options(self) -> list[str]:
        """Return the options of the command line that describe this machine, defaults left out but for the folders."""
        words: list[str] = ["--data-dir", str(self.data), "--results-dir", str(self.results)]
        for field in fields(self):
            value, name = getattr(self, field.name), f"--{field.name.replace('_', '-')}"
            if field.name in FOLDERS or value == field.default:
                continue
            words += [name] if value is True else [name, f"{value:g}" if isinstance(value, float) else str(value)]
        return words
