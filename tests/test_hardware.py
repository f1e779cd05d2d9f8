import sys
from importlib.metadata import version

import pytest
import torch

from snapshot_cli.errors import ConfigError
from snapshot_cli.training import hardware

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_choose(monkeypatch, name, there, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert hardware.choose(name).type == expected


def test_cuda_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        hardware.choose("cuda")
    assert str(caught.value) == (
        "--device cuda: torch finds no CUDA device here; use --device cpu, or --device auto to take what is there"
    )
    assert caught.value.exit_code == 2


def test_describe(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/snapshot", "train", "--config", "x.yaml"])
    found = hardware.describe(CPU)
    assert list(found) == [
        "started", "command", "device", "device_name", "threads", "python", "versions", "commit", "uncommitted_changes",
    ]  # fmt: skip
    assert found["command"] == ["snapshot", "train", "--config", "x.yaml"]
    assert found["device"] == "cpu"
    assert found["threads"] == torch.get_num_threads()
    assert found["versions"]["torch"] == version("torch")


def test_outside_a_checkout_there_is_no_commit(monkeypatch):
    monkeypatch.setattr(hardware, "_git", lambda *arguments: None)
    found = hardware.describe(CPU)
    assert found["commit"] is None
    assert found["uncommitted_changes"] is None


@pytest.mark.parametrize(("changes", "expected"), [("", False), (" M loop.py", True)])
def test_a_dirty_checkout_is_marked(monkeypatch, changes, expected):
    answers = {"ls-files": "hardware.py", "status": changes, "rev-parse": "abc123"}
    monkeypatch.setattr(hardware, "_git", lambda verb, *rest: answers[verb])
    found = hardware.describe(CPU)
    assert (found["commit"], found["uncommitted_changes"]) == ("abc123", expected)


def test_without_git_there_is_no_answer(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert hardware._git("status") is None
