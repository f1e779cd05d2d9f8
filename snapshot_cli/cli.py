"""The command line: `snapshot` and its commands, whose heavy imports wait until one runs."""

from __future__ import annotations

import errno
from typing import Any

import click

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
from snapshot_cli.errors import UserError, visible
from snapshot_cli.launch import torchrun

FILE_ERRORS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOTDIR,
    errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.EBADF,
}  # fmt: skip


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
            with torchrun.together(click.ClickException):
                return super().invoke(ctx)
        except UserError as error:
            click.echo("\n".join(map(visible, str(error).split("\n"))), err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno not in FILE_ERRORS or error.filename is None:
                raise
            click.echo(visible(f"{error.filename}: {error.strerror}"), err=True)
            ctx.exit(UserError.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Run": (init, estimate, train, reproduce, status),
    "Look at results": (evaluate, compare, report, plot, tensorboard, verify),
    "Data and setup": (data, list_names, config, doctor),
    "Use an ensemble": (export, predict),
}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="snapshot-cli", prog_name="snapshot")
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
