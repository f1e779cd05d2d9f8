"""Weights to start from: which tensors of a file a network takes over, and which stay as its seed made them."""

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

WRAPPERS = ("state_dict", "model")  # keys under which trainings store the weights among other things
NAMED = 4  # tensors in a line


@dataclass(frozen=True)
class Fit:
    """The names of tensors that a network takes from a file, leaves in it, and keeps as its seed made them."""

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
    """Return the tensors of a file, .safetensors or what torch.save wrote of a state_dict; ValueError for another."""
    try:
        if content[:2] != b"PK":
            return load(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, *DAMAGED):
        raise ValueError("neither a .safetensors file nor a .pt file of tensors alone") from None
    state = next((state[key] for key in WRAPPERS if isinstance(state, Mapping) and key in state), state)
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError("not a mapping of names to tensors")
    state = dict(state)
    consume_prefix_in_state_dict_if_present(state, "module.")  # of DistributedDataParallel
    return state


def fit(network: nn.Module, weights: Mapping[str, Tensor], classes: int) -> Fit:
    """Return which tensors of a file a network takes; ValueError where one besides its classifier finds none.

    The classifier is whatever ends in as many outputs as there are classes. What is no parameter, such as a count of
    batches, may lack.
    """
    own = network.state_dict()
    taken = [name for name, tensor in own.items() if name in weights and weights[name].shape == tensor.shape]
    new = [name for name in own if name not in taken]
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    head = _classifier(network, classes)
    lacking = [name for name in new if name not in head and (name in parameters or name in weights)]
    if lacking or not taken:
        raise ValueError(f"they do not fit the network: {_reason(lacking[0], own, weights)}" if lacking else _NONE)
    return Fit(tuple(taken), tuple(name for name in weights if name not in taken), tuple(new))


def start(network: nn.Module, weights: Mapping[str, Tensor], classes: int) -> None:
    """Copy what fits into a network."""
    with torch.no_grad():
        own = network.state_dict()
        for name in fit(network, weights, classes).taken:
            own[name].copy_(weights[name])


def checked(network: nn.Module, content: bytes, classes: int, path: Path) -> Fit:
    """Return what a network takes of a file; UserError, naming the file, where it is none or does not fit."""
    try:
        return fit(network, read(content), classes)
    except ValueError as error:
        raise UserError(f"initial_weights: {path}: {error}") from None


_NONE = "they do not fit the network: no tensor has its name and shape"


def _classifier(network: nn.Module, classes: int) -> set[str]:
    """Return the names of the parameters of the linear layers and convolutions with as many outputs as classes."""
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.shape[0] == classes
        for name, _ in module.named_parameters(recurse=False)
    }


def _reason(name: str, own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    if name not in weights:
        return f"{name} is not among them"
    return f"{name} has the shape {tuple(weights[name].shape)} and not {tuple(own[name].shape)}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
