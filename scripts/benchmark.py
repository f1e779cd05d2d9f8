"""Measure this machine against the goals: make bench. See docs/performance.md.

The rows of each part are stored in results/bench/ at once and replace the part's earlier rows of the same machine. The
table of a CPU is also written between the marks of docs/performance.md. --dry-run only prints it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

STARTED = time.monotonic()  # before the import of torch, which takes seconds
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from bench import contenders, data, images, marks, packing, preparation, program, streaming, tables  # noqa: E402
from bench.contenders import Way  # noqa: E402

from snapshot_cli.training import hardware  # noqa: E402
from snapshot_cli.training.measure import PRECISIONS  # noqa: E402

NETWORKS = ("resnet-8", "resnet-110", "densenet-40-12", "wide-resnet-32-4")
PARTS = (
    "program", "data", "streaming", "prepare", "report", "linear", "memory", "networks", "bfloat16", "packing",
    "compiled",
)  # fmt: skip
DEFAULT_PARTS = {"cpu": PARTS[:-1], "cuda": ("networks", "bfloat16", "packing", "compiled")}
SECONDS_GPU = 230.0  # a GPU is rarely at hand
SECONDS = {  # with the default of --blocks, as measured on two quiet cores (AMD EPYC with AVX-512)
    "program": 5, "data": 35, "streaming": 15, "prepare": 60, "report": 25, "linear": 350, "packing": 45,
    "memory resnet-8": 15, "memory resnet-110": 20, "memory densenet-40-12": 25, "memory wide-resnet-32-4": 35,
    "networks resnet-8": 75, "networks resnet-110": 120, "networks densenet-40-12": 235,
    "networks wide-resnet-32-4": 190,
}  # fmt: skip
PAGE = ROOT / "docs/performance.md"


def main() -> None:
    """Measure the chosen parts and write the table."""
    options = _options()
    device = hardware.choose(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # as `reproduce` gives each run on a CPU
    if options.peak:
        print(contenders.peak(*options.peak, device=device))
    elif options.serve:
        network, precision, threads = options.serve
        packing.serve(Way(network, device, precision), int(threads))
    else:
        _measure(options, device)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--networks", nargs="*", metavar="NETWORK", help=f"[{', '.join(NETWORKS)}; on a GPU the last three]"
    )
    parser.add_argument(
        "--parts", nargs="*", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)} [the last only on a GPU]"
    )
    parser.add_argument("--blocks", type=int, default=10, help="rounds of alternating contenders [10]")
    parser.add_argument("--seconds", type=float, help=f"skip what is left then [on a GPU {SECONDS_GPU:.0f}]")
    parser.add_argument("--dry-run", action="store_true", help="print the table and write nothing")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def _parts(options: argparse.Namespace, device: torch.device) -> dict[str, Callable[[], list[tables.Row]]]:
    """Return the chosen parts by name, long ones last."""
    dataset, blocks, peers = images.prepared(), options.blocks, _installed("torchensemble")
    gpu = device.type == "cuda"
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
    networks = options.networks or NETWORKS[gpu:]
    for network in networks:
        parts[f"memory {network}"] = lambda network=network: [contenders.memory(network, device=device)]
    train = partial(contenders.rows, dataset=dataset, blocks=blocks, peers=peers)
    for network in networks:
        parts[f"networks {network}"] = partial(train, Way(network, device))
    for network in networks if gpu or hardware.bfloat16_unit() else ():
        parts[f"bfloat16 {network}"] = partial(train, Way(network, device, "bfloat16"))
    for network in packing.NETWORKS_GPU if gpu else packing.NETWORKS_CPU:
        for precision in ("bfloat16",) if gpu else PRECISIONS:
            side_by_side = packing.on_gpu if gpu else packing.on_cpu
            parts[f"packing {network} {precision}"] = partial(side_by_side, network, precision, blocks=min(blocks, 6))
    for precision in reversed(PRECISIONS):
        for network in networks:
            parts[f"compiled {network} {precision}"] = partial(train, Way(network, device, precision, compile=True))
    chosen = options.parts or DEFAULT_PARTS[device.type]
    return {name: part for name, part in parts.items() if name.split()[0] in chosen}


def _measure(options: argparse.Namespace, device: torch.device) -> None:
    """Measure part after part, store the rows of each at once unless it is a dry run, and print the table."""
    parts, rows = _parts(options, device), list[dict[str, Any]]()
    machine = (
        f"{hardware.describe(device)['device_name']}; {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    seconds = options.seconds or (SECONDS_GPU if device.type == "cuda" else None)
    if seconds is None:
        expected = sum(SECONDS.get(name, SECONDS.get(name.split()[0], 60)) for name in parts)
        print(f"about {expected / 60:.0f} minutes for ten blocks on two quiet cores", file=sys.stderr)
    left, storing = list(parts), threading.Lock()

    def leave() -> None:
        """Print what is measured so far and exit, even in the middle of a compilation."""
        with storing:
            print(f"\nskipped, as {seconds:.0f} s are over: {', '.join(left)}", file=sys.stderr)
            print(tables.table({"machine": machine, "rows": rows}), flush=True)
            os._exit(0)

    if seconds is not None:
        alarm = threading.Timer(max(0, STARTED + seconds - time.monotonic()), leave)
        alarm.daemon = True
        alarm.start()
    for name, part in parts.items():
        print(name, end=" ", file=sys.stderr, flush=True)
        start, load = time.perf_counter(), os.getloadavg()[0]
        measured = part()
        when = f"{datetime.now(UTC):%d %B %Y}, load {load:.1f} to {os.getloadavg()[0]:.1f}"
        print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
        with storing:
            left.remove(name)
            rows += [tables.record(replace(row, when=when, part=name)) for row in measured]
            if not options.dry_run:
                _store({"machine": machine, "rows": rows}, device)
    print(tables.table({"machine": machine, "rows": rows}))


def _store(measured: dict[str, Any], device: torch.device) -> None:
    """Merge rows with the stored ones, and write the table of all into the page."""
    folder = ROOT / "results/bench"
    folder.mkdir(exist_ok=True)
    path = folder / f"{device.type}.json"
    earlier = json.loads(path.read_text()) if path.exists() else None
    path.write_text(json.dumps(tables.merged(earlier, measured), indent=1) + "\n")
    stored = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    if "cuda" in stored:
        (folder / "cuda.md").write_text(tables.table(stored["cuda"], gpu_column=False))
    if "cpu" in stored:
        content = tables.table(stored["cpu"], stored.get("cuda"))
        (folder / "cpu.md").write_text(content)
        marks.insert(PAGE, content, *tables.MARKS)


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


if __name__ == "__main__":
    main()
