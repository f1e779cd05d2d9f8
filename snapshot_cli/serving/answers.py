"""Predictions of an ensemble as rows, one per image file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np

from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.errors import UserError, visible
from snapshot_cli.serving.classifier import Classifier
from snapshot_cli.serving.images import Reader, transform_image

BATCH_SIZE = 64

Row = dict[str, str | float]


def rows(
    classifier: Classifier, images: Iterable[tuple[str, Reader]], *, unreadable: Callable[[str], None]
) -> Iterator[Row]:
    """Yield file, class, probability and agreement of the members for every image, in order.

    Files that are not images or are too small are left out; `unreadable` is called with a line about it.
    """
    readable = _readable(classifier.transform, images, unreadable)
    while batch := list(islice(readable, BATCH_SIZE)):
        pixels = np.stack([image for _, image in batch]).transpose(0, 3, 1, 2)
        probabilities, agreement = classifier.answer(np.ascontiguousarray(pixels))
        chosen = probabilities.argmax(1)
        for (name, _), label, image_probabilities, agreeing in zip(
            batch, chosen, probabilities, agreement, strict=True
        ):
            yield {
                "file": visible(name),
                "class": classifier.classes[label],
                "probability": round(float(image_probabilities[label]), 6),
                "agreement": round(float(agreeing), 6),
            }


def _readable(
    transform: EvaluationTransform, images: Iterable[tuple[str, Reader]], unreadable: Callable[[str], None]
) -> Iterator[tuple[str, np.ndarray]]:
    for name, read in images:
        try:
            yield name, transform_image(read, name, transform)
        except UserError as error:
            unreadable(str(error))
