"""The engine that trains many runs in parallel: slots on this machine, or Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import ray_engine, slots, torchrun
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.progress_table import ProgressTable


@dataclass(frozen=True)
class Engine:
    """The engine that the command line asks for."""

    name: str = "local"
    jobs: int | None = None
    """Parallel runs; None: as many as there is room for."""
    per_gpu: int | None = None
    """Parallel runs per GPU; None: one."""
    address: str | None = None
    """Address of a Ray cluster; None: this machine only."""

    def __post_init__(self) -> None:
        if self.address is not None and self.name != "ray":
            raise ConfigError(f"--address {self.address}: goes with --engine ray")
        if torchrun.started():
            raise ConfigError("torchrun: reproduce starts processes itself; leave torchrun out, or give it train")

    @property
    def is_remote(self) -> bool:
        """Whether other machines than this one may train the runs."""
        return self.address is not None

    def connected(self) -> AbstractContextManager[None]:
        """Return a context in which Ray, if it is the engine, is connected."""
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
    ) -> list[Failure]:
        """Train the runs in order and return the failures.

        `sources` are the arguments of `snapshot train` that name a run's file, `extra` further arguments, and `gpus`
        those of this machine.
        """
        jobs, per_gpu = self.jobs, self.per_gpu
        if self.name == "ray":
            return ray_engine.train_all(runs, machine, extra, jobs=jobs, per_gpu=per_gpu, progress=progress, stop=stop)
        gpus = slots.slot_gpus(gpus, jobs=jobs, per_gpu=per_gpu, runs=len(runs))
        sources = {run: [*sources[run], *extra] for run in runs}
        return slots.train_all(runs, machine, sources, gpus=gpus, progress=progress, stop=stop)
