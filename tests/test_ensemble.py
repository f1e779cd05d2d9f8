import json
import re
import shutil
from importlib.metadata import version

import numpy as np
import pytest
import torch
from command_line import snapshot
from safetensors.torch import save
from silent import Silent
from torch import nn

import snapshot_cli
from snapshot_cli import SnapshotEnsemble
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import UserError
from snapshot_cli.launch import in_process
from snapshot_cli.networks import build
from snapshot_cli.serving.answering import agreement


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


def test_a_member_that_counts_twice_answers_once():
    calls = []
    ensemble = SnapshotEnsemble([Constant(certain(1)), Constant(certain(2))])
    ensemble.members.append(ensemble.members[0])
    for member in set(ensemble.members):
        member.register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(ensemble(IMAGES), torch.tensor([[0, 2 / 3, 1 / 3]] * 2))
    assert len(calls) == 2


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
    return in_process.train(tiny_run(budget=1), Machine(tiny_data, results, device="cpu"), callback=Silent())


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
    assert str(raised.value) == f"{copy}: training is not finished; type snapshot train {copy}"


def test_the_package_lists_what_it_imports_late():
    assert {*snapshot_cli.__all__, "__doc__"} <= set(dir(snapshot_cli))
    assert all(getattr(snapshot_cli, name) for name in snapshot_cli.__all__)
    assert snapshot_cli.UserError is UserError
    assert snapshot_cli.__version__ == version("snapshot-cli")
    with pytest.raises(AttributeError, match=r"^module 'snapshot_cli' has no attribute 'SnapshotEnsembles'$"):
        _ = snapshot_cli.SnapshotEnsembles


