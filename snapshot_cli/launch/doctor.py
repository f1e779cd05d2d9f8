"""Check whether a machine can train, and say how to fix what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from snapshot_cli.config import container
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine, processors
from snapshot_cli.datasets import shared_memory
from snapshot_cli.datasets.catalogue import how_to_prepare
from snapshot_cli.datasets.manifest import prepared, unreadable

State = Literal["good", "note", "missing"]
PACKAGE = "snapshot-cli"
OLDEST = (3, 11)
RECOMMENDED_DISK, MIN_DISK = 10e9, 1e9  # bytes: for the datasets and runs of Table 1; for any training
MIN_MEMORY = 2e9  # bytes; torch alone takes half a gigabyte


@dataclass(frozen=True)
class Finding:
    """The result of a check: its subject, state, description and remedy."""

    subject: str
    state: State
    words: str
    remedy: str = ""


def examine(machine: Machine) -> list[Finding]:
    """Run all checks; return their findings in the order in which to fix them."""
    return [
        python(sys.version_info[:3]),
        *packages(_requirements()),
        accelerator(),
        *bfloat16(),
        memory(),
        shared(),
        *(finding for folder in (machine.data, machine.results) for finding in disk(folder)),
        datasets(machine.data),
        *extras(_requirements()),
    ]


def python(version: tuple[int, ...]) -> Finding:
    """Check the version of Python."""
    words = ".".join(map(str, version))
    if version < OLDEST:
        return Finding("Python", "missing", f"{words}; 3.11 or newer is needed", "make PYTHON=python3.11 setup")
    return Finding("Python", "good", f"{words} on {platform.system()} {platform.machine()}")


def packages(requirements: list[str]) -> Iterator[Finding]:
    """Check the required packages: one finding if all are good."""
    if not requirements:
        yield Finding("packages", "note", f"{PACKAGE} is not installed, so they are not checked", "pip install .")
        return
    needed = [
        package for package in map(Requirement, requirements) if package.marker is None or package.marker.evaluate()
    ]
    versions = {package: _version(package.name) for package in needed}
    wrong = {
        package: version
        for package, version in versions.items()
        if not (version and package.specifier.contains(version, prereleases=True))
    }
    for package, installed in wrong.items():
        words = f"{installed}; {package.specifier} is needed" if installed else "not installed"
        yield Finding(package.name, "missing", words, f"pip install '{package.name}{package.specifier}'")
    if not wrong:
        yield Finding("packages", "good", f"all {len(needed)} required ones, with torch {_version('torch')}")


def extras(requirements: list[str]) -> Iterator[Finding]:
    """Check the optional packages, one finding per extra."""
    optional = [
        package for package in map(Requirement, requirements) if package.marker and "extra" in str(package.marker)
    ]
    for extra in dict.fromkeys(
        re.findall(r'extra == "([^"]+)"', " ".join(str(package.marker) for package in optional))
    ):
        wanted = [package for package in optional if package.marker and package.marker.evaluate({"extra": extra})]
        lacking = [package.name for package in wanted if not _version(package.name)]
        if lacking:
            yield Finding(
                f"extra {extra}", "note", f"without {', '.join(lacking)}", f"pip install '{PACKAGE}[{extra}]'"
            )
        else:
            yield Finding(f"extra {extra}", "good", "installed")


def accelerator() -> Finding:
    """Check whether there is a GPU that torch can use."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", "missing", f"does not load: {error}", "pip install --force-reinstall torch torchvision")
    driver = _driver()
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name(0)
        return Finding("GPU", "good", f"{name}, driver {driver or 'unknown'}, CUDA {torch.version.cuda}")
    if driver is None:
        return Finding("GPU", "note", "none; training uses the CPU", "")
    built = f"torch {torch.__version__} was built for {f'CUDA {torch.version.cuda}' if torch.version.cuda else 'CPUs'}"
    remedy = "update the driver, or install a torch for it: https://pytorch.org/get-started/locally"
    return Finding("GPU", "note", f"found, with driver {driver}, but torch cannot use it; {built}", remedy)


