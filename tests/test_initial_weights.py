"""Weights to start from: how a file is named, found again, and taken over."""

import io
import re

import pytest
import torch
import yaml
from command_line import snapshot, write
from safetensors.torch import load_file, save, save_file
from silent import Silent
from torch import nn

from snapshot_cli.config import weights_file
from snapshot_cli.config.load import load
from snapshot_cli.config.machine import Machine
from snapshot_cli.config.plan import runs
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.launch import in_process, ray_engine, ray_task, train_process
from snapshot_cli.networks import build
from snapshot_cli.training import initial_weights

SETTINGS = {"dataset": "tiny", "network": "resnet-8", "method": "snapshot", "budget": 1, "cycles": 2}


def trained_weights(path, *, network="resnet-8", classes=4, seed=7, change=lambda state: state):
    """Write the weights of a network of another seed and return them."""
    torch.manual_seed(seed)
    weights = change(build(network, classes, 8).state_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return weights


def fitted(weights, *, network="resnet-8", classes=4):
    torch.manual_seed(0)
    found = build(network, classes, 8)
    fit = initial_weights.fit(found, weights, classes)
    initial_weights.start(found, weights, classes)
    return found.state_dict(), fit


def test_the_path_is_relative_to_the_file_and_no_part_of_the_run(tmp_path, monkeypatch):
    trained_weights(tmp_path / "configs/w.safetensors")
    trained_weights(tmp_path / "elsewhere/same.safetensors")
    first = write(tmp_path / "configs/a.yaml", SETTINGS | {"initial_weights": "w.safetensors"})
    monkeypatch.chdir(tmp_path)
    second = write(tmp_path / "b.yaml", SETTINGS)
    (run,) = runs(load(first))
    assert [run] == runs(load(second, ["initial_weights=elsewhere/same.safetensors"]))
    assert re.fullmatch("sha256:[0-9a-f]{64}", run.initial_weights)
    assert run.run_id != runs(load(second))[0].run_id
    assert [run] == runs(load(write(tmp_path / "c.yaml", SETTINGS | {"initial_weights": run.initial_weights})))


def test_a_path_that_leads_nowhere_has_its_place(tmp_path):
    file = write(tmp_path / "a.yaml", SETTINGS | {"initial_weights": "w.pt", "budget": 0})
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert str(raised.value).splitlines() == [
        f"{file}:4:1: budget: expected a whole number of at least 1, given 0",
        f"{file}:6:1: initial_weights: {tmp_path}/w.pt: cannot be read: No such file or directory",
    ]


def test_a_study_has_one_file_for_all_members(tmp_path):
    trained_weights(tmp_path / "w.safetensors")
    settings = {key: value for key, value in SETTINGS.items() if key != "method"}
    study = {"title": "A study", "base": settings | {"initial_weights": "w.safetensors"}}
    asked = load(write(tmp_path / "s.yaml", study | {"methods": ["singlecycle", "ensemble", "snapshot"]}))
    assert len({run.initial_weights for run in runs(asked)}) == 1
    assert len(runs(asked)) > 3


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "wrapped.pt", "parallel.pt"])
def test_all_that_fits_is_taken(name, tmp_path):
    def change(state):
        if name == "wrapped.pt":
            return {"epoch": 3, "state_dict": state}
        return {f"module.{key}": tensor for key, tensor in state.items()} if name == "parallel.pt" else state

    trained_weights(tmp_path / name, change=change)
    torch.manual_seed(7)
    wanted = build("resnet-8", 4, 8).state_dict()
    state, fit = fitted(initial_weights.read((tmp_path / name).read_bytes()))
    assert all(torch.equal(state[key], wanted[key]) for key in state)
    assert str(fit) == f"{len(wanted)} tensors taken"


def test_the_classifier_of_other_classes_stays_as_its_seed_made_it(tmp_path):
    weights = trained_weights(tmp_path / "w.safetensors", classes=7)
    state, fit = fitted(weights)
    torch.manual_seed(0)
    fresh = build("resnet-8", 4, 8).state_dict()
    assert torch.equal(state["classifier.weight"], fresh["classifier.weight"])
    assert torch.equal(state["conv.weight"], weights["conv.weight"])
    names = "classifier.weight, classifier.bias"
    assert str(fit) == f"{len(state) - 2} tensors taken, 2 left ({names}), 2 new ({names})"
    without = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    assert fitted(without)[1].left == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither a .safetensors file nor a .pt file of tensors alone"),
        (b"PK not a zip", "neither a .safetensors file nor a .pt file of tensors alone"),
        ("resnet-14", "they do not fit the network: stage1.1.conv1.weight is not among them"),
        ("wide-resnet-8-2", r"they do not fit the network: conv.weight has the shape \(32, 3, 3, 3\) and not \(16, "),
        ("densenet-7-2", r"they do not fit the network: norm.weight has the shape \(22,\) and not \(16,\)"),
        ("objects", "neither a .safetensors file nor a .pt file of tensors alone"),
        ("numbers", "not a mapping of names to tensors"),
        ("infinite", "conv.weight has values that are not finite"),
    ],
)
def test_files_that_are_refused_before_anything_is_written(content, words, tiny_run, tiny_data, tmp_path):
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content in ("objects", "numbers"):
        torch.save({"a": nn.Linear(1, 1) if content == "objects" else 3}, path)
    elif content == "infinite":
        trained_weights(path, change=lambda state: state | {"conv.weight": state["conv.weight"] / 0})
    else:
        trained_weights(path, network="resnet-8" if content == "resnet-14" else content)
    network = "resnet-14" if content == "resnet-14" else "resnet-8"
    run = tiny_run(network=network, initial_weights=weights_file.digest(path))
    with pytest.raises(UserError, match=f"^initial_weights: {path}: {words}"):
        in_process.train(run, Machine(tiny_data, tmp_path / "results", device="cpu"), callback=Silent())
    assert not (tmp_path / "results").exists()


