"""Run the command line, as `snapshot` or `python -m snapshot_cli`; signals are handled before anything else loads."""

import os
import sys

from snapshot_cli import output
from snapshot_cli.launch.signals import exit_on_signals


def main() -> None:
    """Run the command line."""
    exit_on_signals()
    output.prepare()
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which may not be installed here; figures are files
    for name in ("COLUMNS", "LINES"):
        if os.environ.get(name) == "0":  # a terminal whose size nobody has set
            del os.environ[name]
    os.environ["PYTHONSAFEPATH"] = "1"  # for every process that this starts: a queue.py in the folder is the user's
    from snapshot_cli.cli import main as verbs

    code: object = 0
    try:
        with output.optional():  # --help is printed by click itself
            verbs(prog_name="snapshot")
        code = 1
    except SystemExit as end:
        code = end.code
    sys.exit(output.finish(code if isinstance(code, int) else 0))


if __name__ == "__main__":
    main()