def small():
    """Return a network of 8x8 images with batch norm, a tied layer and a buffer that is not in its state."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 9), nn.Linear(9, 9), nn.Linear(9, 9),
        nn.Linear(9, 3),
    )  # fmt: skip
    network[5].weight = network[4].weight
    network.register_buffer("apart", torch.ones(1), persistent=False)
    return network


def test_it_has_a_length_and_members_in_order():
    networks = [small(), small()]
    ensemble = SnapshotEnsemble(networks)
    assert len(ensemble) == 2
    assert [torch.equal(a[0].weight, b[0].weight) for a, b in zip(ensemble, networks, strict=True)] == [True, True]


def test_a_saved_ensemble_comes_back_as_it_was(tmp_path):
    ensemble = SnapshotEnsemble([small(), small()], mean=[1, 2, 3], std=[4, 5, 6], classes="xyz")
    ensemble.save(tmp_path / "e.safetensors")
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    for again in (
        SnapshotEnsemble.load(tmp_path / "e.safetensors", small),
        SnapshotEnsemble.load(str(tmp_path / "e.safetensors"), make_network=small),
    ):
        assert torch.equal(again(images), ensemble(images))
        assert (again.classes, again.transform, len(again)) == (("x", "y", "z"), None, 2)
        assert not any(parameter.requires_grad for parameter in again.parameters())


def test_a_run_that_is_saved_keeps_its_transform(trained, tiny_data, tmp_path):
    ensemble = SnapshotEnsemble.load(trained.path, data=tiny_data)
    ensemble.save(tmp_path / "e.safetensors")
    again = SnapshotEnsemble.load(tmp_path / "e.safetensors", lambda: build("resnet-8", 4, 8))
    assert (again.transform, again.classes) == (ensemble.transform, ensemble.classes)
    assert torch.equal(again(torch.zeros(1, 3, 8, 8).byte()), ensemble(torch.zeros(1, 3, 8, 8).byte()))


@pytest.mark.parametrize(
    ("make_network", "words"),
    [
        (None, "give a function that makes a new network: SnapshotEnsemble.load(path, lambda: Network())"),
        (lambda: nn.Linear(1, 1), "make_network makes another network than was saved: "),
    ],
)
def test_a_file_without_its_network(make_network, words, tmp_path):
    SnapshotEnsemble([small()]).save(tmp_path / "e.safetensors")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/e.safetensors: {words}")):
        SnapshotEnsemble.load(tmp_path / "e.safetensors", make_network=make_network)


@pytest.mark.parametrize("content", [b"", b"text", save({"a": torch.zeros(1)})])
def test_files_of_others(content, tmp_path):
    (tmp_path / "e.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"e\.safetensors: not an ensemble that SnapshotEnsemble\.save has written$"):
        SnapshotEnsemble.load(tmp_path / "e.safetensors", small)


def test_an_empty_ensemble_says_so(tmp_path):
    empty = SnapshotEnsemble()
    assert len(empty) == 0
    for use in (
        lambda: empty(IMAGES), lambda: empty.predict(IMAGES), lambda: empty.last(1),
        lambda: empty.members_agree(IMAGES),
        lambda: empty.save(tmp_path / "e"), lambda: empty.export(tmp_path / "e.pt2", IMAGES),
        lambda: empty.evaluate([(IMAGES, torch.zeros(2))]),
    ):  # fmt: skip
        with pytest.raises(UserError, match=r"^the ensemble has no members; take a snapshot first: ensemble\.add"):
            use()


def test_predict_and_agreement_in_batches_are_those_of_the_whole(trained, tiny_data, tiny_dataset, monkeypatch):
    ensemble = SnapshotEnsemble.load(trained.path, data=tiny_data)
    images = torch.from_numpy(np.array(tiny_dataset.test_images)).permute(0, 3, 1, 2)
    whole, agreeing = ensemble(images), agreement(ensemble.member_probabilities(images))
    monkeypatch.setattr("snapshot_cli.serving.ensemble.BATCH_SIZE", 10)
    torch.testing.assert_close(ensemble.predict(images), whole)
    torch.testing.assert_close(ensemble.predict(images.numpy()), whole)
    torch.testing.assert_close(ensemble.members_agree(images), agreeing)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (
            torch.rand(2, 3, 8, 8),
            "expected raw images, uint8 (batch, 3, 8, 8) with 0 to 255, given float32 (2, 3, 8, 8)",
        ),
        (torch.zeros(2, 3, 9, 9).byte(), "expected images (batch, 3, 8, 8), given uint8 (2, 3, 9, 9)"),
        (torch.zeros(2, 8, 8, 3).byte(), "expected images (batch, 3, 8, 8), given uint8 (2, 8, 8, 3)"),
        (torch.zeros(3, 8, 8).byte(), "expected images (batch, 3, 8, 8), given uint8 (3, 8, 8)"),
    ],
)
def test_images_that_a_run_was_not_trained_on_are_refused(images, words, trained, tiny_data):
    ensemble = SnapshotEnsemble.load(trained.path, data=tiny_data)
    for use in (ensemble, ensemble.predict, ensemble.members_agree, ensemble.member_probabilities):
        with pytest.raises(UserError, match=f"^{re.escape(words)}"):
            use(images)


def test_evaluate_has_the_numbers_of_eval(trained, tiny_data, tiny_dataset):
    images = torch.from_numpy(np.array(tiny_dataset.test_images)).permute(0, 3, 1, 2)
    labels = torch.from_numpy(np.array(tiny_dataset.test_labels))
    scores = SnapshotEnsemble.load(trained.path, data=tiny_data).evaluate(
        zip(images.split(10), labels.split(10), strict=True)
    )
    code, out, _ = snapshot("eval", trained.path, "--data-dir", tiny_data, "--json")
    assert code == 0
    printed = json.loads(out)
    for found, stored in ((scores.members, printed["members"]), (scores.ensembles, printed["ensembles"])):
        assert [each.error for each in found] == pytest.approx([each["top1_error"] for each in stored])
        assert [each.nll for each in found] == pytest.approx([each["nll"] for each in stored], abs=1e-5)
    with pytest.raises(UserError, match=r"^evaluate: expected batches of images and labels, given none$"):
        SnapshotEnsemble([small()]).evaluate([])


def test_any_network_is_exported(tmp_path):
    ensemble = SnapshotEnsemble([small(), small()])
    images = torch.randn(1, 3, 8, 8)
    ensemble.export(tmp_path / "e.pt2", images)
    program = torch.export.load(tmp_path / "e.pt2").module()
    more = torch.randn(7, 3, 8, 8)
    torch.testing.assert_close(program(more)[0], ensemble(more))
    with pytest.raises(UserError, match=r"^give an example of the images: ensemble\.export\(path, example\)$"):
        ensemble.export(tmp_path / "f.pt2")
    with pytest.raises(UserError, match=r"f\.pt: expected a name that ends in \.pt2 or \.onnx$"):
        ensemble.export(tmp_path / "f.pt", images)


class Branching(nn.Module):
    def forward(self, images):
        return images.flatten(1)[:, :3] if images.sum() > 0 else images.flatten(1)[:, 3:6]


def test_what_torch_cannot_export_is_said(tmp_path):
    with pytest.raises(UserError, match=r"^torch\.export cannot trace the members: "):
        SnapshotEnsemble([Branching()]).export(tmp_path / "e.pt2", torch.ones(2, 3, 8, 8))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_members_of_half_precision_are_averaged_in_float32(dtype):
    ensemble = SnapshotEnsemble([Constant([0.1, 0.2, 0.4]).to(dtype), Constant([0.3, 0.1, 0.2]).to(dtype)])
    expected = torch.stack([member.logits.float().softmax(0) for member in ensemble]).mean(0)
    for found in (ensemble(IMAGES), ensemble.predict(IMAGES), ensemble.member_probabilities(IMAGES).mean(0)):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected.expand(2, 3))


@pytest.mark.parametrize("given", [{"mean": (0.5,)}, {"std": (0.5,)}])
def test_mean_and_deviation_go_together(given):
    with pytest.raises(UserError, match=r"^SnapshotEnsemble: give both mean and std, or neither$"):
        SnapshotEnsemble(**given)


class InPlace(nn.Module):
    """Change the images in place, as a ReLU(inplace=True) in front does."""

    def forward(self, images):
        images += 1
        return images.flatten(1)


def test_a_member_that_changes_its_images_changes_no_others():
    images = torch.zeros(2, 4)
    probabilities = SnapshotEnsemble([InPlace(), InPlace()]).member_probabilities(images)
    assert torch.equal(*probabilities)
    assert images.sum() == 0


def shaped(*shape):
    network = nn.Identity()
    network.forward = lambda images: torch.zeros(shape)
    return network


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([shaped(2, 3, 1)], "expected the forward of a member to return logits (images, classes), given (2, 3, 1)"),
        ([nn.LSTM(4, 4)], "expected the forward of a member to return logits (images, classes), given tuple"),
        ([shaped(2, 3), shaped(2, 5)], "the members have different numbers of classes: 3, 5"),
        (nn.Sequential(nn.Flatten()), "SnapshotEnsemble: expected a list of networks, given one; put it into [ ]"),
        ([None], "add: expected a network (torch.nn.Module), given NoneType"),
        ([nn.LazyLinear(3)], "add: the network has lazy parameters; run one batch through it first"),
    ],
)
def test_members_that_are_no_classifiers(members, words):
    with pytest.raises(UserError) as raised:
        SnapshotEnsemble(members)(torch.zeros(2, 4))
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (torch.zeros(1, dtype=torch.long), "expected a whole number per image as labels, shape (2,), given int64 (1,)"),
        (torch.zeros(2, 1).long(), "expected a whole number per image as labels, shape (2,), given int64 (2, 1)"),
        (torch.zeros(2), "expected a whole number per image as labels, shape (2,), given float32 (2,)"),
        (torch.tensor([0, 3]), "expected labels from 0 to 2, given 0 to 3"),
        (torch.tensor([-1, 0]), "expected labels from 0 to 2, given -1 to 0"),
    ],
)
def test_labels_that_are_no_classes(labels, words):
    with pytest.raises(UserError) as raised:
        SnapshotEnsemble([Constant(certain(1))]).evaluate([(IMAGES, labels)])
    assert str(raised.value) == f"evaluate: {words}"


def test_no_images_are_no_evaluation():
    with pytest.raises(UserError, match="expected batches of images and labels, given none"):
        SnapshotEnsemble([Constant(certain(1))]).evaluate([(IMAGES[:0], torch.zeros(0, dtype=torch.long))])


def test_one_network_is_not_loaded_into_all_members(tmp_path):
    same = nn.Linear(4, 3)
    SnapshotEnsemble([nn.Linear(4, 3), nn.Linear(4, 3)]).save(tmp_path / "e.safetensors")
    for make_network, words in ((lambda: same, "must return a new network at every call"), (same, "give a function")):
        with pytest.raises(UserError, match=words):
            SnapshotEnsemble.load(tmp_path / "e.safetensors", make_network)
    with pytest.raises(UserError, match="no such file or folder"):
        SnapshotEnsemble.load(tmp_path / "missing.safetensors", lambda: nn.Linear(4, 3))


@pytest.mark.parametrize(("mean", "std"), [([1, 2, 3], [1, 2]), ([0] * 3, [1, 0, 2]), ([0], [1])])
def test_normalisation_that_is_none(mean, std):
    with pytest.raises(UserError, match="expected mean and std of 3 channels, std above 0"):
        SnapshotEnsemble(mean=mean, std=std)
