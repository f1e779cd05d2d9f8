"""A dense block in one piece gives what its layers give one by one, and keeps less."""

import copy

import pytest
import torch
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from snapshot_cli.networks import build, dense, densenet

SIDE = 8


def network(dropout=0.0):
    """Return a densenet in double precision whose norms all scale and shift differently."""
    torch.manual_seed(0)
    made = build("densenet-13-4", 4, SIDE, dropout).double()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "norm" in name:
                parameter += 0.3 * torch.randn_like(parameter)
    return made


def images(count=5):
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def one_by_one(monkeypatch):
    monkeypatch.setattr(densenet, "serves", lambda x: False)


def step(made, x):
    """Return logits, gradients and the state after a training step's forward and backward pass."""
    torch.manual_seed(2)
    logits = made.train()(x)
    made.zero_grad()
    functional.cross_entropy(logits, torch.arange(len(x)) % 4).backward()
    gradients = {name: parameter.grad.clone() for name, parameter in made.named_parameters()}
    return {"logits": logits.detach()} | gradients | {name: each.clone() for name, each in made.named_buffers()}


@pytest.mark.parametrize(
    ("dropout", "layout"),  # what dropout draws depends on the order of values in memory
    [(0.0, torch.contiguous_format), (0.0, torch.channels_last), (0.2, torch.channels_last)],
)
@pytest.mark.parametrize("part", [1, 2000, 2**19])  # one example at a time, some, all
def test_logits_gradients_and_statistics_are_those_of_the_layers_one_by_one(monkeypatch, part, dropout, layout):
    monkeypatch.setattr(dense, "PART", part)
    made, x = network(dropout).to(memory_format=layout), images().contiguous(memory_format=layout)
    other = copy.deepcopy(made)
    found = [step(made, x) for _ in range(2)]  # the second finds other stored statistics
    one_by_one(monkeypatch)
    for each in found:
        torch.testing.assert_close(each, step(other, x), rtol=1e-10, atol=1e-12)
    made.eval()
    other.eval()
    torch.testing.assert_close(made(x), other(x), rtol=1e-10, atol=1e-12)


def kept(x):
    """Return how many bytes a training step's forward pass keeps for the way back, counting no memory twice."""
    seen = {}

    def note(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = network().train()(x)
    del logits
    return sum(seen.values())


def test_half_as_much_is_kept(monkeypatch):
    lean = kept(images(32))
    one_by_one(monkeypatch)
    assert lean < 0.5 * kept(images(32))


@pytest.mark.parametrize(
    ("count", "autocast", "grad", "served"),
    [(2, False, True, True), (1, False, True, False), (2, True, True, False), (2, False, False, False)],
)
def test_which_maps_are_served(count, autocast, grad, served):
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert dense.serves(torch.zeros(count, 1, 2, 2)) is served


def test_bfloat16_trains():
    made = network().float()
    with torch.autocast("cpu", torch.bfloat16):
        loss = functional.cross_entropy(made(images().float()), torch.arange(5) % 4)
    loss.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in made.parameters())


def test_the_wrapper_for_many_processes_gets_every_gradient(tmp_path):
    made, x = network(), images()
    expected = step(made, x)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    try:
        step(DistributedDataParallel(made), x)
    finally:
        torch.distributed.destroy_process_group()
    for name, parameter in made.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name])


def test_a_trained_network_is_exported():
    made, x = network(), images()
    step(made, x)
    made.eval()
    torch.testing.assert_close(torch.export.export(made, (x,)).module()(x), made(x))
