import hashlib
import io
import os
import pickle

import pytest
import torch

from snapshot_cli.errors import UserError
from snapshot_cli.networks import build
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training.checkpoint import Progress, load_weights, restore_state, save_state, save_weights


def trained(seed=0, iterations=2, name="resnet-8"):
    """A network and its optimizer after some iterations, so that there is momentum and there are statistics."""
    torch.manual_seed(seed)
    network = build(name, 4, 8).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    for _ in range(iterations):
        optimizer.zero_grad()
        network(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    return network, optimizer


def progress():
    row = {"epoch": 1, "iteration": 6, "rate": 0.1 + 0.2, "train_loss": 1 / 3}
    return Progress(8, ["5e" * 32], [row], torch.tensor([1.5, 0.1, 0.0]), torch.tensor(7), 1.25)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run/resume.pt"
    save_state(path, "tiny/run", progress(), *trained())
    return path


def refusal(path, run_id="tiny/run", name="resnet-8"):
    with pytest.raises(UserError) as caught:
        restore_state(path, run_id, *trained(seed=1, name=name))
    return str(caught.value)


def damaged(path):
    return f"{path}: damaged; delete {path.parent} and train it again"


def test_a_state_comes_back_to_the_last_bit(saved):
    expected_network, expected_optimizer = trained()
    network, optimizer = trained(seed=1, iterations=0)
    found = restore_state(saved, "tiny/run", network, optimizer)
    for name, tensor in expected_network.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    for parameter, expected in zip(network.parameters(), expected_network.parameters(), strict=True):
        momentum, wanted = (
            each.state[owner]["momentum_buffer"]
            for each, owner in ((optimizer, parameter), (expected_optimizer, expected))
        )
        assert torch.equal(momentum, wanted)
        assert momentum.stride() == wanted.stride()
        assert parameter.stride() == expected.stride()
    assert (found.iteration, found.snapshots, found.rows, found.seconds) == (8, ["5e" * 32], progress().rows, 1.25)
    assert torch.equal(found.losses, progress().losses)
    assert torch.equal(found.wrong, progress().wrong)


def test_without_a_state_a_run_is_fresh(tmp_path):
    found = restore_state(tmp_path / "resume.pt", "tiny/run", *trained())
    assert (found.iteration, found.rows, found.seconds) == (0, [], 0.0)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/nowhere")])
def test_a_state_that_is_no_file_is_refused_and_not_taken_for_none(tmp_path, make):
    path = tmp_path / "resume.pt"
    make(path)
    with pytest.raises(UserError) as caught:
        restore_state(path, "tiny/run", *trained())
    assert str(caught.value) == f"{path}: not a file; delete {tmp_path} and train it again"


def test_the_bytes_do_not_depend_on_the_file_name(saved, tmp_path):
    other = tmp_path / "another-name"
    save_state(other, "tiny/run", progress(), *trained())
    assert other.read_bytes() == saved.read_bytes()


def test_another_run_and_another_version(saved, monkeypatch):
    words = f"{saved}: of another version or another run; delete {saved.parent} and train it again"
    assert refusal(saved, run_id="tiny/other") == words
    monkeypatch.setattr("snapshot_cli.training.checkpoint.VERSION", 3)
    assert refusal(saved) == words


@pytest.mark.parametrize("part", [0, 1, 31, 32, 33, 0.3, 0.9, -1])
def test_truncated(saved, part):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(part * len(data)) if isinstance(part, float) else part])
    assert refusal(saved) == damaged(saved)


@pytest.mark.parametrize("place", [0.0, 0.0001, 0.2, 0.4, 0.6, 0.8, 0.9999])
def test_one_changed_bit(saved, place):
    data = bytearray(saved.read_bytes())
    data[int(place * len(data))] ^= 1
    saved.write_bytes(data)
    assert refusal(saved) == damaged(saved)


def signed(content):
    return hashlib.sha256(content).digest() + content


