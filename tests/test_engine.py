from contextlib import contextmanager
from pathlib import Path

import pytest

from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import ray_engine, slots
from snapshot_cli.launch.engine import Engine

BOARD = object()


def never():
    return False


@pytest.fixture
def called(monkeypatch):
    """What the engines are called with, instead of training."""
    found = []
    for module in (slots, ray_engine):
        monkeypatch.setattr(module, "train_all", lambda *a, **o: found.append((a, o)) or ["a line"])
    return found


def test_an_address_goes_with_ray():
    with pytest.raises(ConfigError) as caught:
        Engine(address="auto")
    assert str(caught.value) == "--address auto: goes with --engine ray"


@pytest.mark.parametrize(
    ("engine", "elsewhere"), [(Engine(), False), (Engine("ray"), False), (Engine("ray", address="auto"), True)]
)
def test_only_a_cluster_is_elsewhere(engine, elsewhere):
    assert engine.is_remote is elsewhere


@pytest.mark.parametrize(("name", "expected"), [("local", []), ("ray", [None])])
def test_only_ray_is_connected_to(monkeypatch, name, expected):
    addresses = []

    @contextmanager
    def connected(address):
        addresses.append(address)
        yield

    monkeypatch.setattr(ray_engine, "connected", connected)
    with Engine(name).connected():
        assert addresses == expected


def train_all(engine, runs, gpus):
    machine, asked = Machine(Path("D"), Path("R")), {run: [run.seed] for run in runs}
    failures = engine.train_all(runs, machine, asked, extra=["--interpolate"], gpus=gpus, progress=BOARD, stop=never)
    assert failures == ["a line"]
    return machine


def test_slots_are_told_where_each_run_is_to_be_found(called, tiny_run):
    runs = [tiny_run(seed=seed) for seed in (0, 1)]
    machine = train_all(Engine("local", 3, 2), runs, ["4", "6"])
    words = {run: [run.seed, "--interpolate"] for run in runs}
    assert called == [((runs, machine, words), {"gpus": ["4", "6"], "progress": BOARD, "stop": never})]


def test_ray_takes_the_runs_themselves_and_its_own_gpus(called, tiny_run):
    runs = [tiny_run()]
    machine = train_all(Engine("ray", 3, 2), runs, [])
    assert called == [
        ((runs, machine, ["--interpolate"]), {"jobs": 3, "per_gpu": 2, "progress": BOARD, "stop": never})
    ]  # fmt: skip
