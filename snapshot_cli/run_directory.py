"""The wall between training and analysis: what lies in a run's directory, how it is written and read; no torch."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import yaml

from snapshot_cli.config import yaml_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Status = Literal["done", "partial", "absent"]
Split = Literal["test", "holdout"]

# log.txt is the launcher's, which may still add to it; resume.pt goes once the run is done
UNHASHED = ("manifest.json", "done.json", "resume.pt", "log.txt")


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path`, flush it to the disk and rename it, so that `path` is old or new and never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class RunDirectory:
    """A run's directory; its files are written whole, and done.json, the last of them, is what "done" means."""

    path: Path

    @classmethod
    def of(cls, run: Run, results: Path) -> RunDirectory:
        """Return the directory of a run below a folder of results."""
        return cls(results / "runs" / run.run_id)

    @property
    def status(self) -> Status:
        """Tell from files alone how far the run is."""
        if (self.path / "done.json").is_file():
            return "done"
        return "partial" if (self.path / "config.yaml").is_file() else "absent"

    @property
    def resume_path(self) -> Path:
        """Where the state to go on from lies while the run is partial."""
        return self.path / "resume.pt"

    def snapshot_path(self, snapshot: int) -> Path:
        """Where the weights at the end of a cycle, counted from 1, lie."""
        return self.path / "snapshots" / f"{snapshot}.safetensors"

    def start(self, run: Run, machine: Mapping[str, Any]) -> None:
        """Write what is asked for and where it runs."""
        self._write_json("machine.json", machine)
        text = yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False)
        write_atomically(self.path / "config.yaml", lambda file: file.write(text.encode()))

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the hashes of all files, then done.json, and only then remove the state to resume from."""
        files = sorted(p for p in self.path.rglob("*") if p.is_file() and not p.name.startswith("."))
        names = [p.relative_to(self.path).as_posix() for p in files]
        hashes = {name: _sha256(self.path / name) for name in names if name not in UNHASHED}
        self._write_json("manifest.json", hashes)
        self._write_json("done.json", summary)
        self.resume_path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the whole directory."""
        shutil.rmtree(self.path, ignore_errors=True)

    @cached_property
    def run(self) -> Run:
        """The run of config.yaml; UserError when there is none or when it is not one."""
        path = self.path / "config.yaml"
        if not path.is_file():
            raise UserError(f"{self.path}: not a run directory: no config.yaml in it")
        try:
            return Run.model_validate(yaml_file.parse(path.read_text(), str(path)).value)
        except ValueError:
            raise UserError(
                f"{path}: not the configuration of a run; delete the directory and train it again"
            ) from None

    @cached_property
    def machine(self) -> dict[str, Any]:
        """Versions, device, thread count, commit and the dataset's hash, as written at the start."""
        return self._read_json("machine.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What done.json says."""
        return self._read_json("done.json")

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return self._read_json("manifest.json")

    def write_metrics(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write metrics.csv, a row an epoch."""
        rows = list(rows)
        text = io.StringIO()
        table = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_atomically(self.path / "metrics.csv", lambda file: file.write(text.getvalue().encode()))

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows of metrics.csv; none before the first epoch ends."""
        path = self.path / "metrics.csv"
        if not path.is_file():
            return []
        try:
            rows = csv.DictReader(io.StringIO(self._read(path).decode()), strict=True)
            return [{name: float(value) for name, value in row.items()} for row in rows]
        except (ValueError, TypeError, csv.Error):
            raise UserError(f"{path}: not a table of numbers; {self._way_out}") from None

    def has_predictions(self, split: Split, snapshot: int) -> bool:
        """Tell whether the logits of a snapshot are stored."""
        return self._predictions_path(split, snapshot).is_file()

    def write_predictions(self, split: Split, snapshot: int, logits: np.ndarray) -> None:
        """Store a snapshot's logits, float32 (examples, classes)."""
        self._write_array(self._predictions_path(split, snapshot), logits)

    def write_labels(self, split: Split, labels: np.ndarray) -> None:
        """Store the labels of a split, int64 (examples)."""
        self._write_array(self._labels_path(split), labels)

    def predictions(self, split: Split, snapshot: int) -> np.ndarray:
        """Return a snapshot's logits, float32 (examples, classes)."""
        return self._read_array(self._predictions_path(split, snapshot), "float32", dimensions=2)

    def labels(self, split: Split) -> np.ndarray:
        """Return the labels of a split, int64 (examples)."""
        return self._read_array(self._labels_path(split), "int64", dimensions=1)

    def _predictions_path(self, split: Split, snapshot: int) -> Path:
        return self.path / "predictions" / f"{split}-{snapshot}.npy"

    def _labels_path(self, split: Split) -> Path:
        return self.path / "predictions" / f"{split}-labels.npy"

    def _write_array(self, path: Path, array: np.ndarray) -> None:
        import numpy as np

        write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))

    def _read_array(self, path: Path, dtype: str, *, dimensions: int) -> np.ndarray:
        import numpy as np

        try:
            array = np.lib.format.read_array(io.BytesIO(self._read(path)), allow_pickle=False)
        except (ValueError, TypeError, EOFError, MemoryError, OverflowError, SyntaxError, TokenError):
            raise UserError(f"{path}: not an array of numbers; {self._way_out}") from None
        if array.dtype != dtype or array.ndim != dimensions:
            raise UserError(
                f"{path}: expected {dtype} in {dimensions} dimension{'s'[: dimensions - 1]}, "
                f"it holds {array.dtype} in {array.ndim}; {self._way_out}"
            )
        return array

    @property
    def _way_out(self) -> str:
        return f"delete {self.path} and train it again"

    def _read(self, path: Path) -> bytes:
        """Read a file after checking its hash against the manifest of a finished run."""
        done = self.status == "done"
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{path}: not there; {self._way_out if done else 'train the run again'}") from None
        name = path.relative_to(self.path).as_posix()
        if done and hashlib.sha256(data).hexdigest() != self._hashes.get(name):
            raise UserError(f"{path}: differs from what the run wrote; {self._way_out}")
        return data

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        text = json.dumps(value, indent=2) + "\n"
        write_atomically(self.path / name, lambda file: file.write(text.encode()))

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{path}: not there; {self._way_out}") from None
        except (ValueError, RecursionError):
            raise UserError(f"{path}: not JSON; {self._way_out}") from None
        if not isinstance(value, dict):
            raise UserError(f"{path}: expected a mapping; {self._way_out}")
        return value


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
