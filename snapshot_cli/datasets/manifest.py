"""Read and write the manifests of prepared datasets; a folder with a manifest is complete. Imports no numpy."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from snapshot_cli.datasets.catalogue import CATALOGUE, Facts, averaged_sizes, how_to_prepare
from snapshot_cli.datasets.duplicates import Duplicates
from snapshot_cli.errors import CONTROL, UserError

FILE_NAME = "manifest.json"
OPTIONAL = ("folder", "duplicates", "skipped", "broken", "test_share", "split_seed")  # left out where they say nothing
MAX_GREY = 1e6  # limit of means and stds, which are in grey levels; NaN fails the comparison too


@dataclass(frozen=True)
class Manifest:
    """Describe a prepared dataset and the source of its images."""

    name: str
    source: str
    """A sentence: file name and kind, never an absolute path."""
    classes: tuple[str, ...]
    size: int
    train: int
    test: int
    mean: tuple[float, float, float]
    """Of the channels, 0..255; the border of a random crop has this colour."""
    std: tuple[float, float, float]
    padding: int | None
    """Border for random crops, in pixels; None: an eighth of the side."""
    flip: bool
    content_hash: str
    lighting: float = 0.0
    """Strength of the colour alteration in training."""
    folder: str | None = None
    """The folder or zip that has the files of streamed images; None: the images are arrays next to the manifest."""
    duplicates: Duplicates | None = None
    """None: not counted, in older manifests."""
    skipped: int = 0
    """Files in the source that are no images."""
    broken: tuple[str, ...] = ()
    """Files that could not be read and were left out, by their path in the source."""
    test_share: float | None = None
    """Share of every class that was drawn as test images; None: the source has a test set."""
    split_seed: int | None = None
    """Seed of that draw."""


def crop_border(dataset: Manifest | Facts) -> int:
    """Return the border for random crops in pixels: that of the dataset, or an eighth of the side."""
    return dataset.size // 8 if dataset.padding is None else dataset.padding


def to_json(manifest: Manifest) -> str:
    """Write a manifest as JSON text."""
    defaults = {name: field.default for name, field in Manifest.__dataclass_fields__.items()}
    values = asdict(manifest)
    fields = {name: value for name, value in values.items() if name not in OPTIONAL or value != defaults[name]}
    return json.dumps(fields, indent=2) + "\n"


def from_json(text: str) -> Manifest:
    """Read the JSON text of a manifest; ValueError if it is not one."""
    fields = json.loads(text)
    optional = {*OPTIONAL, "lighting"}  # which older manifests lack
    expected = set(Manifest.__dataclass_fields__) - optional
    if not isinstance(fields, dict) or set(fields) - optional != expected:
        raise ValueError(f"expected the fields {', '.join(sorted(expected))}")
    if not all(isinstance(fields[key], str) for key in ("name", "source", "content_hash")):
        raise ValueError("name, source and content_hash are words")
    if not all(type(fields[key]) is int for key in ("size", "train", "test")):
        raise ValueError("size, train and test are whole numbers")
    if not (fields["padding"] is None or type(fields["padding"]) is int) or type(fields["flip"]) is not bool:
        raise ValueError("padding is a whole number or null, flip is true or false")
    lighting = fields.get("lighting", 0.0)
    if type(lighting) not in (int, float) or not 0 <= lighting < math.inf:
        raise ValueError("lighting is a number of at least 0")
    if not isinstance(fields.get("folder", ""), str):
        raise ValueError("folder is words")
    if not isinstance(fields["classes"], list) or not all(isinstance(name, str) for name in fields["classes"]):
        raise ValueError("classes is a list of names")
    refuse_control(fields["classes"])
    if min(fields["size"], fields["train"], fields["test"], len(fields["classes"])) < 1:
        raise ValueError("size, train, test and the number of classes are at least 1")
    fields |= _provenance(fields)
    channels = {key: _three(fields[key], key) for key in ("mean", "std")}
    if min(channels["std"]) <= 0:
        raise ValueError("std is above 0")
    return Manifest(**{**fields, **channels, "classes": tuple(fields["classes"]), "lighting": float(lighting)})


def _provenance(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the checked fields on duplicates, files left out and a drawn split."""
    counts, broken = fields.get("duplicates"), fields.get("broken", [])
    if counts is not None and (
        not isinstance(counts, dict)
        or set(counts) != set(Duplicates.__dataclass_fields__)
        or not all(type(count) is int and count >= 0 for count in counts.values())
    ):
        raise ValueError("duplicates is four counts")
    if not isinstance(broken, list) or not all(isinstance(name, str) for name in broken):
        raise ValueError("broken is a list of names")
    if type(fields.get("skipped", 0)) is not int or type(fields.get("split_seed", 0)) is not int:
        raise ValueError("skipped and split_seed are whole numbers")
    if "test_share" in fields and type(fields["test_share"]) is not float:
        raise ValueError("test_share is a number")
    return {"duplicates": None if counts is None else Duplicates(**counts), "broken": tuple(broken)}


