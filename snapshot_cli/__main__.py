"""Run the command line, as `snapshot` or `python -m snapshot_cli`; signals are handled before anything else loads."""

import os
import sys

from snapshot_cli import output
from snapshot_cli.launch.signals import exit_on_signals, keep_exit_code

IGNORED = (
    "MPLBACKEND",  # a notebook's, which may not be installed here; figures are files
    "OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY",  # a cluster's: all parallel runs and decoders on the same core
)  # fmt: skip
"""Environment variables that are not for this program."""


def set_environment() -> None:
    """Set the environment of this program and of every process that it starts."""
    from snapshot_cli.config import container
    from snapshot_cli.config.machine import processors

    for name in IGNORED:
        os.environ.pop(name, None)
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name) == "0":  # a terminal of unknown size
            del os.environ[name]
    os.environ["PYTHONSAFEPATH"] = "1"  # a queue.py in the working folder is the user's
    if container.processors() is not None:  # of which torch knows nothing
        os.environ.setdefault("OMP_NUM_THREADS", str(processors()))


def main() -> None:
    """Run the command line."""
    exit_on_signals()
    output.prepare()
    set_environment()
    from snapshot_cli.cli import main as verbs

    code: object = 0
    try:
        with output.optional():  # --help is printed by click itself
            verbs(prog_name="snapshot")
        code = 1
    except SystemExit as end:
        code = end.code
    exit_code = output.finish(code if isinstance(code, int) else 0)
    keep_exit_code(exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
