"""List images in Tiny ImageNet's layout: wnids.txt, train/<wnid>/images, labels in val/val_annotations.txt."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from snapshot_cli.datasets.image_files import Files, Source
from snapshot_cli.datasets.listing import Listing
from snapshot_cli.errors import UserError, reason

WNIDS, TITLES, ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"


def in_tiny_layout(source: Source) -> bool:
    """Return whether a folder or zip has Tiny ImageNet's layout, perhaps with fewer classes, images or files."""
    return not _inside(source.files)[1].keys().isdisjoint({WNIDS, ANNOTATIONS})


def list_tiny_imagenet(source: Source) -> Listing:
    """List the training images, and those of val, which have labels, as test images.

    The classes are sorted; a class is named by its wnid and, if words.txt has it, its first title. Raises UserError
    with the wrong file or class.
    """
    path, (around, files) = source.path, _inside(source.files)
    wnids = _wnids(path, files)
    train, test = _training(path, files, wnids), _validation(path, files, wnids)
    return Listing(
        path, f"{source.kind} in Tiny ImageNet's layout", tuple(wnids),
        {f"{around}{name}": train[name] for name in sorted(train)},
        {f"{around}{name}": test[name] for name in sorted(test)},
        test_split="val", titles=_titled(path, files, wnids),
    )  # fmt: skip


def _inside(files: Files) -> tuple[str, Files]:
    """Return the folders around all files, if there are any, and the files by their path inside them."""
    tops = {name.partition("/")[0] for name in files}
    if WNIDS in files or len(tops) != 1 or not all("/" in name for name in files):
        return "", files
    (top,) = tops
    prefix, inside = _inside({name.removeprefix(f"{top}/"): read for name, read in files.items()})
    return f"{top}/{prefix}", inside


def _wnids(path: Path, files: Files) -> list[str]:
    wnids = _text(path, files, WNIDS).split()
    twice = [wnid for wnid, times in Counter(wnids).items() if times > 1]
    if twice or not wnids:
        raise UserError(f"{path}: {WNIDS} " + (f"names {twice[0]} twice" if twice else "is empty"))
    return sorted(wnids)


def _training(path: Path, files: Files, wnids: list[str]) -> dict[str, str]:
    """Return the classes of the training images, by path."""
    classes = {}
    for name in files:
        match name.split("/"):
            case ["train", wnid, "images", _]:
                classes[name] = wnid
    strange = sorted(set(classes.values()) - set(wnids))
    if strange:
        raise UserError(f"{path}: train/{strange[0]} is no class of {WNIDS}")
    _refuse_unequal(path, "train", classes, wnids)
    return classes


def _validation(path: Path, files: Files, wnids: list[str]) -> dict[str, str]:
    """Return the classes of the validation images, by path."""
    classes: dict[str, str] = {}
    for number, line in enumerate(_text(path, files, ANNOTATIONS).splitlines(), 1):
        where = f"{path}: {ANNOTATIONS}, line {number}"
        file, _, rest = line.partition("\t")
        name, wnid = f"val/images/{file}", rest.split("\t")[0]
        if wnid not in wnids:
            raise UserError(f"{where}: '{wnid}' is no class of {WNIDS}")
        if name not in files:
            raise UserError(f"{where}: there is no {name}")
        if name in classes:
            raise UserError(f"{where}: {file} is listed twice")
        classes[name] = wnid
    without = sorted(name for name in files if name.startswith("val/images/") and name not in classes)
    if without:
        raise UserError(f"{path}: {without[0]} has no line in {ANNOTATIONS}")
    _refuse_unequal(path, "val", classes, wnids)
    return classes


def _refuse_unequal(path: Path, split: str, classes: dict[str, str], wnids: list[str]) -> None:
    counts = Counter(classes.values())
    usual, _ = Counter(counts[wnid] for wnid in wnids).most_common(1)[0]
    like_most = next(wnid for wnid in wnids if counts[wnid] == usual)
    for wnid in wnids:
        if counts[wnid] != usual:
            raise UserError(
                f"{path}: {split} has {counts[wnid]:,} images of class {wnid} and {usual:,} of {like_most}, expected"
                " equally many"
            )
    if not usual:
        raise UserError(f"{path}: {split} has no images")


def _titled(path: Path, files: Files, wnids: list[str]) -> tuple[str, ...]:
    lines = _text(path, files, TITLES).splitlines() if TITLES in files else []
    titles = {wnid: title.split(",")[0].strip() for wnid, _, title in (line.partition("\t") for line in lines)}
    return tuple(f"{wnid} {titles.get(wnid, '')}".strip() for wnid in wnids)


def _text(path: Path, files: Files, name: str) -> str:
    if name not in files:
        raise UserError(f"{path}: has no {name}; Tiny ImageNet has wnids.txt, train/, val/ and val/val_annotations.txt")
    try:
        return files[name]().decode("utf-8")
    except Exception as problem:  # what zipfile raises on damaged members is a long list
        raise UserError(f"{path}: {name} cannot be read ({reason(problem)})") from problem