def refuse_control(classes: Iterable[str]) -> None:
    """Raise ValueError for a class name with control characters, or one that is not valid UTF-8."""
    for name in classes:
        if CONTROL.search(name):
            raise ValueError(f"the class {name!r} has control characters in its name, or bytes that are not UTF-8")


def _three(values: Any, key: str) -> tuple[float, float, float]:
    if (
        not isinstance(values, list)
        or len(values) != 3
        or not all(type(value) in (int, float) and abs(value) < MAX_GREY for value in values)
    ):
        raise ValueError(f"{key} is three numbers")
    return float(values[0]), float(values[1]), float(values[2])


def read_manifest(data_dir: Path, name: str) -> Manifest | None:
    """Return the manifest of a prepared dataset, None where it is not prepared.

    Raises UserError, with the file, for a manifest that cannot be read.
    """
    path = data_dir / name / FILE_NAME
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise UserError(f"{path}: cannot be read ({problem.strerror})") from problem
    except (ValueError, RecursionError) as problem:
        raise UserError(
            f"{path}: not a readable manifest ({problem}); delete the folder {path.parent}"
            f" and type: {how_to_prepare(name)}"
        ) from problem


def require(data_dir: Path, name: str) -> Manifest:
    """Return the manifest of a dataset; UserError, with the command to type, if it is not prepared."""
    manifest = read_manifest(data_dir, name)
    if manifest is None:
        raise UserError(f"dataset '{name}' is not prepared in {data_dir}; type: {how_to_prepare(name)}")
    return manifest


def prepared(data_dir: Path) -> dict[str, Manifest]:
    """Return the manifests of all complete datasets of a folder, by name, without those that cannot be read."""
    manifests = {}
    for name in _names(data_dir):
        with suppress(UserError):
            manifests[name] = read_manifest(data_dir, name)
    return {name: manifest for name, manifest in manifests.items() if manifest is not None}


def unreadable(data_dir: Path) -> list[UserError]:
    """Return the errors of all manifests of a folder that cannot be read."""
    errors = []
    for name in _names(data_dir):
        try:
            read_manifest(data_dir, name)
        except UserError as error:
            errors.append(error)
    return errors


def _names(data_dir: Path) -> list[str]:
    names = (path.name for path in data_dir.iterdir()) if data_dir.is_dir() else ()
    return sorted(name for name in names if not name.startswith("."))


def training_examples(data_dir: Path) -> dict[str, int]:
    """Return the number of training images by dataset, for the datasets of `shapes`."""
    return {name: shape.train for name, shape in shapes(data_dir).items()}


class Shape(NamedTuple):
    """The number of training images of a dataset, the side of its images in pixels, and its number of classes."""

    train: int
    side: int
    classes: int


def shapes(data_dir: Path) -> dict[str, Shape]:
    """Return the shape of every dataset: the catalogue's, at every size, and the prepared ones."""
    known = {name: Shape(facts.train, facts.size, facts.classes) for name, facts in CATALOGUE.items()}
    sized = {
        f"{name}-{size}": known[name]._replace(side=size)
        for name, facts in CATALOGUE.items()
        for size in averaged_sizes(facts)
    }
    here = prepared(data_dir).items()
    return known | sized | {name: Shape(held.train, held.size, len(held.classes)) for name, held in here}
