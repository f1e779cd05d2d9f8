"""Snapshot ensembles for your own training loop and programs, and the scores of finished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from snapshot_cli.errors import UserError

if TYPE_CHECKING:
    from snapshot_cli.analysis.frame import read_scores
    from snapshot_cli.serving.ensemble import SnapshotEnsemble
    from snapshot_cli.training.scheduler import SnapshotSchedule

    __version__: str

__all__ = ["SnapshotEnsemble", "SnapshotSchedule", "UserError", "__version__", "read_scores"]


def __getattr__(name: str) -> Any:
    """Import torch and pandas only with the first name that needs them, so that the command line starts fast."""
    if name == "SnapshotEnsemble":
        from snapshot_cli.serving.ensemble import SnapshotEnsemble

        return SnapshotEnsemble
    if name == "SnapshotSchedule":
        from snapshot_cli.training.scheduler import SnapshotSchedule

        return SnapshotSchedule
    if name == "read_scores":
        from snapshot_cli.analysis.frame import read_scores

        return read_scores
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("snapshot-cli")
        except PackageNotFoundError:  # run from a source tree that is not installed
            return "unknown"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
