import hashlib
import io
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import load, save

from snapshot_cli.errors import UserError
from snapshot_cli.networks import build
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import checkpoint
from snapshot_cli.training.checkpoint import Progress, load_weights, restore_state, save_state, save_weights


def trained(seed=0, steps=2, name="resnet-8"):
    """A network and its optimizer after some steps, so that there is momentum and there are statistics."""
    torch.manual_seed(seed)
    network = build(name, 4, 8).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    return network, optimizer


def progress():
    row = {
        "epoch": 1, "iteration": 5, "rate": 0.1 + 0.2, "train_loss": 1 / 3, "train_error": 50.0, "seconds": 2.5,
        "images_per_second": 40.0,
    }  # fmt: skip
    return Progress(8, ["5e" * 32], [row], torch.tensor([1.5, 0.1, 0.3, 0.0, 0.0]), torch.tensor(7), 1.25)


def restore(path, run_id, network, optimizer):
    return restore_state(path, run_id, network, optimizer, epoch_length=5, ends=[7, 14])


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "run/resume.pt"
    save_state(path, "tiny/run", progress(), *trained())
    return path


def refusal(path, run_id="tiny/run", name="resnet-8"):
    with pytest.raises(UserError) as caught:
        restore(path, run_id, *trained(seed=1, name=name))
    return str(caught.value)


def damaged(path):
    return f"{path}: damaged; delete {path.parent} and train it again"


def test_a_state_comes_back_to_the_last_bit(saved):
    expected_network, expected_optimizer = trained()
    network, optimizer = trained(seed=1, steps=0)
    found = restore(saved, "tiny/run", network, optimizer)
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
    assert (found.step, found.snapshots, found.rows, found.seconds) == (8, ["5e" * 32], progress().rows, 1.25)
    assert torch.equal(found.losses, progress().losses)
    assert torch.equal(found.wrong, progress().wrong)


def test_without_a_state_a_run_is_fresh(tmp_path):
    found = restore(tmp_path / "resume.pt", "tiny/run", *trained())
    assert (found.step, found.rows, found.seconds) == (0, [], 0.0)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/nowhere")])
def test_a_state_that_is_no_file_is_refused_and_not_taken_for_none(tmp_path, make):
    path = tmp_path / "resume.pt"
    make(path)
    with pytest.raises(UserError) as caught:
        restore(path, "tiny/run", *trained())
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


def forged(*keys, value):
    """The bytes of a state that is good but for one value, which a file with a right digest can hold as well."""
    network, optimizer = trained()
    state = {
        "version": 2, "run_id": "tiny/run", "network": network.state_dict(), "optimizer": optimizer.state_dict(),
        "progress": checkpoint._stored(progress()),
    }  # fmt: skip
    place = state
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return torch_bytes(state)


