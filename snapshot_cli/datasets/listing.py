"""List the images of a folder or zip by split and class, whatever its layout; no image is decoded."""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from snapshot_cli.config.machine import processors
from snapshot_cli.datasets import ground_truth
from snapshot_cli.datasets.image_files import Source, is_junk
from snapshot_cli.datasets.label_table import FileNames, find_table, read_table
from snapshot_cli.datasets.manifest import refuse_control
from snapshot_cli.errors import ConfigError, UserError, visible
from snapshot_cli.words import counted, some

SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "val": "val", "valid": "val",
    "validation": "val",
}  # fmt: skip
"""Names of the folders of splits, in lower case; also with an ending such as _set."""
SPLIT_ENDING = re.compile(r"[ _-]?(set|data|images|split)$")
LAYOUTS = "train/CLASS/FILE and test/CLASS/FILE (or val); CLASS/FILE with --test-share 0.2; images with --labels FILE"
NAMED = 10  # of files that are wrong in one way
TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
ARCHIVES = (*TARS, ".zip", ".7z", ".rar")
IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")

Classes = dict[str, str]
"""The class of each image, by its path inside the folder or zip."""
TestFrom = Literal["test", "val"]


@dataclass(frozen=True)
class Choices:
    """Options for reading a folder or zip."""

    test_from: TestFrom | None = None
    """The split that becomes the test set; None: test if that has classes, else val."""
    test_share: float | None = None
    """Share of every class to draw as test images, if there is no test split."""
    split_seed: int = 0
    """Seed of that draw."""
    labels: Path | None = None
    """A CSV file with the columns file, class and optionally split."""
    skip_broken: bool = False
    """Leave out files that cannot be read."""

    def __post_init__(self) -> None:
        if self.test_share is not None and not 0 < self.test_share < 1:
            raise ConfigError(f"--test-share {self.test_share}: expected a number between 0 and 1, such as 0.2")
        if self.split_seed and self.test_share is None:
            raise ConfigError(f"--split-seed {self.split_seed}: needs --test-share, the share of test images to draw")

    @property
    def options(self) -> list[str]:
        """The command-line options that were given, as a user types them."""
        return [
            f"--{field.name.replace('_', '-')}" for field in fields(self) if getattr(self, field.name) != field.default
        ]


@dataclass(frozen=True)
class Listing:
    """The images of a folder or zip, by split and class."""

    source: Path
    kind: str
    """Such as "folder of images"."""
    classes: tuple[str, ...]
    """Sorted."""
    train: Classes
    test: Classes
    test_split: str = "test"
    """The name of the test set in the source."""
    titles: tuple[str, ...] | None = None
    """Class names for the manifest, if they differ from `classes`."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: which folder was taken and what was left out."""
    skipped: int = 0
    """Number of files that are not images: text, thumbnails, hidden files."""
    test_share: float | None = None
    split_seed: int | None = None


def list_images(source: Source, choices: Choices, *, expected: str = LAYOUTS) -> Listing:
    """List the images of a source and their classes.

    Images in folders below a class belong to that class; names of classes are equal if their NFC forms are. Raises
    UserError that describes the layout and the nearest ones that work.
    """
    images = [name for name in source.files if not is_junk(name)]
    skipped = len(source.hidden) + len(source.files) - len(images)
    archives = [name for name in images if name.lower().endswith(ARCHIVES)]
    if archives:
        raise UserError(_describe_archives(source, archives))
    prefix = _find_prefix(images)
    if choices.labels is not None:
        listing = _list_table(source, images, prefix, choices.labels, choices)
    else:
        listing = _list_folders(source, images, prefix, choices, expected)
    classes = tuple(sorted({*listing.train.values()}))
    notes = (*listing.notes, *_hidden_images(source), *_similar_names(classes))
    listing = replace(listing, skipped=skipped, classes=classes, notes=notes)
    _check_classes(listing)
    return listing


def _hidden_images(source: Source) -> list[str]:
    """Return a note if folders whose names begin with a dot, such as a class .net, contain images."""
    images = [
        name
        for name in source.hidden
        if name.lower().endswith(IMAGES) and not name.rpartition("/")[2].startswith(".") and "__MACOSX" not in name
    ]
    return (
        [f"left out: {_count(images)} in hidden folders ({_list(images)}); rename a folder to use it"] if images else []
    )


def _similar_names(classes: Sequence[str]) -> list[str]:
    """Return a note for classes whose names differ only in upper and lower case or in spaces."""
    similar = defaultdict[str, list[str]](list)
    for name in classes:
        similar[" ".join(name.split()).casefold()].append(name)
    return [
        f"these are different classes: {', '.join(map(repr, names))}; if not, give their folders one name"
        for names in similar.values()
        if len(names) > 1
    ]


