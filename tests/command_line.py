"""Call the command line in this process."""

from pathlib import Path

import yaml
from click.testing import CliRunner

import snapshot_cli
from snapshot_cli.cli import main

CHECKOUT = Path(snapshot_cli.__file__).parents[1]
EXPERIMENT = {"dataset": "digits", "network": "resnet-8", "method": "snapshot", "budget": 4, "cycles": 2}
STUDY = {
    "title": "A study",
    "base": {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2},
    "methods": ["single", "snapshot", "ensemble"],
    "render": {"table": "methods", "figure": "ensemble-size"},
}
NOTHING_GIVEN = "expected a FILE or run directories, such as demo/snapshot; snapshot list shows the names"


def snapshot(*words):
    """Return exit code, stdout and stderr of `snapshot WORDS`; a traceback is raised."""
    result = CliRunner(env={"COLUMNS": "80", "TERM": "dumb"}).invoke(
        main, [str(w) for w in words], prog_name="snapshot"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def write(path, settings):
    """Write a YAML file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path
