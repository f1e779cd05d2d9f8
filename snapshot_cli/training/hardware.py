"""Choose the device, set up its kernels, and describe it for machine.json."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from snapshot_cli.config.machine import Device
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.networks import external

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # cuBLAS reads it when it is first used
BFLOAT16_UNITS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16"}  # by Linux's name


def choose(name: Device) -> torch.device:
    """Return the device for --device; ConfigError for cuda if torch finds no GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "--device cuda: torch finds no CUDA device here; use --device cpu, or --device auto to take what is there"
        )
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextmanager
def kernels(*, deterministic: bool) -> Iterator[None]:
    """Use deterministic kernels only, if `deterministic`; UserError if torch has none for an operation."""
    if not deterministic:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic, os.environ.get(WORKSPACE)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic, os.environ[WORKSPACE] = True, ":4096:8"
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        operation = str(error).split()[0]
        raise UserError(f"--deterministic: torch has no deterministic kernel for {operation}; leave it out") from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.deterministic = before[1]
        _set(WORKSPACE, before[2])


def describe(device: torch.device, network: str = "") -> dict[str, Any]:
    """Return versions, device, threads, commit, command line and time for machine.json.

    The versions include the library of the network.
    """
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": ["snapshot", *sys.argv[1:]],
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "bfloat16_unit": bfloat16_unit(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "torchvision", "numpy")} | external.versions(network),
        **_commit(),
    }


def _set(name: str, value: str | None) -> None:
    """Set an environment variable, or remove it for None."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _commit() -> dict[str, Any]:
    """Return the commit of this checkout and whether the code has uncommitted changes; None if git fails."""
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name) is None:
        return {"commit": None, "uncommitted_changes": None}
    changes = _git("status", "--porcelain", "--", str(here.parents[1]))
    return {"commit": _git("rev-parse", "HEAD"), "uncommitted_changes": None if changes is None else bool(changes)}


def bfloat16_unit() -> str | None:
    """Return the fastest of BFLOAT16_UNITS that the processor has, or None."""
    flags = _cpuinfo("flags").split()
    return next((unit for flag, unit in BFLOAT16_UNITS.items() if flag in flags), None)


def bfloat16_warning(device: torch.device) -> str | None:
    """Return a warning if bfloat16 is slow on a device, else None."""
    if device.type != "cpu" or bfloat16_unit() is not None:
        return None
    return (
        f"precision: bfloat16 is slower than float32 on this processor, which has neither "
        f"{' nor '.join(BFLOAT16_UNITS.values())}; snapshot estimate measures both"
    )


def _processor() -> str:
    """Return the model of the processor and the instruction set that torch uses."""
    model = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def _cpuinfo(key: str) -> str:
    """Return a value of /proc/cpuinfo for the first core, or ""."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _git(*arguments: str) -> str | None:
    """Return the output of git in this checkout, or None if it fails."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True, timeout=10)
        return answer.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
