"""Measure this machine against the goals: make bench. See docs/performance.md.

The table goes to results/bench/ and, where it is that of the CPU, between the marks of README.md and of
docs/performance.md; --dry-run only prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from bench import contenders, data, images, program, tables  # noqa: E402

from snapshot_cli.training import hardware  # noqa: E402

NETWORKS = ("resnet-8", "resnet-110", "densenet-40-12", "wide-resnet-32-4")
PARTS = ("program", "report", "data", "networks", "memory", "linear", "packing")
PAGES = (ROOT / "README.md", ROOT / "docs/performance.md")


def main() -> None:
    """Measure what is asked for and write the table."""
    asked = _options()
    device = hardware.choose(asked.device)
    if asked.peak:
        print(contenders.peak(*asked.peak, device=device))
    elif asked.packed:
        print(data.packed(asked.packed))
    else:
        _write(_measured(asked, device), device, dry_run=asked.dry_run)


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


def _measured(asked: argparse.Namespace, device: torch.device) -> Iterator[tables.Row]:
    """Yield the rows of the parts that are asked for, each as soon as it is there."""
    dataset, blocks = images.prepared(), asked.blocks
    peers = _installed("torchensemble")
    parts: dict[str, Callable[[], list[tables.Row]]] = {}
    for network in asked.networks:
        parts[f"networks {network}"] = partial(
            contenders.rows, network, dataset, device=device, blocks=blocks, peers=peers
        )
        parts[f"memory {network}"] = lambda network=network: [contenders.memory(network, device=device)]
    parts["linear"] = lambda: [data.linearity(dataset, device=device)]
    parts["data"] = lambda: [
        *data.loader(dataset, device=device, blocks=blocks),
        *data.evaluation(dataset, device=device, blocks=blocks),
    ]
    if device.type == "cpu":
        parts["packing"] = lambda: [data.packing(blocks=min(blocks, 6))]
    parts |= {"report": program.report, "program": lambda: program.start(blocks=blocks)}
    for name, part in parts.items():
        if name.split()[0] in asked.parts:
            print(name, file=sys.stderr)
            yield from part()


def _write(rows: Iterator[tables.Row], device: torch.device, *, dry_run: bool) -> None:
    """Print the table and, unless that is all, store the rows and put the table into the pages."""
    about = hardware.describe(device)
    load = os.getloadavg()[0]
    stored = {"machine": "", "rows": [tables.record(row) for row in rows]}
    stored["machine"] = (
        f"{about['device_name']}; {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{datetime.now(UTC):%d %B %Y}, load {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    )
    print(tables.table(stored))
    if dry_run:
        return
    folder = ROOT / "results/bench"
    folder.mkdir(exist_ok=True)
    (folder / f"{device.type}.json").write_text(json.dumps(stored, indent=1) + "\n")
    kept = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    if "cpu" in kept:
        content = tables.table(kept["cpu"], kept.get("cuda"))
        (folder / "cpu.md").write_text(content)
        for page in PAGES:
            tables.insert(page, content)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


if __name__ == "__main__":
    main()
