"""The state to go on from after a stop, and the weights of a snapshot: their content, writing and reading."""

from __future__ import annotations

import hashlib
import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from snapshot_cli.errors import UserError
from snapshot_cli.files import write_atomically
from snapshot_cli.run_directory import RunDirectory

VERSION = 2
LARGEST = 2**34  # bytes of a state; the paper's largest network has 10^8
DIGEST_BYTES = 32  # sha256 of what follows: torch.load itself does not notice a flipped bit


@dataclass
class Progress:
    """How far a run is: finished iterations, the hashes of the snapshots, the rows of metrics.csv, the epoch's sums."""

    iteration: int = 0
    snapshots: list[str] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    losses: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    wrong: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    seconds: float = 0.0

    def begin_epoch(self, length: int) -> None:
        """Set the sums of an epoch of `length` iterations to zero."""
        self.losses, self.wrong, self.seconds = torch.zeros(length), torch.zeros((), dtype=torch.int64), 0.0

    def record(self, losses: torch.Tensor, wrong: torch.Tensor, seconds: float) -> None:
        """Take over the sums of the epoch from the device."""
        self.losses, self.wrong, self.seconds = losses.cpu(), wrong.cpu(), seconds


def save_state(
    path: Path, run_id: str, progress: Progress, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything needed to go on exactly: weights, momentum and progress; randomness is derived, not carried."""
    state = {
        "version": VERSION,
        "run_id": run_id,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": vars(progress),
    }
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getbuffer()).digest()
    write_atomically(path, lambda file: file.write(digest) + file.write(content.getbuffer()))


def restore_state(path: Path, run_id: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load a state into network and optimizer and return the progress; that of a fresh run when there is no file.

    Raises UserError for a file that is damaged, of another version or of another run.
    """
    way_out = f"delete {path.parent} and train it again"
    if not path.is_file():
        if path.exists() or path.is_symlink():
            raise UserError(f"{path}: not a file; {way_out}")
        return Progress()
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: too large to be a state; {way_out}")
    try:
        state = torch.load(_content(path), map_location="cpu", weights_only=True)
        if state["version"] != VERSION or state["run_id"] != run_id:
            raise UserError(f"{path}: of another version or another run; {way_out}")
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        return Progress(**state["progress"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError):
        raise UserError(f"{path}: damaged; {way_out}") from None


def _content(path: Path) -> io.BytesIO:
    """Return what torch saved into a state file; ValueError when it does not match its digest."""
    data = path.read_bytes()
    if hashlib.sha256(data[DIGEST_BYTES:]).digest() != data[:DIGEST_BYTES]:
        raise ValueError("digest differs")
    return io.BytesIO(data[DIGEST_BYTES:])


def save_weights(path: Path, network: nn.Module) -> str:
    """Write the weights and batch-norm statistics of a network as safetensors and return the sha256 of the file."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = save(tensors)
    write_atomically(path, lambda file: file.write(content))
    return hashlib.sha256(content).hexdigest()


def load_weights(directory: RunDirectory, snapshot: int, network: nn.Module, digest: str | None = None) -> None:
    """Load the weights of a snapshot into a network.

    Raises UserError for a file that is missing, that is not the network's, or whose sha256 is neither `digest` nor, in
    a finished run, the manifest's.
    """
    content = directory.weights(snapshot, digest)
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError):
        path = directory.snapshot_path(snapshot)
        raise UserError(
            f"{path}: not the weights of this network; delete {directory.path} and train it again"
        ) from None
