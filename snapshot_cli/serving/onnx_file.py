"""Read exported .onnx files with onnxruntime, which the extra `onnx` installs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.errors import UserError
from snapshot_cli.serving.classifier import FACTS, Answers, Classifier, of_facts, unreadable

OUTPUTS = ("probabilities", "agreement")


def require(*names: str) -> None:
    """Raise UserError, with the command to type, if a package is not installed."""
    absent = [name for name in names if find_spec(name) is None]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise UserError(
            f"ONNX needs {' and '.join(absent)}, which {verb} not installed; type: pip install 'snapshot-cli[onnx]'"
        )


def read(path: Path) -> Classifier:
    """Return an ONNX file as a classifier; UserError if it is not one."""
    require("onnxruntime")
    import onnxruntime  # type: ignore[import-untyped, unused-ignore]

    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), quiet, providers=["CPUExecutionProvider"])
        facts = json.loads(session.get_modelmeta().custom_metadata_map[FACTS])
    except Exception:  # onnxruntime raises many kinds of errors on files of others
        raise unreadable(path) from None

    def answer(images: NDArray[np.uint8]) -> Answers:
        try:
            probabilities, agreeing = session.run(list(OUTPUTS), {"images": images})
        except Exception:  # as above
            raise unreadable(path) from None
        return probabilities, agreeing

    return of_facts(facts, path, answer)
