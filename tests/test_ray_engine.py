import json
import os
import shutil
import signal
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import STUDY, snapshot, write
from silent import Silent

from snapshot_cli import lock
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import in_process, ray_engine, ray_task
from snapshot_cli.run_directory import RunDirectory

STORE = 80_000_000
NEVER = {"jobs": None, "per_gpu": None, "stop": lambda: False}


class Noted:
    """A progress that notes what it is told, and does something whenever it is to look."""

    def __init__(self, refresh=lambda: None):
        self.told, self.refresh = [], refresh

    def started(self, run):
        self.told.append(("started", run.seed))

    def ended(self, run, outcome, words=""):
        self.told.append((outcome, run.seed))


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of processes on this machine; a node has no room for runs unless it is given some."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    yield started
    started.shutdown()


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError) as caught, ray_engine.connected(None):
        pass
    assert str(caught.value) == "--engine ray: Ray is not installed here; type: pip install 'snapshot-cli[ray]'"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("foo", "expected auto or HOST:PORT, such as 10.0.0.1:6379"),
        ("foo:bar", "expected auto or HOST:PORT, such as 10.0.0.1:6379"),
        ("foo:99999", "expected auto or HOST:PORT, such as 10.0.0.1:6379"),
        (
            "127.0.0.1:1",
            "no answer (Connection refused); the address is what ray start --head printed",
        ),
    ],
)
def test_addresses_where_nobody_is(address, message):
    pytest.importorskip("ray")
    with pytest.raises(ConfigError) as caught, ray_engine.connected(address):
        pass
    assert str(caught.value) == f"--address {address}: {message}"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (None, "--engine ray: Ray does not start here: no room in /dev/shm"),
        ("auto", "--address auto: no Ray cluster is running; start one with: ray start --head, or leave --address out"),
        (
            "10.0.0.1:6379",
            "--address 10.0.0.1:6379: Ray cannot join the cluster (no room in /dev/shm); type the command on one of "
            "its hosts",
        ),
    ],
)
@pytest.mark.parametrize("kind", [ConnectionError, ValueError, RuntimeError])
def test_ray_that_does_not_start_or_is_not_found(monkeypatch, address, message, kind):
    ray = pytest.importorskip("ray")

    def init(**options):
        raise kind("no room in /dev/shm")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray_engine, "_check_reachable", lambda address: None)
    with pytest.raises(ConfigError) as caught, ray_engine.connected(address):
        pass
    assert str(caught.value) == message


@pytest.mark.parametrize(("address", "expected"), [(None, "local"), ("auto", "auto")])
def test_ray_is_left_whatever_happens(monkeypatch, address, expected):
    ray, calls = pytest.importorskip("ray"), []
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(options["address"]))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("shutdown"))
    with pytest.raises(KeyboardInterrupt), ray_engine.connected(address):
        raise KeyboardInterrupt
    assert calls == [expected, "shutdown"]


def test_the_command_line_ends_with_2_and_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    write(tmp_path / "study.yaml", STUDY)
    code, _, errors = snapshot("reproduce", "study.yaml", "--engine", "ray", "--device", "cpu")
    assert (code, errors.splitlines()[1:]) == (
        2, ["--engine ray: Ray is not installed here; type: pip install 'snapshot-cli[ray]'"]
    )  # fmt: skip


HEAD, NODE, GPUS = {"memory": 1.0}, {"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("machine", "nodes", "per_gpu", "expected"),
    [
        ({}, [HEAD, NODE], None, {"num_cpus": 1}),
        ({"threads": 4}, [HEAD, NODE], None, {"num_cpus": 4}),
        ({}, [NODE, GPUS], None, {"num_gpus": 1.0, "num_cpus": 0}),
        ({"device": "cuda", "threads": 9}, [NODE, GPUS], 4, {"num_gpus": 0.25, "num_cpus": 0}),
        ({"device": "cpu"}, [NODE, GPUS], None, {"num_cpus": 1}),
    ],
)
def test_what_a_run_gets(machine, nodes, per_gpu, expected):
    assert ray_engine.resources(Machine(Path(), Path(), **machine), nodes, per_gpu) == expected