def _find_prefix(images: Sequence[str]) -> str:
    """Return the path of the single folder around all classes or splits, which may be nested, with a slash; or ""."""
    prefix, inside = "", [*images]
    while True:
        tops = {name.partition("/")[0] for name in inside}
        if len(tops) != 1 or any(map(_split_of, tops)) or max(name.count("/") for name in inside) < 2:
            return prefix
        prefix += f"{tops.pop()}/"
        inside = [name.removeprefix(prefix) for name in images]


def _list_folders(source: Source, images: Sequence[str], prefix: str, choices: Choices, expected: str) -> Listing:
    splits = _split_folders(source, images, prefix)
    if "train" in splits:
        return _list_splits(source, images, splits, choices)
    classes = {name.removeprefix(prefix): name for name in images}
    loose = [name for name in classes if "/" not in name]
    if splits or loose or not images:
        raise UserError(f"{source.path}: {_describe_layout(images, prefix)}; expected {expected}")
    by_class = {name: _class(inner) for inner, name in classes.items()}
    if expected != LAYOUTS:
        raise UserError(
            f"{source.path}: {_describe_layout(images, prefix)}, but no train and test; expected {expected}"
        )
    if choices.test_share is None:
        raise UserError(
            f"{source.path}: {_describe_layout(images, prefix)}, but no train and test; add --test-share 0.2 to draw a"
            f" fifth of every class as test images, or use another layout: {expected}"
        )
    if choices.test_from:
        raise UserError(
            f"{source.path}: {_describe_layout(images, prefix)}, but no {choices.test_from}; leave --test-from out"
        )
    _refuse_empty(source, prefix, by_class.values(), source.path.name)
    return _draw_test_images(source, by_class, choices, _nested_folders(classes))


def _nested_folders(names: Iterable[str]) -> list[str]:
    """Return a note if class folders contain folders, which may be the real classes."""
    nested = sorted({name.rpartition("/")[0] for name in names if name.count("/") > 1})
    return [f"images in folders below a class belong to that class: {_list(nested)}"] if nested else []


def _split_of(folder: str) -> str | None:
    """Return train, test or val for the name of a folder such as Training_set; None for other names."""
    return SPLITS.get(SPLIT_ENDING.sub("", folder.lower()))


def _split_folders(source: Source, images: Sequence[str], prefix: str) -> dict[str, str]:
    """Return the folders of the splits, by train, test or val."""
    splits: dict[str, str] = {}
    tops = {name.removeprefix(prefix).split("/")[0] for name in images if "/" in name.removeprefix(prefix)}
    for top in sorted(tops):
        split = _split_of(top)
        if split and split in splits:
            raise UserError(f"{source.path}: {splits[split]} and {top} are both {split}; rename or move one of them")
        if split:
            splits[split] = top
    if len(tops) > len(splits) and not any(
        name.removeprefix(f"{prefix}{folder}/").count("/")
        for folder in splits.values()
        for name in images
        if name.startswith(f"{prefix}{folder}/")
    ):
        return {}  # a class may be called train, too
    return {split: f"{prefix}{folder}" for split, folder in splits.items()}


def _list_splits(source: Source, images: Sequence[str], splits: Mapping[str, str], choices: Choices) -> Listing:
    inside = {
        split: {name: name.removeprefix(f"{folder}/") for name in images if name.startswith(f"{folder}/")}
        for split, folder in splits.items()
    }
    train = _by_class(source, inside["train"], splits["train"])
    with_classes = [split for split in splits if any("/" in name for name in inside[split].values())]
    test_split = choices.test_from or next((split for split in ("test", "val") if split in with_classes), None)
    if test_split is None and "val" in splits and choices.test_share is None:
        test_split = "val"  # as of ImageNet, whose devkit has the labels
    others = [split for split in splits if split not in ("train", test_split)]
    outside = [name for name in images if not name.startswith(tuple(f"{folder}/" for folder in splits.values()))]
    notes = (
        [f"left out: {_count(outside)} outside {' and '.join(splits.values())} ({_list(outside)})"] if outside else []
    )
    notes += [
        f"left out: {PurePosixPath(splits[split]).name}, {len(inside[split]):,} files"
        + (f"; --test-from {split} takes it as the test set" if split in with_classes else ", which has no classes")
        for split in others
        if inside[split]
    ]
    notes += _nested_folders(name for split in with_classes for name in inside[split].values())
    if test_split is None or test_split not in splits:
        if choices.test_share is not None and not choices.test_from:
            return _draw_test_images(source, train, choices, notes)
        layout = _describe_layout(images, splits["train"].removesuffix(PurePosixPath(splits["train"]).name))
        if choices.test_from and {"test", "val"} & splits.keys():
            raise UserError(f"{source.path}: {layout}, but no {choices.test_from}; leave --test-from out")
        raise UserError(
            f"{source.path}: {layout}, but no {test_split or 'test or val'} with folders of classes; add"
            f" --test-share 0.2 to draw test images from train, or use another layout: {LAYOUTS}"
        )
    if choices.test_share is not None:
        raise UserError(f"{source.path}: has the test images {splits[test_split]}; leave --test-share out")
    if test_split == "val" and all("/" not in name for name in inside["val"].values()):
        names = [*inside["val"].values()]
        wnids = ground_truth.read_wnids((source.path / splits["val"]).parent, names)
        test = {f"{splits['val']}/{name}": wnids[f"val/{name}"] for name in names}
    else:
        test = _by_class(source, inside[test_split], splits[test_split])
    if PurePosixPath(splits[test_split]).name != "test":
        notes.insert(0, f"the test set is {PurePosixPath(splits[test_split]).name}")
    for split, classes in ((splits["train"], train.values()), (splits[test_split], test.values())):
        _refuse_empty(source, f"{split}/", classes, split)
    return Listing(source.path, f"{source.kind} of images", (), train, test, test_split, notes=tuple(notes))


