"""Who trains many runs side by side: slots on this machine, or Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import ray_engine, slots, torchrun
from snapshot_cli.launch.progress_table import ProgressTable


@dataclass(frozen=True)
class Engine:
    """What the options say about it."""

    name: str = "local"
    jobs: int | None = None
    """Runs side by side; None: as many as there is room for."""
    per_gpu: int | None = None
    """Runs side by side on each GPU; None: one."""
    address: str | None = None
    """Of a Ray cluster; None: this machine alone."""

    def __post_init__(self) -> None:
        if self.address is not None and self.name != "ray":
            raise ConfigError(f"--address {self.address}: goes with --engine ray")
        if torchrun.started():
            raise ConfigError("torchrun: reproduce starts processes itself; leave torchrun out, or give it train")

    @property
    def elsewhere(self) -> bool:
        """Tell whether the runs may be trained on other machines than this one."""
        return self.address is not None

    def connected(self) -> AbstractContextManager[None]:
        """Be connected to who trains the runs."""
        return ray_engine.connected(self.address) if self.name == "ray" else nullcontext()

    def train_all(
        self,
        runs: Sequence[Run],
        machine: Machine,
        sources: Mapping[Run, Sequence[str]],
        *,
        extra: Sequence[str],
        gpus: Sequence[str],
        progress: ProgressTable,
        stop: Callable[[], bool],
    ) -> list[str]:
        """Train the runs, in order, and return a line for each that failed.

        `sources` are the options of `snapshot train` that name a run's file, `extra` what else it is to do, and `gpus`
        this machine's.
        """
        if self.name == "ray":
            jobs, per_gpu = self.jobs, self.per_gpu
            return ray_engine.train_all(runs, machine, extra, jobs=jobs, per_gpu=per_gpu, progress=progress, stop=stop)
        places = slots.places(gpus, jobs=self.jobs, per_gpu=self.per_gpu, runs=len(runs))
        words = {run: [*sources[run], *extra] for run in runs}
        return slots.train_all(runs, machine, words, places=places, progress=progress, stop=stop)
