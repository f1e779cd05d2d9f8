"""snapshot doctor: what this machine has, what it lacks and what to type."""

from __future__ import annotations

from pathlib import Path

import click

from snapshot_cli.commands import options
from snapshot_cli.errors import UserError

MARKS = {"good": "ok", "note": "--", "missing": "NO"}


@click.command(short_help="Check this machine and say what to type.")
@options.data_option
@options.all_results_option("Folder of results.")
def doctor(data: Path, results: Path) -> None:
    """Check whether this machine can train, and say what to type if not.

    Checks Python, packages, GPU and driver, free memory and disk, write access, prepared datasets and optional extras.
    NO marks a missing requirement; the exit code is then 1. -- marks a remark.
    """
    from snapshot_cli.config.machine import Machine
    from snapshot_cli.launch import doctor as examination

    findings = examination.examine(Machine(data, results))
    for finding in findings:
        click.echo(f"{MARKS[finding.state]}  {finding.subject}: {finding.words}")
        if finding.remedy:
            click.echo(f"    -> {finding.remedy}")
    missing = [finding.subject for finding in findings if finding.state == "missing"]
    if missing:
        raise UserError(f"missing: {', '.join(missing)}; fix the lines marked NO, then try again")
