"""A training step gives work to the device and waits for nothing, shown on a device of shapes without content."""

from contextlib import nullcontext, suppress

import pytest
import torch
from silent import Silent
from streamed_folders import write
from torch.utils._python_dispatch import TorchDispatchMode

from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import store
from snapshot_cli.datasets.prepare import prepare
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import hardware, loop

DEVICE = torch.device("meta")  # reading a value of such a tensor is an error
aten = torch.ops.aten
WAITING = {aten._local_scalar_dense, aten.nonzero, aten.is_nonzero, aten.equal, aten.masked_select, aten._unique2}


class Waits(TorchDispatchMode):
    """Lists, once it is `on`, the operations at which the host would wait for a GPU, of all that it has `seen`."""

    def __init__(self):
        super().__init__()
        self.on, self.seen, self.found = False, 0, []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        self.seen += self.on
        if self.on and waits(function.overloadpacket, arguments, options):
            self.found.append(str(function))
        return function(*arguments, **options)


def waits(operation, arguments, options):
    """Return whether an operation reads values of the device, or copies from or to it without `non_blocking`."""
    devices = {value.device for value in arguments if isinstance(value, torch.Tensor)}
    if options.get("device") is not None:
        devices.add(options["device"])
    if DEVICE not in devices:
        return False
    if operation in (aten.index, aten.index_put_):  # a mask is turned into as many indices as it has ones
        return any(index is not None and index.dtype == torch.bool for index in arguments[1])
    if operation in (aten._to_copy, aten.copy_):
        return len(devices) > 1 and not options.get("non_blocking") and arguments[-1] is not True
    return operation in WAITING


class Until(Silent):
    """Watches all steps of an epoch but the first, then ends it before its numbers are read."""

    def __init__(self, waits, last):
        self.waits, self.last = waits, last

    def on_step(self, step, lr):
        self.waits.on = True
        if step == self.last:
            raise StopIteration


@pytest.fixture
def on_device(monkeypatch):
    """Train on the device, with the optimizer that it has: a fused one has no implementation for shapes alone."""
    real = torch.optim.SGD
    monkeypatch.setattr(torch.optim, "SGD", lambda parameters, *, fused, **options: real(parameters, **options))
    monkeypatch.setattr(torch, "autocast", lambda *arguments, **options: nullcontext())  # serves no such device
    monkeypatch.setattr(hardware, "choose", lambda name: DEVICE)


def watch(run, dataset, tmp_path, last):
    with Waits() as found:
        training = loop.prepare(run, dataset, RunDirectory(tmp_path), Machine())
        with pytest.raises(StopIteration):
            loop.train_epoch(training, callback=Until(found, last), stop=lambda: False)
    assert found.seen > 100
    return found.found


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "resnet-8"},
        {"network": "resnet-8", "stochastic_depth": 0.5, "lighting": 0.1},
        {"network": "wide-resnet-8-2", "dropout": 0.2},
        {"network": "densenet-7-12", "dropout": 0.2},
    ],
)
def test_a_step_does_not_wait_for_the_device(on_device, tiny_dataset, tiny_run, tmp_path, changes):
    """Augmentation, forward, backward, optimizer and the record of losses and errors, with a smaller last batch."""
    assert watch(tiny_run(**changes), tiny_dataset, tmp_path, last=6) == []


def test_a_step_on_streamed_images_does_not_wait_for_the_device(on_device, tiny_run, tmp_path):
    prepare("photos", tmp_path / "data", source=write(tmp_path / "photos"), size=8, streamed=True)
    run, dataset = tiny_run(dataset="photos", batch_size=4), store.load(tmp_path / "data", "photos")
    assert watch(run, dataset, tmp_path, last=6) == []


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (lambda x: x.cpu(), "aten._to_copy.default"),
        (lambda x: x.sum().item(), "aten._local_scalar_dense.default"),
        (lambda x: torch.ones(3).to(DEVICE), "aten._to_copy.default"),
        (lambda x: x[x > 0], "aten.index.Tensor"),
        (lambda x: x.nonzero(), "aten.nonzero.default"),
        (lambda x: bool(x.isfinite().all()), "aten._local_scalar_dense.default"),
    ],
)
def test_what_waits_is_noticed(act, expected):
    x = torch.empty(3, device=DEVICE)
    with Waits() as found, suppress(RuntimeError, NotImplementedError):
        found.on = True
        act(x)
    assert found.found == [expected]
