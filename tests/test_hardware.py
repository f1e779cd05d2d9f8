import os
import sys
from importlib.metadata import version

import pytest
import torch

from snapshot_cli.errors import ConfigError, UserError
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
    monkeypatch.setattr(sys, "argv", ["/somewhere/snapshot", "train", "x.yaml"])
    found = hardware.describe(CPU)
    assert list(found) == [
        "started", "command", "device", "device_name", "bfloat16_unit", "threads", "deterministic", "python",
        "versions", "commit", "uncommitted_changes",
    ]  # fmt: skip
    assert found["command"] == ["snapshot", "train", "x.yaml"]
    assert found["device"] == "cpu"
    assert found["threads"] == torch.get_num_threads()
    assert found["versions"]["torch"] == version("torch")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("avx512f avx512_bf16 amx_bf16 amx_tile", "AMX"), ("avx512f avx512_bf16", "AVX512-BF16"), ("avx2 fma", None)],
)
def test_the_unit_for_bfloat16_is_the_fastest_there_is(monkeypatch, flags, expected):
    text = f"model name\t: EPYC\nflags\t\t: fpu {flags}\n"
    monkeypatch.setattr("pathlib.Path.read_text", lambda path, *encoding, **errors: text)
    assert hardware.bfloat16_unit() == expected
    assert hardware._processor().startswith("EPYC, ")


@pytest.mark.parametrize(
    ("device", "unit", "remark"),
    [("cpu", "AMX", None), ("cuda", None, None), ("cpu", None, "neither AMX nor AVX512-BF16")],
)
def test_bfloat16_is_remarked_on_where_it_does_not_pay(monkeypatch, device, unit, remark):
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: unit)
    words = hardware.bfloat16_warning(torch.device(device))
    assert words is None if remark is None else remark in words


def test_outside_a_checkout_there_is_no_commit(monkeypatch):
    monkeypatch.setattr(hardware, "_git", lambda *arguments: None)
    found = hardware.describe(CPU)
    assert found["commit"] is None
    assert found["uncommitted_changes"] is None


@pytest.mark.parametrize(("changes", "expected"), [("", False), (" M loop.py", True), (None, None)])
def test_a_dirty_checkout_is_marked(monkeypatch, changes, expected):
    answers = {"ls-files": "hardware.py", "status": changes, "rev-parse": "abc123"}
    monkeypatch.setattr(hardware, "_git", lambda verb, *rest: answers[verb])
    found = hardware.describe(CPU)
    assert (found["commit"], found["uncommitted_changes"]) == ("abc123", expected)


def test_without_git_there_is_no_answer(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert hardware._git("status") is None


def mode():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        hardware.describe(CPU)["deterministic"],
    )


@pytest.fixture(params=[None, ":16:8"])
def before(request, monkeypatch):
    monkeypatch.setattr(hardware, "_git", lambda *arguments: None)
    if request.param is None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    else:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", request.param)
    return (False, False, request.param, False)


def test_the_deterministic_mode_is_set_and_undone(before):
    with hardware.kernels(deterministic=False):
        assert mode() == before
    with hardware.kernels(deterministic=True):
        assert mode() == (True, True, ":4096:8", True)
    assert mode() == before
    with pytest.raises(ZeroDivisionError), hardware.kernels(deterministic=True):
        raise ZeroDivisionError
    assert mode() == before


def test_an_operation_without_a_deterministic_kernel_is_named(before):
    with pytest.raises(UserError) as caught, hardware.kernels(deterministic=True):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    assert str(caught.value) == "--deterministic: torch has no deterministic kernel for put_; leave it out"
    assert mode() == before
    with pytest.raises(RuntimeError, match="shape"), hardware.kernels(deterministic=True):
        torch.zeros(3).reshape(2)