@pytest.mark.parametrize(
    ("machine", "nodes", "per_gpu", "message"),
    [
        (
            {"device": "cuda"}, [NODE], None,
            "--device cuda: the Ray cluster has no GPU; use --device cpu, or --device auto",
        ),
        ({}, [NODE], 4, "--per-gpu 4: the runs are trained on CPUs; use --jobs N"),
        ({"device": "cpu"}, [GPUS], 4, "--per-gpu 4: the runs are trained on CPUs; use --jobs N"),
        ({"threads": 5}, [HEAD, NODE], None, "--threads 5: no node of the Ray cluster has more than 4 CPUs"),
        ({}, [HEAD], None, "--engine ray: no node of the cluster has a CPU for runs; start one with: ray start"),
        ({}, [], None, "--engine ray: no node of the cluster has a CPU for runs; start one with: ray start"),
    ],
)  # fmt: skip
def test_what_no_node_has(machine, nodes, per_gpu, message):
    with pytest.raises(ConfigError) as caught:
        ray_engine.resources(Machine(Path(), Path(), **machine), nodes, per_gpu)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("room", "most", "expected"),
    [
        ({"num_cpus": 1}, 99, {"a": 16, "b": 8}),
        ({"num_cpus": 3}, 99, {"a": 5, "b": 2}),
        ({"num_cpus": 1}, 4, {"a": 4, "b": 4}),
        ({"num_gpus": 1.0, "num_cpus": 0}, 99, {"a": 2}),
        ({"num_gpus": 1 / 49, "num_cpus": 0}, 99, {"a": 98}),
    ],
)
def test_how_many_runs_go_side_by_side_on_a_host(room, most, expected):
    """Host b has two nodes, as of a cluster for tests."""
    has = [("c", HEAD), ("a", GPUS), ("b", NODE), ("b", NODE)]
    nodes = [{"NodeManagerHostname": host, "Resources": resources} for host, resources in has]
    assert ray_engine.runs_per_host(nodes, room, most=most) == expected


