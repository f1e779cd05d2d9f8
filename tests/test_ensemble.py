import shutil

import numpy as np
import pytest
import torch
from silent import Silent
from torch import nn

import snapshot_cli
from snapshot_cli import SnapshotEnsemble
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import UserError
from snapshot_cli.launch import here
from snapshot_cli.serving.ensemble import agreement


class Constant(nn.Module):
    """Answer with the logits given, and remember the images."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.seen = nn.Parameter(torch.tensor(logits)), None

    def forward(self, images):
        self.seen = images
        return self.logits.expand(len(images), -1)


def certain(label, classes=3):
    return [100.0 * (label == k) for k in range(classes)]


IMAGES = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)


def test_the_mean_of_the_last_members():
    ensemble = SnapshotEnsemble(map(Constant, map(certain, (2, 0, 1, 1))), classes="abc")
    torch.testing.assert_close(ensemble(IMAGES), torch.tensor([[0.25, 0.5, 0.25]] * 2))
    torch.testing.assert_close(ensemble.last(3)(IMAGES), torch.tensor([[1 / 3, 2 / 3, 0]] * 2))
    torch.testing.assert_close(ensemble.last(1)(IMAGES), torch.tensor([[0.0, 1, 0]] * 2))
    assert ensemble.member_probabilities(IMAGES).shape == (4, 2, 3)
    torch.testing.assert_close(agreement(ensemble.member_probabilities(IMAGES)), torch.tensor([0.5, 0.5]))
    assert list(ensemble.last(2).members) == list(ensemble.members[2:])
    assert ensemble.last(2).classes == tuple("abc")


@pytest.mark.parametrize("m", [0, 5])
def test_more_members_than_there_are(m):
    with pytest.raises(ValueError, match=f"^expected 1 to 4 members, given {m}$"):
        SnapshotEnsemble(map(Constant, map(certain, (2, 0, 1, 1)))).last(m)


def test_raw_images_are_normalised():
    ensemble = SnapshotEnsemble([Constant(certain(1))], mean=[10, 20, 30], std=[1, 2, 4])
    ensemble.last(1)(torch.full((1, 3, 1, 1), 50, dtype=torch.uint8))
    assert ensemble.members[0].seen.flatten().tolist() == [40, 15, 5]


def test_members_are_copies_that_never_train():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))
    ensemble = SnapshotEnsemble()
    ensemble.add(network.train())
    before = ensemble(torch.ones(4, 3))
    with torch.no_grad():
        network[1].weight.add_(1)
    ensemble.train()
    assert torch.equal(ensemble(torch.ones(4, 3)), before)
    assert network.training
    assert not any(parameter.requires_grad for parameter in ensemble.parameters())


@pytest.fixture(scope="module")
def trained(tiny_run, tiny_data, tmp_path_factory):
    """The directory of a run of two snapshots."""
    results = tmp_path_factory.mktemp("results")
    return here.train(tiny_run(budget=1), Machine(tiny_data, results, device="cpu"), watcher=Silent())


def test_a_run_answers_as_it_did(trained, tiny_data, tiny_dataset):
    ensemble = SnapshotEnsemble.load(trained.path, data=tiny_data)
    assert (len(ensemble.members), ensemble.classes, ensemble.transform.side) == (2, tuple("abcd"), 8)
    images = torch.from_numpy(np.array(tiny_dataset.test_images)).permute(0, 3, 1, 2)
    found = ensemble.member_probabilities(images)
    stored = torch.stack([torch.from_numpy(trained.predictions("test", k)).softmax(1) for k in (1, 2)])
    torch.testing.assert_close(found, stored, rtol=0, atol=1e-6)
    torch.testing.assert_close(ensemble(images), stored.mean(0), rtol=0, atol=1e-6)


def test_the_folder_of_datasets_is_that_of_the_command_line(trained, tiny_data, monkeypatch, tmp_path):
    monkeypatch.setenv("SNAPSHOT_DATA_DIR", str(tiny_data))
    assert len(SnapshotEnsemble.load(trained.path, trained.path).members) == 4
    monkeypatch.delenv("SNAPSHOT_DATA_DIR")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^dataset 'tiny' is not prepared in data; type: snapshot data prepare tiny "):
        SnapshotEnsemble.load(trained.path)


def test_runs_that_cannot_be_loaded(trained, tiny_data, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(trained.path, copy)
    (copy / "snapshots/2.safetensors").unlink()
    with pytest.raises(UserError) as raised:
        SnapshotEnsemble.load(copy, data=tiny_data)
    again = f"delete {copy} and train it again"
    assert str(raised.value) == f"{copy}/snapshots/2.safetensors: the weights of this snapshot were not kept; {again}"
    (copy / "done.json").unlink()
    with pytest.raises(UserError) as raised:
        SnapshotEnsemble.load(copy, data=tiny_data)
    assert str(raised.value) == f"{copy}: not trained to its end; type snapshot train --config {copy}/config.yaml"


def test_the_package_lists_what_it_imports_late():
    assert {*snapshot_cli.__all__, "__doc__"} <= set(dir(snapshot_cli))
    assert all(callable(getattr(snapshot_cli, name)) for name in snapshot_cli.__all__)
    with pytest.raises(AttributeError, match=r"^module 'snapshot_cli' has no attribute 'SnapshotEnsembles'$"):
        _ = snapshot_cli.SnapshotEnsembles
