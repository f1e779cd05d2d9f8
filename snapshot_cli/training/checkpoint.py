"""Checkpoints, from which a stopped run resumes, and the weights of snapshots: what they hold, save and load."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from snapshot_cli import seal
from snapshot_cli.errors import UserError
from snapshot_cli.files import write_atomically
from snapshot_cli.run_directory import RunDirectory

VERSION = 2
MAX_BYTES = 2**34  # bytes of a checkpoint; that of the paper's largest network has 10^8
DIGEST_BYTES = 32  # sha256 of the rest: torch.load does not notice a flipped bit
COLUMNS = ("epoch", "iteration", "rate", "train_loss", "train_error", "seconds", "images_per_second")
MAX_NUMBER = 1e300  # absolute value of a number in a checkpoint; sums over epochs stay finite
DAMAGED = (
    RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError, AssertionError,
    ArithmeticError, struct.error,
)  # fmt: skip


@dataclass
class Progress:
    """Progress of a run: steps, hashes of snapshots, rows of metrics.csv, losses and errors of the current epoch."""

    step: int = 0
    snapshots: list[str] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    losses: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    wrong: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))
    seconds: float = 0.0

    def begin_epoch(self, length: int) -> None:
        """Reset the losses and errors for an epoch of `length` steps."""
        self.losses, self.wrong, self.seconds = torch.zeros(length), torch.zeros((), dtype=torch.int64), 0.0

    def record(self, losses: torch.Tensor, wrong: torch.Tensor, seconds: float) -> None:
        """Copy the losses and errors of the epoch from the device."""
        self.losses, self.wrong, self.seconds = losses.cpu(), wrong.cpu(), seconds


def save_state(
    path: Path, run_id: str, progress: Progress, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Save what an exact resume needs: weights, momentum and progress. Random numbers are derived from the seed."""
    state = {
        "version": VERSION,
        "run_id": run_id,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": _stored(progress),
    }
    content = io.BytesIO(bytes(DIGEST_BYTES))
    content.seek(DIGEST_BYTES)
    torch.save(state, content)
    data = content.getbuffer()
    data[:DIGEST_BYTES] = hashlib.sha256(data[DIGEST_BYTES:]).digest()
    write_atomically(path, data)


def restore_state(
    path: Path,
    run_id: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    epoch_length: int,
    ends: Sequence[int],
) -> Progress:
    """Load a checkpoint into network and optimizer and return the progress; fresh progress if there is no file.

    `ends` are the steps after which the run takes its snapshots.

    Raises UserError for a file that is damaged, of another version or run, or inconsistent with this run.
    """
    remedy = seal.remedy(path.parent)
    if not path.is_file():
        if path.exists() or path.is_symlink():
            raise UserError(f"{path}: not a file; {remedy}")
        return Progress()
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: too large to be a checkpoint; {remedy}")
    try:
        state = torch.load(_content(path), map_location="cpu", weights_only=True)
        if state["version"] != VERSION or state["run_id"] != run_id:
            raise UserError(f"{path}: of another version or another run; {remedy}")
        network.load_state_dict(state["network"])
        _restore_momentum(state["optimizer"]["state"], optimizer)
        return _progress(state["progress"], epoch_length, ends)
    except DAMAGED:
        raise UserError(f"{path}: damaged; {remedy}") from None


def _content(path: Path) -> io.BytesIO:
    """Return what torch saved in a checkpoint; ValueError if it does not match its digest."""
    data = path.read_bytes()
    if hashlib.sha256(data[DIGEST_BYTES:]).digest() != data[:DIGEST_BYTES]:
        raise ValueError("digest differs")
    return io.BytesIO(data[DIGEST_BYTES:])


def _restore_momentum(states: Mapping[int, Mapping[str, object]], optimizer: torch.optim.Optimizer) -> None:
    """Load momentum buffers: fused SGD does not check shape, dtype and strides, and needs all buffers or none."""
    owners = [parameter for group in optimizer.param_groups if group["momentum"] for parameter in group["params"]]
    if set(states) != set(range(len(owners))):
        raise ValueError("momentum of other parameters")
    for index, parameter in enumerate(owners):
        optimizer.state[parameter] = {"momentum_buffer": _like(states[index]["momentum_buffer"], parameter)}


def _like(value: object, expected: torch.Tensor) -> torch.Tensor:
    """Copy a tensor with the strides and to the device of `expected`; ValueError for another shape, dtype or type."""
    if not isinstance(value, torch.Tensor) or (value.shape, value.dtype) != (expected.shape, expected.dtype):
        raise ValueError("not a tensor of this shape and dtype")
    return torch.empty_like(expected).copy_(value.detach())


def _stored(progress: Progress) -> dict[str, Any]:
    """Return the progress as a checkpoint has it, where the step is called iteration."""
    return {"iteration": progress.step} | {name: value for name, value in vars(progress).items() if name != "step"}


def _progress(values: Mapping[str, Any], epoch_length: int, ends: Sequence[int]) -> Progress:
    """Return the progress stored in a checkpoint; ValueError or TypeError if it does not fit epochs and snapshots."""
    progress = Progress(values["iteration"], **{name: values[name] for name in values if name != "iteration"})
    step, last = progress.step, ends[-1]
    if type(step) is not int or not 0 < step <= last:
        raise ValueError("not a step of the run")
    snapshots = sum(end <= step for end in ends)
    epochs = step // epoch_length if step < last else -(-last // epoch_length)
    progress.losses = _like(progress.losses, torch.zeros(epoch_length))
    progress.wrong = _like(progress.wrong, torch.zeros((), dtype=torch.int64))
    if not (
        [type(digest) for digest in progress.snapshots] == [str] * snapshots
        and [tuple(row) for row in progress.rows] == [COLUMNS] * epochs
        and all(_is_number(value) for row in progress.rows for value in row.values())
        and _is_number(progress.seconds)
        and progress.seconds >= 0
        and progress.wrong >= 0
        and progress.losses.isfinite().all()
    ):
        raise ValueError("not the progress of a run")
    return progress


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < MAX_NUMBER  # type: ignore[arg-type]


def tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state dict of a network on the CPU for safetensors, in which no two tensors share memory."""
    copies: dict[str, torch.Tensor] = {}
    stored = set()
    for name, tensor in network.state_dict().items():
        copy = tensor.detach().cpu().contiguous()
        copies[name] = copy.clone() if copy.untyped_storage().data_ptr() in stored else copy
        stored.add(copy.untyped_storage().data_ptr())
    return copies


def save_weights(path: Path, network: nn.Module) -> str:
    """Save the weights and batch-norm statistics of a network as safetensors; return the sha256 of the file."""
    content = save(tensors(network))
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load_weights(directory: RunDirectory, snapshot: int, network: nn.Module, digest: str | None = None) -> None:
    """Load the weights of a snapshot into a network.

    Raises UserError for a file that is missing, does not fit the network, or has another sha256 than `digest` or, in a
    finished run, than the manifest says.
    """
    content = directory.weights(snapshot, digest)
    try:
        network.load_state_dict(load(content))
    except (SafetensorError, RuntimeError, LookupError, TypeError, ValueError):
        path = directory.snapshot_path(snapshot)
        raise UserError(f"{path}: not the weights of this network; {directory.remedy}") from None
