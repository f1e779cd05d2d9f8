"""Check that a network from another library can be trained, on two images of noise, before a run writes files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parameter import is_lazy

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.networks import plugins
from snapshot_cli.networks.names import is_external
from snapshot_cli.randomness import derive
from snapshot_cli.training import initial_weights
from snapshot_cli.training.initial_weights import Fit
from snapshot_cli.training.network import build_network, build_on_meta, place
from snapshot_cli.words import some

NAMED = 3  # parameters named in a message


def check(run: Run, manifest: Manifest, *, smallest: int = 2, ranks: int = 1) -> list[str]:
    """Return notes on the network of a run; none for the paper's networks.

    `smallest` is the number of images in the smallest training batch of a rank. Raises ConfigError if that is 1 and too
    few for batch norm, and UserError for a network of another library that cannot be built, run or trained on these
    images, or does not return logits (images, classes).
    """
    if not is_external(run.network):
        if smallest == 1:
            network = build_on_meta(run, classes=len(manifest.classes), side=manifest.size)
            images = torch.empty(1, 3, manifest.size, manifest.size, device="meta")
            _check_single_image(run, network, images, manifest, ranks)
        return []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(run.seed, "weights"))
        network = build_network(run, classes=len(manifest.classes), side=manifest.size)
        if any(map(is_lazy, network.parameters())):
            raise UserError(f"{run.network}: has lazy parameters; give their sizes for {_sizes(manifest)}")
        if any(not isinstance(value, Tensor) for value in network.state_dict().values()):
            raise UserError(f"{run.network}: its state_dict() has values that are no tensors, which are not saved")
        network = place(network, run, manifest.size, torch.device("cpu"))
        images = torch.randn(2, 3, manifest.size, manifest.size).contiguous(memory_format=torch.channels_last)
        _check_gradients(run, network, images, manifest)
        if smallest == 1:
            _check_single_image(run, network, images[:1], manifest, ranks)
        with torch.no_grad():
            _logits(run, network.eval(), images, manifest)
            return _repeats(run, network.train(), images)


def check_start(run: Run, manifest: Manifest, content: bytes, path: Path) -> Fit:
    """Match a file of weights to the network of a run; UserError if it has no weights or they do not fit."""
    classes = len(manifest.classes)
    network = build_on_meta(run, classes=classes, side=manifest.size)
    return initial_weights.checked(network, content, classes, path)


def _check_gradients(run: Run, network: nn.Module, images: Tensor, manifest: Manifest) -> None:
    trainable = {name: tensor for name, tensor in network.named_parameters() if tensor.requires_grad}
    if not trainable:
        raise UserError(f"{run.network}: has no parameters to train")
    logits = _logits(run, network.train(), images, manifest)
    with _as_user_error(run, "cannot compute gradients"):
        cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
    idle = [name for name, tensor in trainable.items() if tensor.grad is None]
    if idle:
        raise UserError(
            f"{run.network}: no gradient reaches {some(idle, NAMED)}; leave them out of the network, or "
            "set requires_grad to False"
        )
    network.zero_grad(set_to_none=True)


def _logits(run: Run, network: nn.Module, images: Tensor, manifest: Manifest) -> Tensor:
    with _as_user_error(run, f"cannot take {_sizes(manifest)}"):
        logits = network(images)
    expected = f"expected its forward to return logits (images, {len(manifest.classes)})"
    if not isinstance(logits, Tensor):
        raise UserError(f"{run.network}: {expected}, given {type(logits).__name__}")
    if not logits.is_floating_point() or logits.shape != (len(images), len(manifest.classes)):
        kind = str(logits.dtype).removeprefix("torch.")
        raise UserError(f"{run.network}: {expected}, given {kind} {tuple(logits.shape)} for {len(images)} images")
    return logits


def _check_single_image(run: Run, network: nn.Module, images: Tensor, manifest: Manifest, ranks: int) -> None:
    """Raise ConfigError if the network cannot be trained on one image, as with batch norm on 1x1 feature maps."""
    try:
        with torch.no_grad():
            network.train()(images)
    except Exception as error:
        raise ConfigError(
            f"{run.network}: cannot be trained on a batch of 1 image, as the last of an epoch is here "
            f"({plugins.describe_error(error)}); choose another batch_size or train_size"
            f"{_without_a_single_image(run, manifest, ranks)}"
        ) from error


def _without_a_single_image(run: Run, manifest: Manifest, ranks: int) -> str:
    """Suggest the next larger batch size whose last batch of an epoch has more than one image per rank, if any."""
    examples = run.training_examples(manifest.train)
    sizes = range(run.batch_size + 1, examples + run.batch_size + 2)
    fit = next((size for size in sizes if (min(examples, examples % size or size)) // ranks > 1), None)
    return "" if fit is None else f", such as batch_size: {fit}"


def _repeats(run: Run, network: nn.Module, images: Tensor) -> list[str]:
    """Return a note if two forward passes of the same weights, images and seed differ."""
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    answers = []
    for _ in range(2):
        network.load_state_dict(before)
        torch.manual_seed(derive(run.seed, "dropout", 0))
        answers.append(network(images.clone()).nan_to_num())
    if torch.equal(*answers):
        return []
    return [
        f"{run.network}: two forward passes with the same weights, images and seed differ, so a resumed run ends with "
        "other numbers; draw random numbers from torch only, and keep all state in state_dict()"
    ]


@contextmanager
def _as_user_error(run: Run, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise UserError(f"{run.network}: {what}: {plugins.describe_error(error)}") from error


def _sizes(manifest: Manifest) -> str:
    return f"images of {manifest.size}x{manifest.size} pixels"
