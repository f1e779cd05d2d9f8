"""Initial weights from a file: which tensors fit a network, and which keep their values from the seed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.modules.utils import consume_prefix_in_state_dict_if_present

from snapshot_cli.errors import UserError
from snapshot_cli.training.checkpoint import DAMAGED
from snapshot_cli.words import some

WRAPPERS = ("state_dict", "model")  # common keys of the weights in checkpoints
NAMED = 4  # tensors named in a message


@dataclass(frozen=True)
class Fit:
    """Names of tensors: taken from the file, left in the file, and new in the network."""

    taken: tuple[str, ...]
    left: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.taken)} tensors taken"]
        parts += [
            f"{len(names)} {how} ({_some(names)})" for how, names in (("left", self.left), ("new", self.new)) if names
        ]
        return ", ".join(parts)


def read(content: bytes) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file or of a state_dict saved by torch.save; ValueError for other files."""
    try:
        if content[8:9] == b"{":  # a safetensors header, after its length
            return load(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, *DAMAGED):
        raise ValueError("neither a .safetensors file nor a .pt file of tensors alone") from None
    state = next((state[key] for key in WRAPPERS if isinstance(state, Mapping) and key in state), state)
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        raise ValueError("not a mapping of names to tensors")
    state = dict(state)
    consume_prefix_in_state_dict_if_present(state, "module.")  # of DistributedDataParallel
    return state


def fit(network: nn.Module, weights: Mapping[str, Tensor], classes: int) -> Fit:
    """Match tensors of a file to a network; ValueError if a parameter outside the classifier has no match.

    The classifier is every layer with as many outputs as classes. Buffers, such as a count of batches, may be missing.
    """
    state = network.state_dict()
    taken = [name for name, tensor in state.items() if name in weights and weights[name].shape == tensor.shape]
    new = [name for name in state if name not in taken]
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    head = _classifier(network, classes)
    missing = [name for name in new if name not in head and (name in parameters or name in weights)]
    if missing or not taken:
        reason = _reason(missing[0], state, weights) if missing else "no tensor has its name and shape"
        raise ValueError(f"they do not fit the network: {reason}")
    return Fit(tuple(taken), tuple(name for name in weights if name not in taken), tuple(new))


def start(network: nn.Module, weights: Mapping[str, Tensor], classes: int) -> None:
    """Copy the tensors that fit into a network."""
    with torch.no_grad():
        state = network.state_dict()
        for name in fit(network, weights, classes).taken:
            state[name].copy_(weights[name])


def checked(network: nn.Module, content: bytes, classes: int, path: Path) -> Fit:
    """Match a file to a network; UserError, naming the file, unless it has finite weights that fit."""
    try:
        weights = read(content)
        fitting = fit(network, weights, classes)
        for name in fitting.taken:
            if not weights[name].isfinite().all():
                raise ValueError(f"{name} has values that are not finite")
        return fitting
    except ValueError as error:
        raise UserError(f"initial_weights: {path}: {error}") from None


def _classifier(network: nn.Module, classes: int) -> set[str]:
    """Return the names of the parameters of the linear layers and convolutions with as many outputs as classes."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.shape[0] == classes
        for name, _ in module.named_parameters(recurse=False)
    }


def _reason(name: str, state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    if name not in weights:
        return f"{name} is not among them"
    return f"{name} has the shape {tuple(weights[name].shape)} and not {tuple(state[name].shape)}"


def _some(names: Sequence[str]) -> str:
    return some(names, NAMED)
