"""Render figures in parallel processes: rendering takes most of the time of a report."""

from __future__ import annotations

import gc
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from snapshot_cli.config.machine import processors
from snapshot_cli.reporting import save
from snapshot_cli.reporting.drawn import Drawn, Picture

Job = tuple[Picture, Path | None]
_jobs: list[Job] = []
"""The jobs that forked processes inherit: figures cannot be pickled."""


def render(groups: Iterable[tuple[Iterable[Drawn], Path | None]]) -> None:
    """Render figures as SVG in parallel, and as PNG if they go into a folder that does not have them yet.

    Does nothing on a single core, on systems other than Linux, or if a process is killed: pictures then render
    themselves on first use.
    """
    jobs = [(picture, folder) for drawn, folder in groups for picture in drawn if isinstance(picture, Picture)]
    workers = min(processors(), len(jobs))
    if workers < 2 or sys.platform != "linux":
        return
    with warnings.catch_warnings(), suppress(BrokenProcessPool):
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns; forked processes start no threads
        with ProcessPoolExecutor(workers, get_context("fork"), initializer=_inherit, initargs=(jobs,)) as pool:
            for (picture, _), rendered in zip(jobs, pool.map(_render, range(len(jobs))), strict=True):
                picture.__dict__.update(rendered)


def _inherit(jobs: Sequence[Job]) -> None:
    gc.disable()  # collecting takes a tenth of the time; the end of the process frees the figures
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _jobs[:] = jobs


def _render(index: int) -> dict[str, bytes]:
    picture, folder = _jobs[index]
    if folder is None or save.is_current(picture.svg, folder / picture.request.stem):
        return {"svg": picture.svg}
    return {"svg": picture.svg, "png": picture.png}
