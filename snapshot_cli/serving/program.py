"""Export an ensemble with torch.export, as a .pt2 or an .onnx file."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from snapshot_cli.errors import UserError
from snapshot_cli.serving.answering import Answering
from snapshot_cli.serving.classifier import FACTS
from snapshot_cli.serving.onnx_file import OUTPUTS, require

if TYPE_CHECKING:
    from snapshot_cli.serving.ensemble import SnapshotEnsemble


def program(ensemble: SnapshotEnsemble, example: Tensor | None = None) -> ExportedProgram:
    """Return an ensemble as a program that takes any batch size.

    `example` is a batch of images, which an ensemble of finished runs does not need. Raises UserError if it is missing,
    and if torch.export cannot trace a member.
    """
    if example is None:
        if ensemble.transform is None:
            raise UserError("give an example of the images: ensemble.export(path, example)")
        side = ensemble.transform.side
        example = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    if len(example) == 1:  # torch.export would take a batch size of 1 for a constant
        example = torch.cat((example, example))
    try:
        return torch.export.export(Answering(ensemble).eval(), (example,), dynamic_shapes=({0: Dim("batch", min=1)},))
    except UserError:
        raise
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"torch.export cannot trace the members: {words[0]}") from error


def to_pt2(ensemble: SnapshotEnsemble, facts: Mapping[str, Any], example: Tensor | None = None) -> bytes:
    """Return the bytes of a .pt2 file, with the facts that `snapshot predict` needs."""
    content = io.BytesIO()
    torch.export.save(program(ensemble, example), content, extra_files={FACTS: json.dumps(facts)})
    return content.getvalue()


def to_onnx(ensemble: SnapshotEnsemble, facts: Mapping[str, Any], example: Tensor | None = None) -> bytes:
    """Return the bytes of an ONNX file: input `images`, outputs `probabilities` and `agreement`, any batch size."""
    require("onnx", "onnxscript")
    made = torch.onnx.export(
        program(ensemble, example), dynamo=True, input_names=["images"], output_names=list(OUTPUTS), verbose=False
    )
    assert made is not None
    made.model.metadata_props[FACTS] = json.dumps(facts)
    content: bytes = made.model_proto.SerializeToString()
    return content


WRITERS = {".pt2": to_pt2, ".onnx": to_onnx}