def _by_class(source: Source, inside: Mapping[str, str], split: str) -> Classes:
    loose = [name for name, inner in inside.items() if "/" not in inner]
    if loose:
        raise UserError(
            f"{source.path}: {_list(loose)}: expected {split}/CLASS/FILE, or a table of classes: --labels FILE"
        )
    return {name: _class(inner) for name, inner in inside.items()}


def _class(inner: str) -> str:
    return unicodedata.normalize("NFC", inner.split("/")[0])


def _refuse_empty(source: Source, prefix: str, classes: Iterable[str], where: str) -> None:
    with_images = {*classes}
    below = (folder.removeprefix(prefix) for folder in source.folders if folder.startswith(prefix))
    empty = sorted({_class(folder) for folder in below if folder and "/" not in folder} - with_images - {""})
    if empty:
        raise UserError(
            f"{source.path}: no images of class {_list(empty)} in {where}; put some there or delete the folder"
        )


def _draw_test_images(source: Source, classes: Classes, choices: Choices, notes: Sequence[str]) -> Listing:
    """Draw test images from every class by the contents of the files, not by name or order.

    Copies of a file stay in one split, so that they are no train/test leak.
    """
    share, seed = choices.test_share, choices.split_seed
    assert share is not None
    with ThreadPoolExecutor(processors()) as pool:
        digests = dict(zip(classes, pool.map(lambda name: _digest(source, name, seed), classes), strict=True))
    of_class = defaultdict[str, list[str]](list)
    for name, label in classes.items():
        of_class[label].append(name)
    test, too_few = set[str](), list[str]()
    for label, files in sorted(of_class.items()):
        files.sort(key=lambda name: digests[name])
        count = min(max(1, round(share * len(files))), len(files) - 1)
        while 0 < count < len(files) and digests[files[count]] == digests[files[count - 1]]:
            count += 1
        if not 0 < count < len(files):
            too_few.append(f"{label} (1 image)" if len(files) == 1 else f"{label} ({len(files)} copies of one image)")
        test |= {*files[:count]}
    if too_few:
        raise UserError(
            f"{source.path}: too few images to draw test images: {_list(too_few, NAMED)}; a class needs at least two"
            " different ones: add some, or move its folder away"
        )
    at_least = ", at least one" if any(share * len(files) < 0.5 for files in of_class.values()) else ""
    note = (
        f"test images drawn: {len(test):,} of {len(classes):,} images, {100 * share:g} % of every class{at_least},"
        f" seed {seed}"
    )
    return Listing(
        source.path, f"{source.kind} of images", (),
        {name: label for name, label in classes.items() if name not in test},
        {name: label for name, label in classes.items() if name in test},
        "drawn", notes=(note, *notes), test_share=share, split_seed=seed,
    )  # fmt: skip


def _digest(source: Source, name: str, seed: int) -> bytes:
    """Return a key that orders files at random by their contents; those that cannot be read come last."""
    try:
        content = source.files[name]()
    except Exception:  # decoding the file reports the error
        return b"\xff" * 32 + name.encode("utf-8", "surrogatepass")
    return hashlib.sha256(f"{seed} ".encode() + hashlib.sha256(content).digest()).digest()