def bfloat16() -> Iterator[Finding]:
    """Measure the speedup of bfloat16 on a CPU, in about two seconds; no finding if training uses a GPU."""
    try:
        from snapshot_cli.launch.estimate import manifest_of
        from snapshot_cli.training import hardware, measure
    except (ImportError, OSError):  # `accelerator` reports that torch does not load
        return
    if hardware.choose("auto").type != "cpu":
        return
    here = Machine(device="cpu")
    run = Run(dataset="cifar10", network="resnet-20", budget=1, cycles=1, schedule="cosine")
    seconds = measure.seconds_per_step(run, manifest_of(run.dataset, here), here, steps=3)
    times, unit = seconds["float32"] / seconds["bfloat16"], hardware.bfloat16_unit()
    words = f"resnet-20 trains {times:.2g} times as fast as in float32; the processor has {unit or 'no unit for it'}"
    remedy = "leave precision at float32" if times < 1 else ""
    yield Finding("bfloat16", "good" if unit else "note", words, remedy)


def memory() -> Finding:
    """Check the free memory of the system, and of the container if it has a limit."""
    path = Path("/proc/meminfo")
    match = re.search(r"MemAvailable:\s+(\d+) kB", path.read_text("utf-8")) if path.is_file() else None
    if match is None:
        return Finding("memory", "note", "unknown on this system")
    limit, free = container.free_memory(), int(match[1]) * 1024
    free = free if limit is None else min(free, limit)
    if free < MIN_MEMORY:
        return Finding("memory", "note", f"{free / 1e9:.1f} GB free", "end other programs, or give reproduce --jobs 1")
    return Finding("memory", "good", f"{free / 1e9:.1f} GB free")


def shared() -> Finding:
    """Check the shared memory, through which decoding processes pass on streamed images."""
    free = shared_memory.free()
    if free is None:
        return Finding("shared memory", "note", "unknown on this system")
    needed = shared_memory.needed(256, 224, processors())
    words = f"{free / 1e6:,.0f} MB free in {shared_memory.FOLDER}"
    if free < needed:
        words += f"; streamed batches of 256 images of 224 pixels take {needed / 1e6:,.0f} MB"
        return Finding(
            "shared memory", "note", words, "give a container more, docker run --shm-size 8g; or --workers 0"
        )
    return Finding("shared memory", "good", words)


def disk(folder: Path) -> Iterator[Finding]:
    """Check whether a folder, or its nearest existing parent, is writable and has free space."""
    try:
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        remedy = "give another folder with --data-dir or --results-dir"
        yield Finding(str(folder), "missing", f"cannot be written to: {error.strerror}", remedy)
        return
    free = shutil.disk_usage(place).free
    words = f"can be written to, {free / 1e9:.1f} GB free"
    if free < MIN_DISK:
        yield Finding(str(folder), "missing", words, "make room; snapshot estimate says how much a file needs")
    elif free < RECOMMENDED_DISK:
        yield Finding(str(folder), "note", words, "make room; snapshot estimate says how much a file needs")
    else:
        yield Finding(str(folder), "good", words)


def datasets(data: Path) -> Finding:
    """Check the prepared datasets."""
    try:
        errors, names = unreadable(data), list(prepared(data))
    except OSError as error:
        return Finding("datasets", "missing", f"{error.filename}: {error.strerror}")
    if errors:
        return Finding("datasets", "missing", "\n".join(map(str, errors)))
    if not names:
        return Finding("datasets", "note", "only digits, which prepares itself", how_to_prepare("cifar10"))
    return Finding("datasets", "good", ", ".join(names))


def _driver() -> str | None:
    """Return the version of the NVIDIA driver, None without one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip().partition("\n")[0] or None


def _requirements() -> list[str]:
    """Return what this program requires; nothing for a source tree that is not installed."""
    try:
        return importlib.metadata.requires(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
