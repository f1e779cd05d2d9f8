"""A finished run or an exported file as a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.serving import finished, onnx_file
from snapshot_cli.serving.classifier import Classifier
from snapshot_cli.serving.finished import Snapshot


def load(path: Path, data: Path) -> Classifier:
    """Return a run directory or an exported file as a classifier; a run needs its dataset prepared in `data`.

    Raises UserError for anything else, and what the readers raise.
    """
    if path.is_dir():
        return of_snapshots(finished.all_snapshots([RunDirectory(path)]), data)
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    if path.suffix == ".onnx":
        return onnx_file.read(path)
    from snapshot_cli.serving import exported  # needs torch, which onnxruntime does not

    return exported.read(path)


def of_snapshots(snapshots: Sequence[Snapshot], data: Path) -> Classifier:
    """Return some snapshots of finished runs as a classifier; their dataset must be prepared in `data`."""
    from snapshot_cli.serving.answering import answers_of
    from snapshot_cli.serving.ensemble import SnapshotEnsemble

    ensemble = SnapshotEnsemble.of(snapshots, finished.read_dataset(snapshots, data))
    assert ensemble.transform is not None
    return Classifier(ensemble.classes, ensemble.transform, answers_of(ensemble))
