import errno
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from snapshot_cli import lock
from snapshot_cli.config import load, plan
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import failure, slots, train_process
from snapshot_cli.launch.failure import Failure
from snapshot_cli.run_directory import RunDirectory

KILLED = """\
title: Killed
base: {dataset: tiny, network: resnet-8, budget: 12, batch_size: 1, cycles: 1}
methods: [single]
render: {table: methods}
"""


class Noted:
    """A progress table that notes what it is told."""

    def __init__(self):
        self.told, self.running, self.most = [], 0, 0

    def started(self, run):
        self.told.append(("started", run.seed))
        self.running += 1
        self.most = max(self.most, self.running)

    def ended(self, run, outcome, words=""):
        self.told.append((outcome, run.seed))
        self.running -= 1

    def refresh(self):
        pass


def fake(monkeypatch, script):
    """Let every run be a process of `script`, which knows its run's number as `seed`; return their arguments."""
    started = []

    class Fake:
        """A worker that needs no torch."""

        def __init__(self, variables):
            self.variables = variables

        def start(self, arguments, directory):
            command = [sys.executable, "-S", "-c", f"seed = {len(started)}\n{script}"]
            with train_process.open_log(directory) as log:
                started.append(arguments)
                self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | self.variables)
            self.ended = os.pidfd_open(self.process.pid)

        def fileno(self):
            return self.ended

        def poll(self):
            code = self.process.wait()
            os.close(self.ended)
            return code

        def terminate(self):
            self.process.terminate()

        def close(self):
            pass

    monkeypatch.setattr(slots, "Worker", Fake)
    monkeypatch.setattr(slots, "POLL_SECONDS", 0.02)
    return started


@pytest.mark.parametrize(
    ("gpus", "jobs", "per_gpu", "runs", "expected"),
    [
        ([], 3, None, 9, ["", "", ""]),
        ([], 8, None, 2, ["", ""]),
        ([], None, None, 1, [""]),
        (["0", "1"], None, None, 1, ["0"]),
        ([], None, None, 9, ["", "", ""]),
        (["0"], None, None, 9, ["0"]),
        (["0"], 2, None, 9, ["0", "0"]),
        (["4", "6"], None, None, 9, ["4", "6"]),
        (["4", "6"], None, 2, 9, ["4", "6", "4", "6"]),
        (["4", "6"], 3, 2, 9, ["4", "6", "4"]),
    ],
)
def test_slots_go_round_the_gpus(monkeypatch, gpus, jobs, per_gpu, runs, expected):
    monkeypatch.setattr(slots, "processors", lambda: 3)
    assert slots.slot_gpus(gpus, jobs=jobs, per_gpu=per_gpu, runs=runs) == expected


@pytest.mark.parametrize(
    ("gpus", "message"),
    [
        ([], "--per-gpu 2: the runs are trained on the CPU here; use --jobs N"),
        (["0"], "--jobs 5: 1 GPU with --per-gpu 2 have room for 2"),
        (["0", "1"], "--jobs 5: 2 GPUs with --per-gpu 2 have room for 4"),
    ],
)
def test_slots_that_are_not_there(gpus, message):
    with pytest.raises(ConfigError) as caught:
        slots.slot_gpus(gpus, jobs=5, per_gpu=2, runs=9)
    assert str(caught.value) == message


def test_every_slot_has_its_gpu_and_its_threads(monkeypatch, tmp_path, tiny_run):
    fake(
        monkeypatch,
        "import os, pathlib, time\n"
        "print(*map(os.environ.get, ('CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS')))\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "(here / str(seed)).touch()\n"
        "while not (here / str(seed ^ 1)).exists():\n    time.sleep(0.01)",  # both slots are taken at the same time
    )
    runs = [tiny_run(seed=seed) for seed in range(4)]
    machine = Machine(tmp_path, tmp_path, threads=3)
    slots.train_all(runs, machine, dict.fromkeys(runs, ()), gpus=["4", "6"], progress=Noted(), stop=lambda: False)
    said = [(RunDirectory.of(run, tmp_path).path / "log.txt").read_text().split() for run in runs]
    assert sorted(gpu for gpu, *_ in said) == ["4", "4", "6", "6"]
    assert [words[1:] for words in said] == [["3"]] * 4


