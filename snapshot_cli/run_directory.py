"""A run's directory, between training and analysis: its files, how they are written and read; no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from snapshot_cli import seal
from snapshot_cli.config import yaml_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.study import Split
from snapshot_cli.errors import UserError, command
from snapshot_cli.files import sha256, write_atomically
from snapshot_cli.formats import array_from_bytes, array_to_bytes, table_from_bytes, table_to_bytes

if TYPE_CHECKING:
    import numpy as np

Status = Literal["done", "partial", "absent"]
STATUS_WORDS: dict[Status, str] = {"done": "done", "partial": "unfinished", "absent": "waiting"}
CONFIG, MACHINE, METRICS, INTERPOLATION = "config.yaml", "machine.json", "metrics.csv", "interpolation.csv"
CHECKPOINT = "resume.pt"
SEALED = (CONFIG, MACHINE, METRICS, INTERPOLATION, "snapshots/*.safetensors", "predictions/*.npy")


@dataclass(frozen=True)
class RunDirectory:
    """A run's directory; files are written whole, and done.json, the last of them, marks the run as finished.

    Files of a finished run are compared with their hashes when they are read; UserError, with the remedy, if one
    differs.
    """

    path: Path
    expected: Run | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, run: Run, results: Path) -> RunDirectory:
        """Return the directory of a run below a results folder; reading it refuses another run."""
        return cls(results / "runs" / run.run_id, run)

    @property
    def status(self) -> Status:
        """Whether the run is done, partial or absent, from files alone."""
        if seal.is_sealed(self.path):
            return "done"
        return "partial" if (self.path / CONFIG).is_file() else "absent"

    @property
    def remedy(self) -> str:
        """What to do if the run is damaged beyond repair."""
        return seal.remedy(self.path)

    @property
    def resume_path(self) -> Path:
        """The path of the checkpoint while the run is partial."""
        return self.path / CHECKPOINT

    def snapshot_path(self, snapshot: int) -> Path:
        """Return the path of the weights at the end of a cycle, counted from 1."""
        return self.path / "snapshots" / f"{snapshot}.safetensors"

    def start(self, run: Run, machine: Mapping[str, Any]) -> None:
        """Write config.yaml and machine.json."""
        seal.write_json(self.path / MACHINE, machine)
        self._write(CONFIG, yaml_file.written(run).encode())

    def record_environment(self, differences: Mapping[str, Any]) -> None:
        """Add to machine.json what differs in the environment of a resumed run."""
        seal.write_json(self.path / MACHINE, self.machine | {"resumed": [*self.environments[1:], differences]})
        self.__dict__.pop("machine")

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the hashes of all files, then done.json, and only then delete the checkpoint."""
        files = sorted(path for pattern in SEALED for path in self.path.glob(pattern) if path.is_file())
        names = [path.relative_to(self.path).as_posix() for path in files]
        for name in {CONFIG, MACHINE} - {*names}:  # deleted in the meantime; without them nobody can read the run
            raise UserError(f"{self.path / name}: not there; {self.remedy}")
        seal.seal(self.path, {name: sha256(self.path / name) for name in names}, summary)
        self.resume_path.unlink(missing_ok=True)

    @cached_property
    def run(self) -> Run:
        """The run of config.yaml; UserError if there is none, if it is invalid or if it is not the expected run."""
        path = self.path / CONFIG
        if not path.is_file():
            raise UserError(f"{self.path}: not a run directory: no config.yaml in it; those lie in results/SIZE/runs")
        content = self._read(CONFIG)
        if self.expected and content == yaml_file.written(self.expected).encode():
            return self.expected
        try:
            run = Run.model_validate(yaml_file.parse(content.decode(), str(path)).value)
        except ValueError:
            raise UserError(f"{path}: not the configuration of a run; {self.remedy}") from None
        expected, held = (self.expected or run).model_dump(), run.model_dump()
        if expected != held:
            names = ", ".join(name for name, value in expected.items() if held[name] != value)
            raise UserError(f"{self.path}: holds another run: {names} differ; delete it and train it again")
        return run

    @cached_property
    def machine(self) -> dict[str, Any]:
        """Versions, device, threads, commit and the dataset's hash at the start; "resumed" has what differed later."""
        return seal.parse_json(self.path, MACHINE, self._read(MACHINE))

    @property
    def environments(self) -> list[dict[str, Any]]:
        """machine.json as of the start, then the differences at every resume."""
        later = self.machine.get("resumed", [])
        if not isinstance(later, list) or not all(isinstance(environment, dict) for environment in later):
            raise UserError(f"{self.path / MACHINE}: not what a run writes; {self.remedy}")
        return [self.machine, *later]

    @property
    def uncommitted_changes(self) -> bool:
        """Tell whether some of the run was trained by code that differs from its commit."""
        return any(environment.get("uncommitted_changes") is True for environment in self.environments)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What done.json says."""
        return seal.read_summary(self.path)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """The sha256 of a finished run's files by name, as its manifest has them."""
        return seal.read_hashes(self.path)

    def has_predictions(self, split: Split) -> bool:
        """Return whether the run is finished and its predictions of a split were kept."""
        return self.status == "done" and (self.path / _labels(split)).is_file()

    def write_metrics(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write metrics.csv, a row an epoch."""
        self._write(METRICS, table_to_bytes(rows))

    def metrics(self) -> list[dict[str, float]]:
        """Return the rows of metrics.csv; none before the first epoch ends."""
        path = self.path / METRICS
        if self.status != "done" and not path.is_file():
            return []
        try:
            rows = table_from_bytes(self._read(METRICS))
            return [{name: float(value) for name, value in row.items()} for row in rows]
        except ValueError:
            raise UserError(f"{path}: not a table of numbers; {self.remedy}") from None

    @property
    def has_interpolation(self) -> bool:
        """Tell whether interpolation.csv is written and in the manifest of a finished run."""
        return self.status == "done" and (self.path / INTERPOLATION).is_file() and INTERPOLATION in self.hashes

    def write_interpolation(self, rows: Iterable[Mapping[str, float | str]]) -> None:
        """Add interpolation.csv to a finished run, and its hash to the manifest."""
        self._write(INTERPOLATION, table_to_bytes(rows))
        self.seal_again([INTERPOLATION])

    def seal_again(self, names: list[str]) -> None:
        """Take files that were added to a finished run, or computed again, into its manifest."""
        seal.add(self.path, names)
        for name in ("hashes", "summary"):
            self.__dict__.pop(name, None)

    def interpolation(self) -> list[tuple[int, float, str, float]]:
        """Return snapshot, lambda, statistics (reestimated, final or mixed) and test error in percent of every row."""
        try:
            rows = table_from_bytes(self._read(INTERPOLATION))
            return [(int(r["snapshot"]), float(r["lambda"]), r["statistics"], float(r["test_error"])) for r in rows]
        except (ValueError, KeyError):
            raise UserError(
                f"{self.path / INTERPOLATION}: not a table of interpolations; delete it and "
                f"type {command('train', self.path)} --interpolate"
            ) from None

    def write_predictions(self, split: Split, snapshot: int, logits: np.ndarray) -> None:
        """Store a snapshot's logits, float32 (examples, classes)."""
        self._write(_predictions(split, snapshot), array_to_bytes(logits))

    def write_labels(self, split: Split, labels: np.ndarray) -> None:
        """Store the labels of a split, int64 (examples)."""
        self._write(_labels(split), array_to_bytes(labels))

    def predictions(self, split: Split, snapshot: int) -> np.ndarray:
        """Return a snapshot's logits, float32 (examples, classes)."""
        return self._read_array(_predictions(split, snapshot), "float32", dimensions=2)

    def labels(self, split: Split) -> np.ndarray:
        """Return the labels of a split, int64 (examples)."""
        return self._read_array(_labels(split), "int64", dimensions=1)

    def missing_predictions(self, split: Split) -> list[int]:
        """Return the snapshots of a finished run whose weights are there but whose predictions, or labels, are not."""
        if split == "holdout" and not self.run.holdout:
            return []
        kept = [k for k in range(1, self.run.snapshots + 1) if self.snapshot_path(k).is_file()]
        labels = (self.path / _labels(split)).is_file()
        return [k for k in kept if not (labels and (self.path / _predictions(split, k)).is_file())]

    def store_again(self, split: Split, logits: Mapping[int, np.ndarray], labels: np.ndarray) -> None:
        """Store predictions that a finished run lacks, by snapshot, and take them into its manifest."""
        for snapshot, values in logits.items():
            self.write_predictions(split, snapshot, values)
        self.write_labels(split, labels)
        self.seal_again([_labels(split), *(_predictions(split, snapshot) for snapshot in logits)])

    def verify(self) -> tuple[list[str], list[str]]:
        """Check every file of a finished run; return one line per wrong file, and the names of deleted files."""
        wrong, not_kept = seal.verify(self.path)
        try:
            _ = () if wrong else (self.run, self.environments)
        except UserError as error:
            return [str(error)], not_kept
        return wrong, not_kept

    def weights(self, snapshot: int, digest: str | None = None) -> bytes:
        """Return the bytes of a snapshot whose sha256 is `digest` or, in a finished run, what the manifest says."""
        name = f"snapshots/{snapshot}.safetensors"
        if not (self.path / name).exists():
            raise UserError(f"{self.path / name}: the weights of this snapshot were not kept; {self.remedy}")
        return self._checked(name, self.hashes.get(name) if self.status == "done" else digest)

    def _read_array(self, name: str, dtype: str, *, dimensions: int) -> np.ndarray:
        try:
            return array_from_bytes(self._read(name), dtype, dimensions=dimensions)
        except ValueError as error:
            raise UserError(f"{self.path / name}: {error}; {self.remedy}") from None

    def _read(self, name: str) -> bytes:
        """Read a file, of a finished run after comparing its hash with the manifest's."""
        if self.status != "done":
            return seal.read(self.path, name)
        return self._checked(name, self.hashes.get(name))

    def _checked(self, name: str, digest: str | None) -> bytes:
        path = self.path / name
        data = path.read_bytes() if path.is_file() else None
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            return data
        computed = name.startswith("predictions/") and any(self.path.glob("snapshots/*.safetensors"))
        again = f"type {command('train', self.path)}, which computes it again from the snapshot"
        if data is None:
            raise UserError(f"{path}: not there; {again if computed else self.remedy}")
        remedy = f"delete it and {again}" if computed else self.remedy
        raise UserError(f"{path}: differs from what the run wrote; {remedy}")

    def _write(self, name: str, content: bytes) -> None:
        write_atomically(self.path / name, content)


def _predictions(split: Split, snapshot: int) -> str:
    return f"predictions/{split}-{snapshot}.npy"


def _labels(split: Split) -> str:
    return f"predictions/{split}-labels.npy"
