"""A classifier of images, whatever computes it: its classes, image transform and function; without torch."""

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
    """Hold the classes in order, the transform of images, and a function of images uint8 (batch, 3, side, side).

    The function returns the averaged probabilities (batch, classes) and the agreement (batch): the share of members
    whose most probable class is the ensemble's.
    """

    classes: tuple[str, ...]
    transform: EvaluationTransform
    answer: Callable[[NDArray[np.uint8]], Answers]


def of_facts(facts: Mapping[str, Any], path: Path, answer: Callable[[NDArray[np.uint8]], Answers]) -> Classifier:
    """Return the classifier that an exported file describes; UserError if it is not one, or its answers misfit."""
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
    """Return the image transform of an exported file; files of older versions have none and average areas."""
    averaging = {"side": facts["side"], "shorter_side": None, "interpolation": None}
    transform = EvaluationTransform.from_facts(facts.get("transform", averaging))
    if transform.side != int(facts["side"]):
        raise ValueError("the transform has another side than the images")
    return transform


def unreadable(path: Path) -> UserError:
    """Return the error for a file that `snapshot export` did not write."""
    return UserError(
        f"{path}: damaged, or neither a run's directory nor a file that snapshot export has written; export it again"
    )