def test_a_failure_is_reported_with_its_log_and_stops_no_other(monkeypatch, tmp_path, tiny_run):
    started = fake(monkeypatch, "import sys; print('words'); print(f'last {seed}'); sys.exit(seed == 1)")
    runs, progress = [tiny_run(seed=seed) for seed in range(3)], Noted()
    failures = slots.train_all(
        runs,
        Machine(Path("D"), tmp_path, "cpu"),
        {run: ["F"] for run in runs},
        gpus=[""] * 2,
        progress=progress,
        stop=lambda: False,
    )
    log = RunDirectory.of(runs[1], tmp_path).path / "log.txt"
    assert failures == [Failure(runs[1].run_id, "last 1", log.parent)]
    assert log.read_text() == "words\nlast 1\n"
    assert sorted(progress.told) == [
        ("done", 0), ("done", 2), ("failed", 1), ("started", 0), ("started", 1), ("started", 2),
    ]  # fmt: skip
    threads = str(max(1, processors() // 2))
    assert started[0] == [
        "train", "F", "--run", runs[0].run_id,
        "--data-dir", "D", "--results-dir", str(tmp_path), "--device", "cpu",
        "--threads", threads, "--workers", threads,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("jobs", "machine", "expected"),
    [(2, {}, ["4", "4"]), (16, {}, ["1", "1"]), (2, {"threads": 3}, ["3", "4"]), (2, {"workers": 0}, ["4", "0"])],
)
def test_slots_share_the_processors(monkeypatch, tmp_path, tiny_run, jobs, machine, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    started, run = fake(monkeypatch, ""), tiny_run()
    machine = Machine(tmp_path, tmp_path, **machine)
    slots.train_all([run], machine, {run: ()}, gpus=[""] * jobs, progress=Noted(), stop=lambda: False)
    assert [started[0][started[0].index(word) + 1] for word in ("--threads", "--workers")] == expected


def test_the_deterministic_mode_is_passed_on(monkeypatch, tmp_path, tiny_run):
    started, run = fake(monkeypatch, ""), tiny_run()
    machine = Machine(tmp_path, tmp_path, deterministic=True)
    slots.train_all([run], machine, {run: ()}, gpus=[""], progress=Noted(), stop=lambda: False)
    assert "--deterministic" in started[0]


@pytest.mark.parametrize("jobs", [1, 2, 9])
def test_no_more_at_once_than_there_are_slots(monkeypatch, tmp_path, tiny_run, jobs):
    fake(monkeypatch, "import time; time.sleep(0.2)")
    progress = Noted()
    runs = [tiny_run(seed=seed) for seed in range(3)]
    assert not slots.train_all(
        runs,
        Machine(tmp_path, tmp_path),
        {run: [] for run in runs},
        gpus=[""] * jobs,
        progress=progress,
        stop=lambda: False,
    )
    assert progress.most == min(jobs, 3)
    assert [seed for word, seed in progress.told if word == "started"] == [0, 1, 2]


def test_a_stop_ends_the_running_and_starts_no_other(monkeypatch, tmp_path, tiny_run):
    fake(monkeypatch, "import time; time.sleep(60)")
    progress = Noted()
    runs = [tiny_run(seed=seed) for seed in range(3)]
    failures = slots.train_all(
        runs,
        Machine(tmp_path, tmp_path),
        dict.fromkeys(runs, ()),
        gpus=[""],
        progress=progress,
        stop=lambda: bool(progress.told),
    )
    assert failures == []
    assert progress.told == [("started", 0), ("stopped", 0)]


def test_a_process_that_is_killed(monkeypatch, tmp_path, tiny_run):
    fake(monkeypatch, "import os; print(1); os.kill(os.getpid(), 9)")
    run = tiny_run()
    failures = slots.train_all(
        [run], Machine(tmp_path, tmp_path), {run: []}, gpus=[""], progress=Noted(), stop=lambda: False
    )
    directory = RunDirectory.of(run, tmp_path).path
    assert failures == [Failure(run.run_id, "killed by signal 9", directory)]
    assert failure.read(directory) == "killed by signal 9"


def test_a_directory_that_cannot_be_made_stops_no_other(monkeypatch, tmp_path, tiny_run):
    fake(monkeypatch, "pass")
    runs, progress = [tiny_run(seed=seed) for seed in range(2)], Noted()
    path = RunDirectory.of(runs[0], tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_text("a file")
    failures = slots.train_all(
        runs, Machine(tmp_path, tmp_path), dict.fromkeys(runs, ()), gpus=[""], progress=progress, stop=lambda: False
    )
    assert failures == [Failure(runs[0].run_id, f"{path}: File exists", RunDirectory.of(runs[0], tmp_path).path)]
    assert progress.told == [("failed", 0), ("started", 1), ("done", 1)]


def test_a_process_that_cannot_be_started_is_told_without_a_name_of_a_file(monkeypatch, tmp_path, tiny_run):
    def popen(command, **options):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", popen)
    runs = [tiny_run(seed=seed) for seed in range(2)]
    slots.train_all(
        runs, Machine(tmp_path, tmp_path), dict.fromkeys(runs, ()), gpus=[""], progress=Noted(), stop=lambda: False
    )
    for run in runs:
        assert failure.read(RunDirectory.of(run, tmp_path).path) == "Resource temporarily unavailable"


def test_leaving_at_once_asks_the_trainings_to_stop(monkeypatch, tmp_path, tiny_run):
    """As a second Ctrl-C does, which raises KeyboardInterrupt wherever the program is."""
    fake(monkeypatch, "import time; time.sleep(60)")
    made = []

    class Kept(slots.Worker):
        def __init__(self, variables):
            super().__init__(variables)
            made.append(self)

    monkeypatch.setattr(slots, "Worker", Kept)

    class Impatient(Noted):
        def refresh(self):
            raise KeyboardInterrupt

    run = tiny_run()
    with pytest.raises(KeyboardInterrupt):
        slots.train_all(
            [run], Machine(tmp_path, tmp_path), {run: ()}, gpus=[""], progress=Impatient(), stop=lambda: False
        )
    assert made[0].process.wait(10) == -signal.SIGTERM


ALONE = """\
import sys
from snapshot_cli import cli, fork_server
fork_server.preload()
before = set(sys.modules)
try:
    cli.main(sys.argv[1:])
finally:
    print(*sorted(name for name in set(sys.modules) - before if name.startswith("torch")), file=sys.stderr)
"""


def test_runs_of_one_slot_end_as_runs_of_processes_of_their_own_beside_one_that_fails(tiny_data, tmp_path):
    """Bit for bit, with dropout, of the seed's own; the process of the slot has imported all that a training needs."""
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "dataset: tiny\nnetwork: resnet-8\nmethod: ensemble\nbudget: 1\nbatch_size: 16\ncycles: 3\ndropout: 0.2\n"
    )
    runs = plan.runs(load.load(file, (), training_examples={"tiny": 90}))
    machine = Machine(tiny_data, tmp_path / "results", "cpu", 1)
    # the second has a snapshot's place taken by a folder, so it cannot end well
    blocked = RunDirectory.of(runs[1], machine.results)
    blocked.snapshot_path(1).mkdir(parents=True)
    failures = slots.train_all(
        runs,
        machine,
        {run: [str(file)] for run in runs},
        gpus=[""],
        progress=Noted(),
        stop=lambda: False,
    )
    assert blocked.status == "partial"
    assert [(failure.run_id, failure.see) for failure in failures] == [
        (runs[1].run_id, f" (see {blocked.path}/log.txt)")
    ]
    alone = replace(machine, results=tmp_path / "alone")
    words = train_process.arguments(runs[2], alone, [str(file)])
    done = subprocess.run([sys.executable, "-c", ALONE, *words], capture_output=True, text=True, check=True)
    assert set(done.stderr.splitlines()[-1].split()) <= {
        "torch.utils.serialization",
        "torch.utils.serialization.config",
    }
    for name in ("snapshots", "predictions"):
        for path in (RunDirectory.of(runs[2], alone.results).path / name).iterdir():
            assert (RunDirectory.of(runs[2], machine.results).path / name / path.name).read_bytes() == path.read_bytes()


def test_a_driver_killed_loses_nothing(tiny_data, tmp_path):
    """Its training saves its state and ends, and the same command goes on from exactly there."""
    file = tmp_path / "tiny.yaml"
    file.write_text(KILLED)
    (run,) = plan.runs(load.load(file, (), training_examples={"tiny": 90}))
    directory = RunDirectory.of(run, tmp_path / "results")
    log = directory.path / "log.txt"
    words = [sys.executable, "-m", "snapshot_cli", "reproduce", file, "--data-dir", tiny_data, "--device", "cpu"]
    words += ["--threads", "1", "--results-dir", tmp_path / "results"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        while not directory.resume_path.exists():
            assert driver.poll() is None
            time.sleep(0.01)
        driver.kill()
    while not (stopped := re.search(r"stopped after (\d+) steps", log.read_text())):  # its last words
        assert directory.status != "done"
        time.sleep(0.01)
    said, steps = log.read_text().splitlines(), int(stopped[1])
    assert 90 <= steps < 1080
    assert directory.status == "partial"
    assert lock.holder(directory.path) is None
    subprocess.run(words, check=True, capture_output=True)
    assert f"resuming after step {steps} of 1080" in log.read_text().splitlines()[len(said) :]
    assert directory.status == "done"
    assert directory.verify() == ([], [])
