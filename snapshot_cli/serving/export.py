"""Write an ensemble of finished runs into one file, and its model card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snapshot_cli.analysis import scoring, selection
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import UserError
from snapshot_cli.files import make_folder, sha256, write_atomically
from snapshot_cli.scores import defined
from snapshot_cli.serving import card, finished, onnx_file
from snapshot_cli.serving.ensemble import SnapshotEnsemble
from snapshot_cli.serving.finished import Snapshot
from snapshot_cli.serving.program import WRITERS
from snapshot_cli.words import counted


def export(
    snapshots: Sequence[Snapshot],
    data: Path,
    output: Path,
    *,
    members: str = "all",
    experiment: Experiment | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Write the ensemble of some snapshots to `output`, a .pt2 or .onnx file, and return its model card.

    `members` is all, last:M, numbers such as 1,3,5, or chosen: the best on the withheld images. `note` is called with a
    line before the export, which can be slow. The card is written to `output` plus .json and .md.

    Raises UserError for missing weights, for a dataset that is not the runs', and for .onnx without the packages that
    write it; OSError, with the file, if it cannot be written.
    """
    if output.suffix == ".onnx":
        onnx_file.require("onnx", "onnxscript")
    make_folder(output.parent)  # fail before the slow part
    manifest = finished.read_dataset(snapshots, data)
    snapshots, selected = _selected(snapshots, members, manifest)
    ensemble = SnapshotEnsemble.of(snapshots, manifest)
    facts = card.facts(snapshots, scoring.score(snapshots), manifest, experiment) | {"selection": selected}
    note(f"exporting {counted(len(snapshots), 'member')} to {output}; this can take half a minute")
    write_atomically(output, WRITERS[output.suffix](ensemble, facts))
    whole = {"file": output.name, "format": output.suffix.removeprefix("."), "sha256": sha256(output), **facts}
    write_atomically(
        output.with_name(f"{output.name}.json"), (json.dumps(whole, indent=2, allow_nan=False) + "\n").encode()
    )
    write_atomically(output.with_name(f"{output.name}.md"), card.markdown(whole).encode())
    return whole


def _selected(snapshots: Sequence[Snapshot], members: str, manifest: Manifest) -> tuple[list[Snapshot], dict[str, Any]]:
    """Return the members and how they were selected, ready for JSON; test images are not used."""
    if members != "chosen":
        chosen = finished.numbers(members, len(snapshots))
        return [snapshots[number - 1] for number in chosen], {"members": members, "numbers": chosen}
    for directory, _ in snapshots:
        if not directory.run.holdout:
            remedy = "train with holdout: N, or choose members by number"
            raise UserError(f"--members chosen: {directory.path} withheld no training images to choose on; {remedy}")
    withheld = scoring.read_predictions(snapshots, "holdout")
    choice = selection.choose(withheld.probabilities, withheld.labels)
    return [snapshots[number - 1] for number in choice.members], {
        "members": members,
        "numbers": list(choice.members),
        "rule": choice.rule,
        "withheld_images": len(withheld.labels),
        "withheld_error": defined(choice.error),
    }