def truncated_inside():
    """A whole zip file whose pickle ends within a number."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torch_bytes({}))) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"\x80\x02X\x01" if name.endswith("data.pkl") else old.read(name))
    return file.getvalue()


MOMENTUM = ("optimizer", "state", 0, "momentum_buffer")
SHAPE = trained()[0].conv.weight.shape
FORGED = {
    "momentum of another shape": (*MOMENTUM, torch.zeros(3)),
    "momentum of another dtype": (*MOMENTUM, torch.zeros(SHAPE, dtype=torch.float64)),
    "momentum that is no tensor": (*MOMENTUM, "x"),
    "momentum that is None": (*MOMENTUM, None),
    "momentum of one parameter": ("optimizer", "state", {0: {"momentum_buffer": torch.zeros(SHAPE)}}),
    "momentum of none": ("optimizer", "state", {}),
    "momentum that is missing": ("optimizer", "state", 0, {}),
    "optimizer": ("optimizer", "x"),
    "network": ("network", {1: torch.zeros(3)}),
    "network without a tensor": ("network", {n: t for n, t in trained()[0].state_dict().items() if n != "conv.weight"}),
    "network with a tensor more": ("network", trained()[0].state_dict() | {"more": torch.zeros(3)}),
    **{f"iteration {value!r}": ("progress", "iteration", value) for value in ("x", 3.5, 8.0, True, -5, 0, 15, 2**64)},
    **{f"snapshots {value!r}": ("progress", "snapshots", value) for value in (5, [], [None], ["5e"] * 2)},
    **{f"rows {value!r}": ("progress", "rows", value) for value in ("x", 5, [], [5], [{}], progress().rows * 2)},
    **{
        f"{name} of a row {value!r}": ("progress", "rows", 0, name, value)
        for name, value in [("seconds", "x"), ("seconds", 10**309), ("rate", float("nan")), ("more", 1.0)]
    },
    **{
        f"seconds {value!r}": ("progress", "seconds", value)
        for value in ("x", -1.0, float("nan"), float("inf"), torch.zeros(3))
    },
    "losses": ("progress", "losses", "x"),
    "losses of another shape": ("progress", "losses", torch.zeros(4)),
    "losses of another dtype": ("progress", "losses", torch.zeros(5, dtype=torch.int64)),
    "losses that are not finite": ("progress", "losses", torch.full((5,), torch.nan)),
    "wrong": ("progress", "wrong", 7),
    "wrong of another shape": ("progress", "wrong", torch.zeros(2, dtype=torch.int64)),
    "wrong of another dtype": ("progress", "wrong", torch.tensor(7.0)),
    "wrong below zero": ("progress", "wrong", torch.tensor(-7)),
}
HOSTILE = {
    **{kind: forged(*keys, value=value) for kind, (*keys, value) in FORGED.items()},
    "truncated inside": truncated_inside(),
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


def test_the_rates_and_layouts_of_a_state_are_not_taken_over(saved):
    """A group without momentum, and a buffer of one number under a whole tensor: fused SGD would write past its end."""
    saved.write_bytes(signed(forged("optimizer", "param_groups", value=[{"params": [], "lr": "x"}])))
    network, optimizer = trained(seed=1)
    restore(saved, "tiny/run", network, optimizer)
    assert [(group["lr"], group["momentum"]) for group in optimizer.param_groups] == [(0.1, 0.9)]
    saved.write_bytes(signed(forged(*MOMENTUM, value=torch.ones(1).expand(SHAPE))))
    restore(saved, "tiny/run", network, optimizer)
    momentum = optimizer.state[network.conv.weight]["momentum_buffer"]
    assert torch.equal(momentum, torch.ones(SHAPE))
    assert momentum.stride() == network.conv.weight.stride()


def test_a_state_without_momentum(tmp_path):
    network, _ = trained()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, fused=True)
    optimizer.step()
    save_state(tmp_path / "resume.pt", "tiny/run", progress(), network, optimizer)
    assert restore(tmp_path / "resume.pt", "tiny/run", network, optimizer).step == 8


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
    "without a tensor": lambda data: save({n: t for n, t in load(data).items() if n != "conv.weight"}),
    "with a tensor more": lambda data: save(load(data) | {"more": torch.zeros(1)}),
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
    remedy = f"delete {directory.path} and train it again"
    assert loading(directory, digest) == f"{path}: differs from what the run wrote; {remedy}"
    vouched = hashlib.sha256(content).hexdigest()
    assert loading(directory, vouched) == f"{path}: not the weights of this network; {remedy}"
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network(kept):
    directory, digest = kept
    path = directory.snapshot_path(1)
    assert loading(directory, digest, name="resnet-14") == (
        f"{path}: not the weights of this network; delete {directory.path} and train it again"
    )


def test_a_state_that_is_too_large_is_not_read(saved, monkeypatch):
    monkeypatch.setattr("snapshot_cli.training.checkpoint.MAX_BYTES", 10)
    assert refusal(saved) == f"{saved}: too large to be a checkpoint; delete {saved.parent} and train it again"


LENGTH, ENDS = 5, [7, 14]  # steps of an epoch, and those of the snapshots


def reached(step, **changes):
    """The progress of a run after a step."""
    epochs = 3 if step == 14 else step // LENGTH
    row = progress().rows[0]
    values = {
        "snapshots": ["5e" * 32] * sum(end <= step for end in ENDS), "rows": [row] * epochs, "seconds": 0.0,
        "losses": torch.zeros(LENGTH), "wrong": torch.tensor(0),
    }  # fmt: skip
    return {"iteration": step, **values, **changes}


@pytest.mark.parametrize("step", range(1, 15))
def test_every_step_of_a_run_can_be_resumed_and_only_with_its_epochs_and_snapshots(step):
    found = reached(step)
    assert checkpoint._progress(found, LENGTH, ENDS).step == step
    wrong = [
        {"iteration": float(step)},
        {"iteration": 15},
        {"iteration": 0, "snapshots": [], "rows": []},
        {"snapshots": [*found["snapshots"], "5e" * 32]},
        {"rows": [*found["rows"], *progress().rows]},
        {"snapshots": found["snapshots"][1:]} if found["snapshots"] else {"snapshots": [1]},
        {"rows": found["rows"][1:]} if found["rows"] else {"rows": [{}]},
        {"seconds": -1.0},
        {"wrong": torch.tensor(-1)},
        {"wrong": torch.tensor(0.0)},
        {"losses": torch.full([LENGTH], torch.nan)},
    ]
    for changes in wrong:
        with pytest.raises(ValueError, match=r"step of the run|progress of a run|tensor of this shape"):
            checkpoint._progress(found | changes, LENGTH, ENDS)


def test_weights_under_two_names_are_saved_under_both():
    network = torch.nn.Module()
    network.one = torch.nn.Linear(2, 2, bias=False)
    network.other = network.one
    found = checkpoint.tensors(network)
    assert torch.equal(found["one.weight"], found["other.weight"])
    assert found["one.weight"].data_ptr() != found["other.weight"].data_ptr()
    assert found["one.weight"].data_ptr() == network.one.weight.data_ptr()


def test_an_epoch_begins_with_nothing_and_records_what_it_is_given():
    epoch = progress()
    epoch.record(torch.ones(5), torch.tensor(3), 7.5)
    assert (epoch.losses.tolist(), int(epoch.wrong), epoch.seconds) == ([1.0] * 5, 3, 7.5)
    epoch.begin_epoch(4)
    assert (epoch.losses.tolist(), int(epoch.wrong), epoch.seconds) == ([0.0] * 4, 0, 0.0)
    assert (epoch.step, epoch.rows) == (8, progress().rows)
