"""The seal of a finished run: manifest.json has the hash of every file, done.json the manifest's and its own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snapshot_cli.errors import UserError
from snapshot_cli.files import sha256, write_atomically

DONE, MANIFEST = "done.json", "manifest.json"
KINDS: dict[str, type | tuple[type, ...]] = {
    "train_examples": int, "iterations": int, "seconds": (int, float), "dataset_hash": str, "device": str,
    "device_name": str, "commit": str, "started": str, "python": str, "threads": int, "versions": dict,
}  # fmt: skip
"""Types of the values that are read back from machine.json and done.json."""
MAX_BYTES = 16_000_000  # bytes of a file that is text; those of the longest run have some thousand


def is_sealed(folder: Path) -> bool:
    """Return whether a run is finished: whether done.json exists."""
    return (folder / DONE).is_file()


def seal(folder: Path, hashes: Mapping[str, str], summary: Mapping[str, Any]) -> None:
    """Write manifest.json, then done.json, which marks the run as finished."""
    write_json(folder / MANIFEST, hashes)
    _write_done(folder, {**summary, "manifest": [sha256(folder / MANIFEST)]})


def add(folder: Path, names: list[str]) -> None:
    """Take the hashes of files that were added to a finished run, or made anew, into its manifest.

    done.json first knows the manifest that is there and the one that is to come, so that a run that is left in between
    is sealed with one of them.
    """
    hashes = read_hashes(folder) | {name: sha256(folder / name) for name in names}
    summary = read_summary(folder)
    coming = hashlib.sha256(_json(hashes)).hexdigest()
    if coming in summary["manifest"][:1]:
        return
    _write_done(folder, {**summary, "manifest": [sha256(folder / MANIFEST), coming]})
    write_json(folder / MANIFEST, hashes)
    _write_done(folder, {**summary, "manifest": [coming]})


def read_summary(folder: Path) -> dict[str, Any]:
    """Return what done.json says; UserError when it is not what the run wrote."""
    value = read_json(folder, DONE)
    if value.pop("sha256", None) != hashlib.sha256(_json(value)).hexdigest() or not _is_list_of_text(
        value.get("manifest")
    ):
        raise UserError(f"{folder / DONE}: differs from what the run wrote; {remedy(folder)}")
    return value


def read_hashes(folder: Path) -> dict[str, str]:
    """Return the hashes of a finished run's files by name; UserError when the manifest is not what the run wrote."""
    data = read(folder, MANIFEST)
    if hashlib.sha256(data).hexdigest() not in read_summary(folder)["manifest"]:
        raise UserError(f"{folder / MANIFEST}: differs from what the run wrote; {remedy(folder)}")
    return parse_json(folder, MANIFEST, data)


def verify(folder: Path) -> tuple[list[str], list[str]]:
    """Compare every file of a finished run; return one line per wrong file, and the names of deleted files.

    Weights may be missing one by one, and the predictions of a split together; anything else that is missing is wrong.
    """
    try:
        hashes = read_hashes(folder)
    except UserError as error:
        return [str(error)], []
    absent = [name for name in hashes if not (folder / name).is_file()]
    not_kept = [name for name in absent if name.startswith("snapshots/")]
    for split in ("test", "holdout"):
        predictions = [name for name in hashes if name.startswith(f"predictions/{split}-")]
        not_kept += predictions if set(predictions) <= set(absent) else []
    wrong = [f"{folder / name}: not there" for name in absent if name not in not_kept]
    there = [name for name in hashes if name not in absent]
    wrong += [f"{folder / n}: differs from what the run wrote" for n in there if sha256(folder / n) != hashes[n]]
    return wrong, not_kept


def read(folder: Path, name: str) -> bytes:
    """Return the bytes of a small file of a run; UserError if it is not there, not a file or too large."""
    path = folder / name
    if not path.is_file():
        what = "not a file" if path.exists() or path.is_symlink() else "not there"
        raise UserError(f"{path}: {what}; {remedy(folder)}")
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: too large to be what a run writes; {remedy(folder)}")
    return path.read_bytes()


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return the mapping of a JSON file."""
    return parse_json(folder, name, read(folder, name))


def parse_json(folder: Path, name: str, data: bytes) -> dict[str, Any]:
    """Return the mapping of JSON text; UserError, naming the file, when it is not one."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UserError(f"{folder / name}: not JSON; {remedy(folder)}") from None
    if not isinstance(value, dict):
        raise UserError(f"{folder / name}: expected a mapping; {remedy(folder)}")
    for key, kind in KINDS.items():
        if value.get(key) is not None and (not isinstance(value[key], kind) or value[key] is True):
            raise UserError(f"{folder / name}: {key} is not what a run writes; {remedy(folder)}")
    return value


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON."""
    write_atomically(path, _json(value))


def remedy(folder: Path) -> str:
    """Return what to do about a run that is broken beyond repair."""
    return f"delete {folder} and train it again"


def _write_done(folder: Path, value: Mapping[str, Any]) -> None:
    write_json(folder / DONE, {**value, "sha256": hashlib.sha256(_json(value)).hexdigest()})


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, str) for entry in value)
