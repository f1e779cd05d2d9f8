"""The command line: a group of verbs; what each of them needs is imported when it runs."""

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

PLACES = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOTDIR,
    errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG, errno.EBADF,
}  # fmt: skip


class Verbs(click.Group):
    """A group whose commands end with a line and an exit code, not a traceback, for what a person can mend."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            torchrun.check()
            with torchrun.together(click.ClickException):
                return super().invoke(ctx)
        except UserError as error:
            click.echo("\n".join(map(visible, str(error).split("\n"))), err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno not in PLACES or error.filename is None:
                raise
            click.echo(visible(f"{error.filename}: {error.strerror}"), err=True)
            ctx.exit(UserError.exit_code)
        except KeyboardInterrupt:
            ctx.exit(130)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="snapshot-cli", prog_name="snapshot")
def main() -> None:
    """Train 1, get M for free: snapshot ensembles as in Huang et al., ICLR 2017.

    A YAML file names dataset, network, method, M (cycles), alpha0 and budget. `train` trains what it asks for, `eval`
    prints the errors of snapshots and ensembles, `reproduce` makes a whole table or figure of the paper.

    \b
    In two minutes, without a download:
      snapshot reproduce demo/table1
    """


VERBS = (
    train, evaluate, compare, reproduce, status, report, plot, tensorboard, verify, export, predict, estimate, doctor,
    config, data, list_names,
)  # fmt: skip
for _command in VERBS:
    main.add_command(_command)
