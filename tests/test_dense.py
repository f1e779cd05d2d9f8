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
    monkeypatch.setattr(densenet, "is_supported", lambda x: False)


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


def kept(x, made=None):
    """Return how many bytes a training step's forward pass keeps for the way back, counting no memory twice."""
    made = made or network()
    seen = {}

    def note(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        logits = made.train()(x)
    del logits
    return sum(seen.values())


def test_half_as_much_is_kept(monkeypatch):
    lean = kept(images(32))
    one_by_one(monkeypatch)
    assert lean < 0.5 * kept(images(32))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize(("count", "grad", "served"), [(2, True, True), (1, True, False), (2, False, False)])
def test_which_maps_are_served(count, autocast, grad, served):
    with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert dense.is_supported(torch.zeros(count, 1, 2, 2)) is served
        assert not dense.is_supported(torch.zeros(count, 1, 2, 2, device="meta"))


def step_in_bfloat16(made, x):
    with torch.autocast("cpu", torch.bfloat16):
        return step(made.float(), x.float())


def errors(values, exact):
    """Return by name how far values are from the exact ones, as a share of their length."""
    lengths = {name: value.double().norm() + 1e-3 for name, value in exact.items()}
    return {name: float((value.double() - exact[name]).norm() / lengths[name]) for name, value in values.items()}


@pytest.mark.parametrize("part", [1, 2000, 2**22])
def test_bfloat16_is_as_exact_as_layer_by_layer(monkeypatch, part):
    monkeypatch.setattr(dense, "PART_BFLOAT16", part)
    made, x = network().to(memory_format=torch.channels_last), images(32)
    exact = step(copy.deepcopy(made), x)
    layerwise = copy.deepcopy(made)
    values = step_in_bfloat16(made, x)
    one_by_one(monkeypatch)
    others = step_in_bfloat16(layerwise, x)
    assert {name: value.dtype for name, value in values.items()} == {name: v.dtype for name, v in others.items()}
    assert max(errors(values, exact).values()) < 0.3
    assert sum(errors(values, exact).values()) < 1.5 * sum(errors(others, exact).values())  # 1.04 to 1.31 by images


def kept_in_bfloat16(x):
    with torch.autocast("cpu", torch.bfloat16):
        return kept(x, network().float())


def test_in_bfloat16_half_as_much_is_kept_as_in_float32_and_as_layer_by_layer(monkeypatch):
    x = images(32).float()
    lean = kept_in_bfloat16(x)
    assert lean < 0.6 * kept(x, network().float())
    one_by_one(monkeypatch)
    assert lean < 0.5 * kept_in_bfloat16(x)


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