def torch_bytes(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


HOSTILE = {
    "empty": b"",
    "words": b"not a state\n" * 9,
    "pickle": pickle.dumps(Trap(), protocol=2),
    "pickle that torch wraps": torch_bytes(Trap()),
    "list": torch_bytes([1, 2]),
    "tensor": torch_bytes(torch.zeros(3)),
    "number": torch_bytes(3),
    "no version": torch_bytes({"run_id": "tiny/run"}),
    "no network": torch_bytes({"version": 2, "run_id": "tiny/run"}),
    "no tensors": torch_bytes({"version": 2, "run_id": "tiny/run", "network": {"a": 1}}),
}


@pytest.mark.parametrize("sign", [lambda content: content, signed], ids=["as it is", "with its digest"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_broken_and_hostile_states_run_no_code(saved, monkeypatch, tmp_path, kind, sign):
    monkeypatch.chdir(tmp_path)
    saved.write_bytes(sign(HOSTILE[kind]))
    assert refusal(saved) == damaged(saved)
    assert not (tmp_path / "ran").exists()


def test_a_state_of_another_network(saved):
    assert refusal(saved, name="resnet-14") == damaged(saved)


@pytest.fixture
def kept(tmp_path):
    """A directory with the weights of one snapshot, and their hash."""
    directory = RunDirectory(tmp_path / "run")
    return directory, save_weights(directory.snapshot_path(1), trained()[0])


def test_weights_come_back_to_the_last_bit(kept):
    directory, digest = kept
    network, _ = trained(seed=1)
    load_weights(directory, 1, network, digest)
    for name, tensor in trained()[0].state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert network.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert hashlib.sha256(directory.snapshot_path(1).read_bytes()).hexdigest() == digest


def loading(directory, digest, name="resnet-8"):
    with pytest.raises(UserError) as caught:
        load_weights(directory, 1, trained(name=name)[0], digest)
    return str(caught.value)


def test_weights_that_are_not_there(kept):
    directory, digest = kept
    path = directory.snapshot_path(1)
    path.unlink()
    again = f"delete {directory.path} and train it again"
    assert loading(directory, digest) == f"{path}: the weights of this snapshot were not kept; {again}"


DAMAGES = {
    "empty": lambda data: b"",
    "a part of its length": lambda data: data[:7],
    "truncated": lambda data: data[:-1],
    "a header longer than the file": lambda data: (2**40).to_bytes(8, "little") + data[8:],
    "a header of 2^64 bytes": lambda data: b"\xff" * 8 + data[8:],
    "a tensor longer than the file": lambda data: data.replace(b'"data_offsets":[0,', b'"data_offsets":[9,', 1),
    "a tensor of another shape": lambda data: data.replace(b'"shape":[4]', b'"shape":[2]', 1),
    "torch": lambda data: torch_bytes({"a": torch.zeros(1)}),
    "a pickle": lambda data: pickle.dumps(Trap()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_broken_and_hostile_weights(kept, monkeypatch, tmp_path, damage):
    """Both when their hash tells, and when somebody has vouched for them."""
    monkeypatch.chdir(tmp_path)
    directory, digest = kept
    path = directory.snapshot_path(1)
    content = DAMAGES[damage](path.read_bytes())
    assert hashlib.sha256(content).hexdigest() != digest
    path.write_bytes(content)
    way_out = f"delete {directory.path} and train it again"
    assert loading(directory, digest) == f"{path}: differs from what the run wrote; {way_out}"
    vouched = hashlib.sha256(content).hexdigest()
    assert loading(directory, vouched) == f"{path}: not the weights of this network; {way_out}"
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network(kept):
    directory, digest = kept
    path = directory.snapshot_path(1)
    assert loading(directory, digest, name="resnet-14") == (
        f"{path}: not the weights of this network; delete {directory.path} and train it again"
    )


def test_a_state_that_is_too_large_is_not_read(saved, monkeypatch):
    monkeypatch.setattr("snapshot_cli.training.checkpoint.LARGEST", 10)
    assert refusal(saved) == f"{saved}: too large to be a state; delete {saved.parent} and train it again"