def _list_table(source: Source, images: Sequence[str], prefix: str, table: Path, choices: Choices) -> Listing:
    inside = find_table(source, table)
    rows = read_table(source, table, inside)
    names = FileNames(source, images, table, inside, prefix=prefix)
    parts: dict[str, Classes] = {}
    wrong, lines = list[str](), dict[str, int]()
    for row in rows:
        image, where = names.find(row.file), f"{table}:{row.line}"
        if image is None:
            hint = names.hint(row.file) if len(wrong) < NAMED else ""
            wrong.append(f"{where}: no file '{visible(row.file)}'{hint}")
        elif image in lines:
            wrong.append(f"{where}: '{visible(row.file)}' is in line {lines[image]} already")
        elif not row.label:
            wrong.append(f"{where}: no class")
        elif row.split is not None and row.split not in SPLITS:
            wrong.append(f"{where}: expected the split train, test or val, given '{visible(row.split)}'")
        else:
            lines[image] = row.line
            parts.setdefault(SPLITS[row.split or "train"], {})[image] = unicodedata.normalize("NFC", row.label)
    if wrong:
        raise UserError("\n".join(shorten(wrong)))
    unlabelled = [name for name in images if name not in lines]
    notes = [f"left out: {_count(unlabelled)} that {table} does not name ({_list(unlabelled)})"] if unlabelled else []
    test_split = choices.test_from or next((split for split in ("test", "val") if split in parts), None)
    if test_split is None and choices.test_share is not None and "train" in parts:
        return _draw_test_images(source, parts["train"], choices, notes)
    if choices.test_from and choices.test_from not in parts:
        raise UserError(f"{table}: names no {choices.test_from} images; leave --test-from out")
    if test_split is None or "train" not in parts:
        missing = "test" if "train" in parts else "training"
        raise UserError(
            f"{table}: names no {missing} images; add --test-share 0.2 to draw test images, or a column split"
        )
    if choices.test_share is not None:
        raise UserError(f"{table}: has test images; leave --test-share out")
    notes += [
        f"left out: {len(parts[split]):,} images of split {split}; --test-from {split} takes them"
        for split in parts
        if split not in ("train", test_split)
    ]
    notes += [f"the test set is {test_split}"] if test_split != "test" else []
    return Listing(
        source.path, f"{source.kind} of images", (), parts["train"], parts[test_split], test_split, notes=tuple(notes)
    )


def _check_classes(listing: Listing) -> None:
    train, test = {*listing.train.values()}, {*listing.test.values()}
    try:
        refuse_control(sorted(train | test))
    except ValueError as problem:
        raise UserError(f"{listing.source}: {problem}; rename it") from None
    one_sided = [
        f"{split} has images of class {_list(sorted(classes))}, {other} has none"
        for split, other, classes in (
            ("train", listing.test_split, train - test),
            (listing.test_split, "train", test - train),
        )
        if classes
    ]
    if one_sided:
        raise UserError(
            f"{listing.source}: {'; '.join(one_sided)}; every class needs images in both: add some, or move its folder"
            " away"
        )
    if len(train) == 1:
        raise UserError(f"{listing.source}: one class, {min(train)}; a classifier needs two. Expected {LAYOUTS}")


def _describe_archives(source: Source, archives: Sequence[str]) -> str:
    problem = f"{source.path}: {_list(archives)}: archives that are not unpacked"
    if source.kind == "zip" or not archives[0].lower().endswith(TARS):
        return f"{problem}; unpack each into a folder of its name, or move them away"
    ending = next(ending for ending in TARS if archives[0].lower().endswith(ending))
    twice = " (ILSVRC2012_img_train.tar twice: it holds a tar of each class)" if "ILSVRC" in archives[0] else ""
    folder = shlex.quote(str((source.path / archives[0]).parent))
    return (
        f"{problem}. Unpack each into a folder of its name{twice}: cd {folder} && for f in *{ending}; do"
        f" mkdir ${{f%{ending}}} && tar -xf $f -C ${{f%{ending}}}; done"
    )


def _describe_layout(images: Sequence[str], prefix: str) -> str:
    inside = [name.removeprefix(prefix) for name in images]
    folders = Counter(name.split("/")[0] for name in inside if "/" in name)
    loose = sum("/" not in name for name in inside)
    if not images:
        return "no images"
    parts = [f"{counted(loose, 'image')} in no folder"] if loose else []
    if folders:
        parts.append(f"{counted(len(folders), 'folder')} with images ({_list(sorted(folders), 5)})")
    return " and ".join(parts)


def _count(names: Sequence[str]) -> str:
    return counted(len(names), "image")


def shorten(lines: Sequence[str]) -> list[str]:
    """Return the first lines and how many more there are."""
    return [*lines[:NAMED], *([f"and {len(lines) - NAMED:,} more"] if len(lines) > NAMED else [])]


def _list(names: Sequence[str], most: int = 3) -> str:
    return visible(some(names, most))
