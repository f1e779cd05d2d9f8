"""Training through torch.compile gives what eager training gives, compiles once, and resumes exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from silent import Silent
from torch._dynamo.utils import counters

from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import Stopped
from snapshot_cli.launch import in_process
from snapshot_cli.networks import build
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import compiled

CPU = torch.device("cpu")


@pytest.fixture
def quick(monkeypatch):
    """Trace as in use, and let eager kernels run what was traced, which takes seconds and no compiler."""
    real = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda network, dynamic, mode: real(network, dynamic=dynamic, backend="aot_eager")
    )
    counters.clear()
    yield
    torch.compiler.reset()


def machine(tiny_data, folder, **changes):
    return Machine(tiny_data, folder, "cpu", threads=1, **changes)


class Counting(Silent):
    reached = 0

    def on_step(self, step, lr):
        self.reached = step


def trained(run, machine, *, stops=()):
    """Train a run, stopped after some steps and resumed, and return its directory."""
    for stop in (*stops, None):
        counting = Counting()
        try:
            in_process.train(run, machine, callback=counting, stop=lambda stop=stop, now=counting: now.reached == stop)
        except Stopped:
            assert counting.reached == stop
    return RunDirectory.of(run, machine.results)


@pytest.mark.parametrize("network", ["resnet-8", "wide-resnet-8-2", "densenet-7-12"])
def test_losses_are_those_of_eager_training_after_one_compilation(quick, tiny_data, tiny_run, tmp_path, network):
    run = tiny_run(network=network, alpha0=0.01)
    eager = trained(run, machine(tiny_data, tmp_path / "eager"))
    traced = trained(run, machine(tiny_data, tmp_path / "traced", compile=True))
    assert counters["stats"]["unique_graphs"] == 1  # one, although the last batch of an epoch is smaller
    assert [eager.machine["compile"], traced.machine["compile"]] == [False, True]
    losses, others = ([row["train_loss"] for row in each.metrics()] for each in (eager, traced))
    np.testing.assert_allclose(losses, others, rtol=0.01)


def test_a_stopped_run_ends_as_an_unbroken_one(quick, tiny_data, tiny_run, tmp_path):
    run = tiny_run(dropout=0.2)
    whole, parts = (machine(tiny_data, tmp_path / name, compile=True) for name in ("whole", "parts"))
    one, other = trained(run, whole), trained(run, parts, stops=(2, 7))
    np.testing.assert_array_equal(one.predictions("test", 2), other.predictions("test", 2))


def test_going_on_with_another_setting_is_said(quick, tiny_data, tiny_run, tmp_path):
    run, here_ = tiny_run(), machine(tiny_data, tmp_path)
    notes = []
    with pytest.raises(Stopped):
        in_process.train(run, here_, callback=Silent(), stop=lambda: True)
    in_process.train(run, replace(here_, compile=True), callback=Silent(), note=notes.append)
    assert any("resumes with compile False -> True" in note for note in notes)


def test_without_a_compiler_it_is_eager_and_said(monkeypatch, tiny_data, tiny_run, tmp_path):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    notes, run = [], tiny_run(budget=1, cycles=1)
    directory = in_process.train(run, machine(tiny_data, tmp_path, compile=True), callback=Silent(), note=notes.append)
    assert notes == ["--compile: no C++ compiler here, so the network is not compiled; install g++"]
    assert directory.machine["compile"] is False


@pytest.mark.slow
@pytest.mark.skipif(not compiled.has_compiler(), reason="no C++ compiler here")
def test_the_real_compiler_gives_the_logits_of_the_network():
    network, x = build("resnet-8", 4, 8), torch.randn(4, 3, 8, 8)
    forward = compiled.compile_for(network, device=CPU, images=4)
    torch.testing.assert_close(forward(x), network(x), rtol=1e-3, atol=1e-3)
