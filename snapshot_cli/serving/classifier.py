"""Whatever answers for images: a finished run or an exported file, with what one must know to ask it; no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.errors import CONTROL, UserError

Answers = tuple[NDArray[np.float32], NDArray[np.float32]]
FACTS = "snapshot.json"  # the name of the card inside an exported file


@dataclass(frozen=True)
class Classifier:
    """Classes in order, the transform of images, and what maps uint8 (batch, 3, side, side) to answers.

    These are the averaged probabilities (batch, classes) and the members' agreement (batch): the share of members whose
    most probable class is the ensemble's.
    """

    classes: tuple[str, ...]
    transform: EvaluationTransform
    answer: Callable[[NDArray[np.uint8]], Answers]


def of(path: Path, data: Path) -> Classifier:
    """Return a run's directory or an exported file as a classifier; a run needs its dataset prepared in `data`.

    Raises UserError for what is neither, and what the readers of both raise.
    """
    if path.is_dir():
        return of_run(path, data)
    if not path.is_file():
        raise UserError(f"{path}: no such file or folder")
    if path.suffix == ".onnx":
        from snapshot_cli.serving import onnx_file

        return onnx_file.read(path)
    from snapshot_cli.serving import exported

    return exported.read(path)


def of_run(path: Path, data: Path) -> Classifier:
    """Return all snapshots of a finished run as a classifier."""
    import torch

    from snapshot_cli.serving.ensemble import SnapshotEnsemble, agreement

    ensemble = SnapshotEnsemble.load(path, data=data)

    def answer(images: NDArray[np.uint8]) -> Answers:
        with torch.inference_mode():
            members = ensemble.member_probabilities(torch.from_numpy(images))
            return members.mean(0).numpy(), agreement(members).numpy()

    assert ensemble.transform is not None
    return Classifier(ensemble.classes, ensemble.transform, answer)


def of_facts(facts: Mapping[str, Any], path: Path, answer: Callable[[NDArray[np.uint8]], Answers]) -> Classifier:
    """Return the classifier that an exported file describes; UserError where it is none or its answers do not fit."""
    try:
        classes, transform = tuple(map(str, facts["classes"])), transform_of(facts)
    except (LookupError, TypeError, ValueError, OverflowError):
        raise unreadable(path) from None
    if not classes or any(map(CONTROL.search, classes)):
        raise unreadable(path)

    def checked(images: NDArray[np.uint8]) -> Answers:
        probabilities, agreeing = answer(images)
        if (np.shape(probabilities), np.shape(agreeing)) != ((len(images), len(classes)), (len(images),)):
            raise unreadable(path)
        return probabilities, agreeing

    return Classifier(classes, transform, checked)


def transform_of(facts: Mapping[str, Any]) -> EvaluationTransform:
    """Return the transform of the images of an exported file; files of older versions only averaged."""
    averaging = {"side": facts["side"], "shorter_side": None, "interpolation": None}
    transform = EvaluationTransform.from_facts(facts.get("transform", averaging))
    if transform.side != int(facts["side"]):
        raise ValueError("the transform has another side than the images")
    return transform


def unreadable(path: Path) -> UserError:
    """Return the error that says that a file is not what `snapshot export` writes."""
    return UserError(f"{path}: neither a run's directory nor a file that snapshot export has written")
