import errno
import sys
from types import SimpleNamespace

import pytest
from command_line import snapshot

from snapshot_cli.config.machine import Machine
from snapshot_cli.launch import doctor
from snapshot_cli.launch.doctor import Finding

VERSIONS = {"torch": "2.14.1+cu130", "timm": "1.1.0.dev0", "click": "8.1", "numpy": "2.4.6"}


REAL = doctor._version


def test_versions_are_those_that_are_installed():
    assert REAL("click").startswith("8.")
    assert REAL("no-such-package") == ""


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: VERSIONS.get(name, ""))


def test_python():
    assert doctor.python((3, 11, 0)).state == "good"
    assert doctor.python((3, 10, 9)) == Finding(
        "Python", "missing", "3.10.9; 3.11 or newer is needed", "make PYTHON=python3.11 setup"
    )


def test_packages():
    assert list(doctor.packages(["torch>=2.10", "numpy>=2.0", 'rich>=1; extra == "more"'])) == [
        Finding("packages", "good", "all 2 required ones, with torch 2.14.1+cu130")
    ]
    assert list(doctor.packages(["torch>=2.10", "click>=8.2", "scipy>=1.14"])) == [
        Finding("click", "missing", "8.1; >=8.2 is needed", "pip install 'click>=8.2'"),
        Finding("scipy", "missing", "not installed", "pip install 'scipy>=1.14'"),
    ]
    assert list(doctor.packages(["click>=8.1.0", "timm>=1.0", 'scipy>=1.14; python_version < "3"'])) == [
        Finding("packages", "good", "all 2 required ones, with torch 2.14.1+cu130")
    ]


def test_extras():
    found = doctor.extras(["click>=8", 'numpy>=2; extra == "array"', "ray>=2; extra == 'ray'", 'q; extra == "ray"'])
    assert list(found) == [
        Finding("extra array", "good", "installed"),
        Finding("extra ray", "note", "without ray, q", "pip install 'snapshot-cli[ray]'"),
    ]


@pytest.mark.parametrize(
    ("available", "built", "driver", "state", "words"),
    [
        (True, "13.0", "580.1", "good", "Card, driver 580.1, CUDA 13.0"),
        (False, "13.0", None, "note", "none; training uses the CPU"),
        (False, "13.0", "470.2", "note",
         "found, with driver 470.2, but torch cannot use it; torch 2.14 was built for CUDA 13.0"),
        (False, None, "580.1", "note",
         "found, with driver 580.1, but torch cannot use it; torch 2.14 was built for CPUs"),
    ],
)  # fmt: skip
def test_accelerator(monkeypatch, available, built, driver, state, words):
    cuda = SimpleNamespace(is_available=lambda: available, get_device_name=lambda _: "Card")
    torch = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda=built), __version__="2.14")
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(doctor, "_driver", lambda: driver)
    found = doctor.accelerator()
    assert (found.subject, found.state, found.words) == ("GPU", state, words)


