"""The command line: `snapshot` and its commands, whose heavy imports wait until one runs."""

from __future__ import annotations

import errno
import os
from typing import Any

import click

import snapshot_cli
from snapshot_cli.commands.compare import compare
from snapshot_cli.commands.config import config
from snapshot_cli.commands.data import data
from snapshot_cli.commands.doctor import doctor
from snapshot_cli.commands.estimate import estimate
from snapshot_cli.commands.evaluate import evaluate
from snapshot_cli.commands.export import export
from snapshot_cli.commands.init import init
from snapshot_cli.commands.list import list_names
from snapshot_cli.commands.plot import plot
from snapshot_cli.commands.predict import predict
from snapshot_cli.commands.status import status
from snapshot_cli.commands.study import report, reproduce
from snapshot_cli.commands.tensorboard import tensorboard
from snapshot_cli.commands.train import train
from snapshot_cli.commands.verify import verify
from snapshot_cli.errors import UserError, visible, words_of
from snapshot_cli.launch import torchrun

SHORT_OF = {
    errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EROFS: "mount it for writing",
    errno.EMFILE: "allow more, for example ulimit -n 4096", errno.ENFILE: "end other programs",
    errno.ENOMEM: "end other programs", errno.EAGAIN: "allow more processes (ulimit -u), or end others",
}  # fmt: skip
"""What a machine runs out of, which the system may tell without a file's name, and what to do."""


class Commands(click.Group):
    """The group of all commands: help in sections, and one line with an exit code for a user's error."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands of every section with their short help."""
        width = max(map(len, self.commands))
        for heading, members in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{member.name:{width}}", member.get_short_help_str(80)) for member in members])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a UserError or a file that cannot be used ends it with a line, not a traceback."""
        try:
            torchrun.check()
            with torchrun.report_once(click.ClickException):
                return super().invoke(ctx)
        except UserError as error:
            click.echo("\n".join(map(visible, str(error).split("\n"))), err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            words = _words(error)
            if words is None:
                raise
            click.echo(visible(words), err=True)
            ctx.exit(UserError.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)


def _words(error: OSError) -> str | None:
    """Return an error of the system in words: of a file, or for want of something; None for any other, a bug."""
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return "the working folder was deleted; change to another"
    if error.filename is not None and error.strerror is not None:
        return words_of(error)
    if error.errno in SHORT_OF:
        return f"{error.strerror}; {SHORT_OF[error.errno]}"
    return error.strerror if isinstance(error, FileNotFoundError) else None  # no folder for temporary files


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Run": (init, estimate, train, reproduce, status),
    "Look at results": (evaluate, compare, report, plot, tensorboard, verify),
    "Data and setup": (data, list_names, config, doctor),
    "Use an ensemble": (export, predict),
}


def _print_version(context: click.Context, parameter: click.Parameter, is_given: bool) -> None:
    if is_given and not context.resilient_parsing:
        click.echo(f"snapshot, version {snapshot_cli.__version__}")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Train one network, get M models: snapshot ensembles (Huang et al., 2017).

    FILE is an experiment or a study in YAML, the name of one that comes with the program, such as demo/snapshot, or a
    run directory. A study is several experiments that make a table or figure.

    \b
    Try it, without a download:
      snapshot train demo/snapshot      train one experiment, in seconds
      snapshot reproduce demo/table1    compare all methods, in two minutes
      snapshot init                     write an experiment file to change
    """


for _section in SECTIONS.values():
    for _command in _section:
        main.add_command(_command)
