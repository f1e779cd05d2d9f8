"""Read the labels of ImageNet's validation images and its class names, from the devkit or from Kaggle's files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snapshot_cli.errors import UserError, reason

LABELS, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"  # of the devkit
SOLUTION, SYNSETS = "LOC_val_solution.csv", "LOC_synset_mapping.txt"  # of Kaggle
PLACES = (".", "data", "ILSVRC2012_devkit_t12/data")


def read_wnids(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the wnids of the files of a val folder without classes, by path, from the devkit or from Kaggle's files.

    A label of the devkit is an ILSVRC2012_ID, which meta.mat turns into a wnid: its order is not that of the wnids.
    Raises UserError if these files are missing or do not fit the images.
    """
    if not names:
        raise UserError(f"{folder}: no images in val; expected val/<wnid>/<file>, or val/<file> and the devkit")
    labels, meta, solution = (_find(folder, name) for name in (LABELS, META, SOLUTION))
    if labels and meta:
        wnids = _read_devkit(labels, meta)
    elif solution:
        wnids = _read_kaggle(solution)
    else:
        lacking = META if labels else LABELS if meta else f"{LABELS} and {META}"
        raise UserError(
            f"{folder}: val has no folders of classes, so {lacking} of ILSVRC2012_devkit_t12.tar.gz must provide the"
            f" labels; unpack that there (or put Kaggle's {SOLUTION} there); for other images use"
            " val/CLASS/FILE, or --test-share 0.2"
        )
    source = solution if solution and not (labels and meta) else labels
    if len(wnids) != len(names):
        raise UserError(
            f"{source}: lists {len(wnids):,} images, {folder / 'val'} has {len(names):,}; unpack these again"
        )
    unknown = [name for name in names if Path(name).stem not in wnids]
    if unknown:
        raise UserError(f"{folder / 'val' / unknown[0]}: {source} does not list this image")
    return {f"val/{name}": wnids[Path(name).stem] for name in names}


def read_titles(folder: Path) -> dict[str, str]:
    """Return the first title of every class by wnid, from the devkit or Kaggle's files; empty without these."""
    synsets, meta = _find(folder, SYNSETS), _find(folder, META)
    if synsets:
        lines = [line.partition(" ") for line in _lines(synsets)]
        return {wnid: title.split(",")[0].strip() for wnid, _, title in lines}
    return dict(_synsets(meta).values()) if meta else {}


def _read_devkit(labels: Path, meta: Path) -> dict[str, str]:
    synsets = _synsets(meta)
    wnids = {}
    for number, line in enumerate(_lines(labels), 1):
        if not re.fullmatch("[0-9]{1,4}", line) or int(line) not in synsets:
            raise UserError(f"{labels}:{number}: expected the number of a class of {META}, given '{line[:20]}'")
        wnids[f"ILSVRC2012_val_{number:08}"] = synsets[int(line)][0]
    return wnids


def _read_kaggle(solution: Path) -> dict[str, str]:
    wnids = {}
    for number, line in enumerate(_lines(solution)[1:], 2):
        match = re.match(r"(ILSVRC2012_val_[0-9]{8}),(n[0-9]{8}) ", line)
        if match is None:
            raise UserError(f"{solution}:{number}: expected ILSVRC2012_val_<number>,<wnid> ..., given '{line[:40]}'")
        wnids[match[1]] = match[2]
    return wnids


def _synsets(meta: Path) -> dict[int, tuple[str, str]]:
    """Return wnid and first title by ILSVRC2012_ID, of the classes that have images."""
    from scipy.io import loadmat

    try:
        rows: Any = loadmat(str(meta), squeeze_me=True, variable_names=["synsets"])["synsets"]
        chosen = [row for row in rows.reshape(-1) if int(row["num_children"]) == 0]
        return {
            int(row["ILSVRC2012_ID"]): (str(row["WNID"]), str(row["words"]).split(",")[0].strip()) for row in chosen
        }
    except Exception as problem:  # scipy raises nearly anything on damaged files
        raise UserError(f"{meta}: is not the devkit's {META} ({reason(problem)})") from problem


def _find(folder: Path, name: str) -> Path | None:
    return next((path for place in PLACES if (path := folder / place / name).is_file()), None)


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").strip().splitlines()]
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path}: cannot be read ({problem})") from problem
