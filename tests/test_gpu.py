"""Training on a GPU; nothing of this has run on one yet."""

import numpy as np
import pytest
import torch
from silent import Silent

from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import Stopped
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

pytestmark = pytest.mark.gpu
NETWORKS = ["resnet-8", "wide-resnet-8-2", "densenet-13-12"]


@pytest.fixture
def deterministic(monkeypatch):
    """Ask for deterministic kernels, which a training by itself does not."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def trained(run, dataset, folder, *, device="cuda", stops=()):
    """Train a run, stopped after each of some steps and gone on with, and return its directory."""
    directory, reached = RunDirectory(folder), [0]
    directory.start(run, {})

    class Counting(Silent):
        def on_step(self, step, lr):
            reached[0] = step

    for stop in (*stops, None):
        try:
            loop.train(run, dataset, directory, Machine(device=device), callback=Counting(),
                       stop=lambda stop=stop: reached[0] == stop)  # fmt: skip
        except Stopped:
            assert reached[0] == stop
    return directory


def predictions(directory, run):
    return [np.load(directory.path / f"predictions/test-{k}.npy") for k in range(1, run.snapshots + 1)]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_run_gone_on_with_ends_as_one_left_alone(deterministic, tiny_dataset, tiny_run, tmp_path, network):
    run = tiny_run(network=network, dropout=0.2)
    whole = trained(run, tiny_dataset, tmp_path / "whole")
    parts = trained(run, tiny_dataset, tmp_path / "parts", stops=(2, 7, 11))
    for one, other in zip(predictions(whole, run), predictions(parts, run), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_first_losses_agree_with_those_of_the_cpu(tiny_dataset, tiny_run, tmp_path, network):
    losses = []
    for device in ("cpu", "cuda"):
        run = tiny_run(network=network, alpha0=0.01)
        training = loop.prepare(run, tiny_dataset, RunDirectory(tmp_path / device), Machine(device=device))
        loop.train_epoch(training, callback=Silent(), stop=lambda: False)
        losses.append(training.progress.losses.numpy())
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("network", NETWORKS)
def test_bfloat16_learns_what_float32_learns(tiny_dataset, tiny_run, tmp_path, network):
    last = []
    for precision in ("float32", "bfloat16"):
        run = tiny_run(network=network, precision=precision, budget=8, alpha0=0.05)
        directory = trained(run, tiny_dataset, tmp_path / precision)
        assert predictions(directory, run)[0].dtype == np.float32
        last.append(directory.summary["train_loss"])
    assert abs(last[0] - last[1]) < 0.2


@pytest.fixture
def synchronising_is_an_error():
    """A function that makes every wait for the GPU an error, until the test ends."""
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_does_not_wait_for_the_gpu(
    synchronising_is_an_error, tiny_dataset, tiny_run, tmp_path, compile, precision
):
    """As tests/test_synchronise.py shows of shapes alone, here with the kernels; the first epoch compiles."""
    training = loop.prepare(
        tiny_run(dropout=0.2, precision=precision), tiny_dataset, RunDirectory(tmp_path), Machine(compile=compile)
    )
    loop.train_epoch(training, callback=Silent(), stop=lambda: False)

    class Until(Silent):
        def on_step(self, step, lr):
            synchronising_is_an_error()
            if step == 12:
                raise StopIteration

    with pytest.raises(StopIteration):
        loop.train_epoch(training, callback=Until(), stop=lambda: False)


def test_compiled_losses_are_those_of_eager_training(tiny_dataset, tiny_run, tmp_path):
    losses = []
    for compile in (False, True):
        machine = Machine(compile=compile)
        training = loop.prepare(tiny_run(alpha0=0.01), tiny_dataset, RunDirectory(tmp_path / str(compile)), machine)
        loop.train_epoch(training, callback=Silent(), stop=lambda: False)
        losses.append(training.progress.losses.numpy())
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02, atol=0.02)