def test_a_torch_that_does_not_load(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert (doctor.accelerator().subject, doctor.accelerator().state) == ("torch", "missing")


@pytest.mark.parametrize(
    ("unit", "seconds", "finding"),
    [
        ("AMX", 0.5, Finding("bfloat16", "good", "resnet-20 trains 2 times as fast as in float32; the processor has "
                             "AMX")),
        (None, 4, Finding("bfloat16", "note", "resnet-20 trains 0.25 times as fast as in float32; the processor has no "
                          "unit for it", "leave precision at float32")),
    ],
)  # fmt: skip
def test_bfloat16(monkeypatch, unit, seconds, finding):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("snapshot_cli.training.hardware.bfloat16_unit", lambda: unit)
    monkeypatch.setattr(
        "snapshot_cli.training.measure.seconds_per_step", lambda *_, **__: {"float32": 1, "bfloat16": seconds}
    )
    assert list(doctor.bfloat16()) == [finding]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert list(doctor.bfloat16()) == []


@pytest.mark.parametrize(("free", "state"), [(5e8, "missing"), (5e9, "note"), (5e10, "good")])
def test_room(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    (found,) = doctor.disk(tmp_path / "not/there/yet")
    assert (found.state, found.words) == (state, f"can be written to, {free / 1e9:.1f} GB free")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "data").write_text("")
    (found,) = doctor.disk(tmp_path / "data")
    assert (found.state, found.words) == ("missing", "cannot be written to: Not a directory")


def test_datasets(tmp_path, tiny_data):
    assert doctor.datasets(tiny_data) == Finding("datasets", "good", "tiny")
    assert doctor.datasets(tmp_path).state == "note"
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/manifest.json").write_text("{")
    found = doctor.datasets(tmp_path)
    assert found.state == "missing"
    assert "delete the folder" in found.words


def test_the_command(tmp_path, monkeypatch):
    good, bad = Finding("Python", "good", "3.11"), Finding("disk", "missing", "full", "make room")
    monkeypatch.setattr(doctor, "examine", lambda machine: [good, Finding("GPU", "note", "none")])
    assert snapshot("doctor") == (0, "ok  Python: 3.11\n--  GPU: none\n", "")
    monkeypatch.setattr(doctor, "examine", lambda machine: [good, bad])
    assert snapshot("doctor") == (
        1,
        "ok  Python: 3.11\nNO  disk: full\n    -> make room\n",
        "missing: disk; fix the lines marked NO, then try again\n",
    )


def test_here(tmp_path, monkeypatch):
    monkeypatch.undo()
    found = doctor.examine(Machine(tmp_path / "data", tmp_path / "results"))
    assert [each.subject for each in found[:3]] == ["Python", "packages", "GPU"]
    assert {each.state for each in found[:3]} <= {"good", "note"}


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        ("MemAvailable:  1000000 kB\n", "note", "1.0 GB free"),
        ("MemAvailable:  9000000 kB\n", "good", "9.2 GB free"),
        ("MemTotal:  1 kB\n", "note", "unknown on this system"),
    ],
)
def test_memory(monkeypatch, text, state, words):
    monkeypatch.setattr("pathlib.Path.read_text", lambda path, *encoding: text)
    monkeypatch.setattr(doctor.container, "free_memory", lambda: None)
    assert (doctor.memory().state, doctor.memory().words) == (state, words)


@pytest.mark.parametrize(("limit", "words"), [(1_500_000_000, "1.5 GB free"), (0, "0.0 GB free")])
def test_memory_up_to_the_limit_of_a_container(monkeypatch, limit, words):
    monkeypatch.setattr(doctor.container, "free_memory", lambda: limit)
    assert (doctor.memory().state, doctor.memory().words) == ("note", words)


def test_folders_that_nobody_may_enter(tmp_path, monkeypatch):
    def forbidden(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path))

    monkeypatch.setattr("pathlib.Path.exists", forbidden)
    assert [found.words for found in doctor.disk(tmp_path)] == ["cannot be written to: Permission denied"]
    monkeypatch.setattr(doctor, "prepared", forbidden)
    assert doctor.datasets(tmp_path) == Finding("datasets", "missing", f"{tmp_path}: Permission denied")


@pytest.mark.parametrize(("answer", "driver"), [("550.54\n550.54\n", "550.54"), ("\n", None)])
def test_the_driver_is_asked_for(monkeypatch, answer, driver):
    monkeypatch.setattr(doctor.subprocess, "run", lambda *command, **options: SimpleNamespace(stdout=answer))
    assert doctor._driver() == driver


@pytest.mark.parametrize(
    ("free", "state", "words"),
    [
        (64_000_000, "note", "64 MB free in /dev/shm; streamed batches of 256 images of 224 pixels take 193 MB"),
        (8_000_000_000, "good", "8,000 MB free in /dev/shm"),
        (None, "note", "unknown on this system"),
    ],
)
def test_shared_memory(monkeypatch, free, state, words):
    monkeypatch.setattr(doctor.shared_memory, "free", lambda: free)
    monkeypatch.setattr(doctor, "processors", lambda: 2)
    assert (doctor.shared().state, doctor.shared().words) == (state, words)
