"""Count duplicate images: train/test leaks, images in two classes, repeated images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Duplicates:
    """Count the images of a dataset with equal pixels."""

    test_in_training: int = 0
    """Test images that are also training images: leaks."""
    in_two_classes: int = 0
    """Distinct images in more than one class."""
    in_training: int = 0
    """Training images equal to an earlier one."""
    in_test: int = 0
    """Test images equal to an earlier one."""

    def phrases(self) -> dict[str, str]:
        """Return a phrase for every count above 0."""
        words = {
            "test_in_training": ("test image{} also in training (leak)"),
            "in_two_classes": ("image{} in more than one class"),
            "in_training": ("repeated training image{}"),
            "in_test": ("repeated test image{}"),
        }
        return {
            name: f"{count:,} {words[name].format('s' * (count > 1))}" for name, count in asdict(self).items() if count
        }


@dataclass(frozen=True)
class Keyed:
    """The images of a split: keys (equal for equal pixels), labels, and names for messages."""

    keys: Sequence[bytes]
    labels: Sequence[int]
    name: Callable[[int], str]


def count(train: Keyed, test: Keyed) -> tuple[Duplicates, list[str]]:
    """Count equal images; also return a line with an example for every kind that occurs."""
    first: dict[bytes, tuple[Keyed, int]] = {}
    labels: defaultdict[bytes, set[int]] = defaultdict(set)
    pairs: dict[str, tuple[str, str]] = {}
    counts = dict.fromkeys(Duplicates.__dataclass_fields__, 0)

    def note(kind: str, one: tuple[Keyed, int], other: tuple[Keyed, int]) -> None:
        counts[kind] += 1
        pairs.setdefault(kind, (one[0].name(one[1]), other[0].name(other[1])))

    for split, kind in ((train, "in_training"), (test, "in_test")):
        repeated: dict[bytes, int] = {}
        for row, (key, label) in enumerate(zip(split.keys, split.labels, strict=True)):
            if key in repeated:
                note(kind, (split, row), (split, repeated[key]))
            repeated.setdefault(key, row)
            if split is test and key in first and first[key][0] is train:
                note("test_in_training", (split, row), first[key])
            if len(labels[key]) == 1 and label not in labels[key]:
                note("in_two_classes", (split, row), first[key])
            labels[key].add(int(label))
            first.setdefault(key, (split, row))
    duplicates = Duplicates(**counts)
    return duplicates, [
        f"{phrase}: for example {pairs[kind][0]} and {pairs[kind][1]}" for kind, phrase in duplicates.phrases().items()
    ]