@pytest.mark.timeout(900)
def test_eight_runs_on_four_gpus_two_on_each(cluster, tmp_path, tiny_run, monkeypatch):
    """The work is a stand-in that waits for the other seven, so that all eight must run at once."""

    def work(task):
        (tmp_path / f"{task.run.seed}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
        end = time.monotonic() + 600
        while len(list(tmp_path.glob("[0-7]"))) < 8 and time.monotonic() < end:
            time.sleep(0.05)
        return 0 if task.on_gpu and time.monotonic() < end else 1, {}

    monkeypatch.setattr(ray_task, "work", work)
    cluster.add_node(num_cpus=1, num_gpus=4, object_store_memory=STORE)
    runs, progress = [tiny_run(seed=seed) for seed in range(8)], Noted()
    with ray_engine.connected(cluster.address):
        failures = ray_engine.train_all(
            runs, Machine(tmp_path, tmp_path / "results"), (), progress=progress, **NEVER | {"per_gpu": 2}
        )
    assert failures == []
    assert sorted(path.read_text() for path in tmp_path.glob("[0-7]")) == ["0", "0", "1", "1", "2", "2", "3", "3"]
    assert sorted(progress.told) == sorted([(word, seed) for word in ("started", "done") for seed in range(8)])
    assert list((tmp_path / "results").iterdir()) == []


def test_what_comes_back_of_a_task(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "get", lambda reference: reference)
    assert ray_engine._result((3, {"log.txt": b"words"}), tmp_path) == 3
    assert (tmp_path / "log.txt").read_bytes() == b"words"
    assert ray_engine._result((0, {"log.txt/x": b""}), tmp_path) == f"{tmp_path}/log.txt: File exists"


def test_why_nothing_comes_back_of_a_task(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    lost = ray.exceptions.RayTaskError("work", "Traceback\n  far", ray_task.Lost("killed by signal 9"))

    def get(error):
        raise error

    monkeypatch.setattr(ray, "get", get)
    assert ray_engine._result(lost, tmp_path) == "killed by signal 9"
    assert ray_engine._result(ray.exceptions.WorkerCrashedError(), tmp_path).startswith("The worker died unexpectedly")
    wordless = ray.exceptions.RayTaskError("work", "Traceback\n  far", MemoryError())
    assert ray_engine._result(wordless, tmp_path) == "MemoryError"


def test_a_run_has_begun_when_its_lock_is_held(tmp_path, tiny_run):
    run, told, progress, machine = tiny_run(), set(), Noted(), Machine(tmp_path, tmp_path)
    ray_engine._report_started([run], told, machine, progress)
    process = os.spawnlp(os.P_NOWAIT, "true", "true")
    os.waitpid(process, 0)
    folder = RunDirectory.of(run, tmp_path).path
    folder.mkdir(parents=True)
    of_the_dead = {"pid": process, "host": socket.gethostname(), "since": "then"}
    (folder / lock.FILE_NAME).write_text(json.dumps(of_the_dead))
    ray_engine._report_started([run], told, machine, progress)
    assert progress.told == []
    with lock.hold(folder):
        ray_engine._report_started([run], told, machine, progress)
    ray_engine._report_started([run], told, machine, progress, ended=True)
    assert progress.told == [("started", 0)]


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def breaking(directory, breaks):
    """Return what a progress calls when it looks: `breaks` of the training's process, once, after some epochs."""
    broken = []

    def look():
        holder = lock.holder(directory.path)
        if not broken and holder is not None and len(directory.metrics()) >= 3:
            broken.append(directory.metrics()[-2]["iteration"])  # the state of the last epoch may not be saved yet
            breaks(holder.pid)

    return look, broken


def assert_same_and_resumed(directory, run, tiny_data, tmp_path, broken):
    unbroken = in_process.train(run, Machine(tiny_data, tmp_path / "unbroken", "cpu", 1), callback=Silent())
    assert directory.status == "done"
    for kind in ("snapshots/1.safetensors", "snapshots/2.safetensors", "predictions/test-2.npy"):
        assert (directory.path / kind).read_bytes() == (unbroken.path / kind).read_bytes()
    words = [line.split() for line in (directory.path / "log.txt").read_text().splitlines()]
    assert [int(line[3]) for line in words if line[:3] == ["going", "on", "after"]][-1] >= broken[0]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", ["worker", "training"])
def test_a_process_killed_is_tried_again_and_ends_with_the_same_bytes(cluster, tiny_data, tmp_path, tiny_run, victim):
    run = tiny_run(budget=40)
    machine = Machine(tiny_data, tmp_path / "results", "cpu", 1, 0)
    directory = RunDirectory.of(run, machine.results)
    look, broken = breaking(directory, lambda pid: os.kill(parent(pid) if victim == "worker" else pid, signal.SIGKILL))
    progress = Noted(look)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    with ray_engine.connected(cluster.address):
        assert ray_engine.train_all([run], machine, (), progress=progress, **NEVER) == []
    assert progress.told == [("started", 0), ("done", 0)]
    assert_same_and_resumed(directory, run, tiny_data, tmp_path, broken)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_removed_costs_only_the_work_since_the_last_state(cluster, tiny_data, tmp_path, tiny_run):
    run = tiny_run(budget=40)
    machine = Machine(tiny_data, tmp_path / "results", "cpu", 1, 0)
    directory = RunDirectory.of(run, machine.results)
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]

    def remove(pid):
        raylet = {node.all_processes["raylet"][0].process.pid: node for node in nodes}
        cluster.remove_node(raylet[parent(parent(pid))], allow_graceful=False)

    look, broken = breaking(directory, remove)
    with ray_engine.connected(cluster.address):
        assert ray_engine.train_all([run], machine, (), progress=Noted(look), **NEVER) == []
    assert_same_and_resumed(directory, run, tiny_data, tmp_path, broken)
    assert len(cluster.worker_nodes) == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_stop_lets_trainings_save_their_state(cluster, tiny_data, tmp_path, tiny_run):
    machine = Machine(tiny_data, tmp_path / "results", "cpu", 1, 0)
    run, progress = tiny_run(budget=400), Noted()
    directory = RunDirectory.of(run, machine.results)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    wishes = NEVER | {"stop": lambda: len(directory.metrics()) >= 1}
    with ray_engine.connected(cluster.address):
        assert ray_engine.train_all([run], machine, (), progress=progress, **wishes) == []
    assert progress.told == [("started", 0), ("stopped", 0)]
    assert directory.resume_path.is_file()
    assert lock.holder(directory.path) is None
    assert "stopped after" in (directory.path / "log.txt").read_text().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_node_without_the_shared_folder_trains_is_brought_back(
    cluster, tiny_data, tmp_path, tiny_run, monkeypatch
):
    """The node is given another folder, in which there is no marker of the driver's."""
    machine, run = Machine(tiny_data, tmp_path / "results", "cpu", 1), tiny_run(cycles=2)
    real, node = ray_task.work, tmp_path / "node"

    def work(task):
        return real(replace(task, machine=replace(task.machine, results=node), marker=node / "marker"))

    monkeypatch.setattr(ray_task, "work", work)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    with ray_engine.connected(cluster.address):
        assert ray_engine.train_all([run], machine, (), progress=Noted(), **NEVER) == []
        trained = RunDirectory.of(run, machine.results).summary
        shutil.rmtree(node)  # another node computes the lines
        assert ray_engine.train_all([run], machine, ["--interpolate"], progress=Noted(), **NEVER) == []
    brought = RunDirectory.of(run, machine.results)
    assert brought.verify() == ([], [])
    assert brought.has_interpolation
    assert brought.summary["seconds"] == trained["seconds"]
    assert (brought.path / "log.txt").is_file()
    assert not (brought.path / ".lock").exists()