def test_a_run_starts_there_and_says_so(tiny_data, tmp_path):
    weights = trained_weights(tmp_path / "w.safetensors", classes=9)
    file = write(tmp_path / "e.yaml", SETTINGS | {"initial_weights": "w.safetensors", "alpha0": 1e-30})
    words = ["--data-dir", tiny_data, "--results-dir", tmp_path / "results", "--device", "cpu"]
    code, _, errors = snapshot("train", file, *words)
    assert code == 0, errors
    digest = weights_file.digest(tmp_path / "w.safetensors")
    assert f"resnet-8 starts from {tmp_path}/w.safetensors: " in errors
    assert "2 new (classifier.weight, classifier.bias)" in errors
    (path,) = (tmp_path / "results/runs/tiny").iterdir()
    stored = load_file(path / "snapshots/1.safetensors")
    assert torch.equal(stored["conv.weight"], weights["conv.weight"])
    assert not torch.equal(stored["classifier.weight"][:4], weights["classifier.weight"][:4])
    assert yaml.safe_load((path / "config.yaml").read_text())["initial_weights"] == digest

    # the original may go: the folder of results has a copy for the run's own config.yaml
    (tmp_path / "w.safetensors").unlink()
    weights_file._paths.clear()
    (path / "done.json").unlink()
    for left in [*path.glob("snapshots/*"), *path.glob("predictions/*"), path / "manifest.json"]:
        left.unlink()
    code, _, errors = snapshot("train", path / "config.yaml", *words)
    assert code == 0, errors
    assert torch.equal(load_file(path / "snapshots/1.safetensors")["conv.weight"], weights["conv.weight"])


def test_weights_that_are_gone_or_changed(tiny_run, tiny_data, tmp_path):
    trained_weights(tmp_path / "w.pt")
    run = tiny_run(initial_weights=weights_file.digest(tmp_path / "w.pt"))
    (tmp_path / "w.pt").write_bytes(b"PK other")
    machine = Machine(tiny_data, tmp_path / "results", device="cpu")
    with pytest.raises(UserError, match=r"w\.pt: has changed: the run's initial weights have sha256:"):
        in_process.train(run, machine, callback=Silent())
    run = tiny_run(initial_weights=f"sha256:{'0' * 64}")
    with pytest.raises(
        UserError, match=r"^initial_weights: sha256:0+ is not in .*; name the file: --set initial_weigh"
    ):
        in_process.train(run, machine, callback=Silent())


def test_a_node_of_a_cluster_gets_them(tiny_run, tmp_path, monkeypatch):
    trained_weights(tmp_path / "w.pt")
    run = tiny_run(initial_weights=weights_file.digest(tmp_path / "w.pt"))
    machine, there = Machine(tmp_path, tmp_path / "here"), Machine(tmp_path, tmp_path / "there")
    nodes = [{"NodeManagerHostname": "far-away"}]
    content = ray_engine._initial_weights(run, machine, nodes)
    assert content == (tmp_path / "w.pt").read_bytes()
    nodes = [{"NodeManagerHostname": ray_engine.socket.gethostname()}]
    assert ray_engine._initial_weights(run, machine, nodes) is None
    assert weights_file.kept(run.initial_weights, machine.results).read_bytes() == content

    started = []
    monkeypatch.setattr(ray_task.train_process, "start", lambda words, *_: started.append(words))
    monkeypatch.setattr(ray_task, "_wait", lambda process: 0)
    task = ray_task.Task(
        run, there, (), on_gpu=False, marker=tmp_path / "no", runs_per_host={}, finished={},
        plugins=[("mine.py", b"NETWORKS = {}")], initial_weights=content,
    )  # fmt: skip
    assert ray_task.work(task)[0] == 0
    assert weights_file.kept(run.initial_weights, there.results).read_bytes() == content
    (words,) = started
    assert words[words.index("--plugin") + 1].endswith("/0/mine.py")
    assert train_process.arguments(run, machine, [])[0] == "train"


def test_other_forms_of_files(tmp_path):
    state = build("resnet-8", 4, 8).state_dict()
    old = io.BytesIO()
    torch.save(state, old, _use_new_zipfile_serialization=False)
    assert initial_weights.read(old.getvalue()).keys() == state.keys()
    short = save({"a": torch.zeros(1)}, {"note": ""})
    note = "x" * (int.from_bytes(b"PK", "little") - int.from_bytes(short[:8], "little"))
    content = save({"a": torch.zeros(1)}, {"note": note})
    assert content.startswith(b"PK")  # the length of its header, and how a zip begins
    assert list(initial_weights.read(content)) == ["a"]
    numbered = io.BytesIO()
    torch.save({1: torch.zeros(1)}, numbered)
    with pytest.raises(ValueError, match=r"^not a mapping of names to tensors$"):
        initial_weights.read(numbered.getvalue())
