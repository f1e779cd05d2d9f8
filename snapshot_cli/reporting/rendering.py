"""Figures rendered in a process for each core: rendering takes most of the time of a report."""

from __future__ import annotations

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
"""What a forked process inherits: figures cannot be sent to it."""


def render(groups: Iterable[tuple[Iterable[Drawn], Path | None]]) -> None:
    """Render figures as SVG, and as PNG those that are to be written into a folder and differ from what is there.

    Where processes cannot be forked safely, on one core, and where a process is killed, this does nothing: a picture
    renders itself when it is needed.
    """
    jobs = [(one, folder) for drawn, folder in groups for one in drawn if isinstance(one, Picture)]
    workers = min(processors(), len(jobs))
    if workers < 2 or sys.platform != "linux":
        return
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_svg  # noqa: F401 (once, before the processes are forked)

    with warnings.catch_warnings(), suppress(BrokenProcessPool):
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: the forked process starts no thread
        with ProcessPoolExecutor(workers, get_context("fork"), initializer=_inherit, initargs=(jobs,)) as pool:
            for (picture, _), rendered in zip(jobs, pool.map(_render, range(len(jobs))), strict=True):
                picture.__dict__.update(rendered)


def _inherit(jobs: Sequence[Job]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _jobs[:] = jobs


def _render(place: int) -> dict[str, bytes]:
    picture, folder = _jobs[place]
    if folder is None or save.is_current(picture.svg, folder / picture.request.stem):
        return {"svg": picture.svg}
    return {"svg": picture.svg, "png": picture.png}
