"""Snapshot ensembles: `SnapshotSchedule` and `SnapshotEnsemble` for training loops and programs of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snapshot_cli.serving.ensemble import SnapshotEnsemble
    from snapshot_cli.training.scheduler import SnapshotSchedule

__all__ = ["SnapshotEnsemble", "SnapshotSchedule"]


def __getattr__(name: str) -> Any:
    """Import torch with the first of the two names, not with the package: the command line answers without it."""
    if name == "SnapshotEnsemble":
        from snapshot_cli.serving.ensemble import SnapshotEnsemble

        return SnapshotEnsemble
    if name == "SnapshotSchedule":
        from snapshot_cli.training.scheduler import SnapshotSchedule

        return SnapshotSchedule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
