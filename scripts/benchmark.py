"""Measure this machine against the goals: make bench. See docs/performance.md.

The rows of each part go to results/bench/ as soon as they are there, in place of earlier ones of the same name and
machine. The table, if it is the CPU's, goes between the marks of docs/performance.md; --dry-run only prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from bench import contenders, data, images, marks, preparation, program, streaming, tables  # noqa: E402

from snapshot_cli.training import hardware  # noqa: E402

NETWORKS = ("resnet-8", "resnet-110", "densenet-40-12", "wide-resnet-32-4")
PARTS = ("program", "data", "streaming", "prepare", "report", "linear", "memory", "networks", "packing")
SECONDS = {  # with the default of --blocks, as measured on two quiet cores (AMD EPYC with AVX-512)
    "program": 5, "data": 35, "streaming": 15, "prepare": 60, "report": 25, "linear": 350, "packing": 65,
    "memory resnet-8": 15, "memory resnet-110": 20, "memory densenet-40-12": 25, "memory wide-resnet-32-4": 35,
    "networks resnet-8": 75, "networks resnet-110": 120, "networks densenet-40-12": 235,
    "networks wide-resnet-32-4": 190,
}  # fmt: skip
PAGE = ROOT / "docs/performance.md"


def main() -> None:
    """Measure what is asked for and write the table."""
    asked = _options()
    device = hardware.choose(asked.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # as `reproduce` gives each run on a CPU
    if asked.peak:
        print(contenders.peak(*asked.peak, device=device))
    elif asked.packed:
        print(data.packed(asked.packed, device=device))
    else:
        _measure(asked, device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), metavar="NETWORK")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--blocks", type=int, default=10, help="rounds of what is measured by turns [10]")
    parser.add_argument("--dry-run", action="store_true", help="print the table and write nothing")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--packed", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _parts(asked: argparse.Namespace, device: torch.device) -> dict[str, Callable[[], list[tables.Row]]]:
    """Return the parts that are asked for, by name, those that take long at the end."""
    dataset, blocks, peers = images.prepared(), asked.blocks, _installed("torchensemble")
    parts: dict[str, Callable[[], list[tables.Row]]] = {
        "program": lambda: program.start(blocks=blocks),
        "data": lambda: [
            *data.loader(dataset, device=device, blocks=blocks),
            *data.evaluation(dataset, device=device, blocks=blocks),
        ],
        "streaming": lambda: streaming.rows(blocks=blocks),
        "prepare": preparation.rows,
        "report": program.report,
        "linear": lambda: [data.linearity(dataset, device=device, blocks=min(blocks, 3))],
    }
    for network in asked.networks:
        parts[f"memory {network}"] = lambda network=network: [contenders.memory(network, device=device)]
    for network in asked.networks:
        parts[f"networks {network}"] = partial(
            contenders.rows, network, dataset, device=device, blocks=blocks, peers=peers
        )
    parts["packing"] = lambda: [data.packing(device=device, blocks=min(blocks, 6))]
    return {name: part for name, part in parts.items() if name.split()[0] in asked.parts}


def _measure(asked: argparse.Namespace, device: torch.device) -> None:
    """Do part after part, and print the table or store the rows of each as soon as they are there."""
    parts, rows = _parts(asked, device), list[dict[str, Any]]()
    machine = (
        f"{hardware.describe(device)['device_name']}; {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    seconds = sum(SECONDS.get(name, 60) for name in parts)
    print(f"about {seconds / 60:.0f} minutes for ten blocks on two quiet cores", file=sys.stderr)
    for name, part in parts.items():
        print(name, end=" ", file=sys.stderr, flush=True)
        start, load = time.perf_counter(), os.getloadavg()[0]
        found = part()
        when = f"{datetime.now(UTC):%d %B %Y}, load {load:.1f} to {os.getloadavg()[0]:.1f}"
        rows += [tables.record(replace(row, when=when)) for row in found]
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
        if not asked.dry_run:
            _store({"machine": machine, "rows": rows}, device)
    print(tables.table({"machine": machine, "rows": rows}))


def _store(measured: dict[str, Any], device: torch.device) -> None:
    """Merge rows with those that are stored, and write the table of all into the page."""
    folder = ROOT / "results/bench"
    folder.mkdir(exist_ok=True)
    path = folder / f"{device.type}.json"
    earlier = json.loads(path.read_text()) if path.exists() else None
    path.write_text(json.dumps(tables.merged(earlier, measured), indent=1) + "\n")
    kept = {each.stem: json.loads(each.read_text()) for each in folder.glob("*.json")}
    if "cuda" in kept:
        (folder / "cuda.md").write_text(tables.table(kept["cuda"], gpu_column=False))
    if "cpu" in kept:
        content = tables.table(kept["cpu"], kept.get("cuda"))
        (folder / "cpu.md").write_text(content)
        marks.insert(PAGE, content, *tables.MARKS)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


if __name__ == "__main__":
    main()
