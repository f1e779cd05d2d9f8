"""Compare the time of equal runs in local slots and with Ray, on the CPU.

    python scripts/compare_engines.py [--seconds 60]

Every pass is one `snapshot reproduce` in an empty folder; the times are the modification times of its files.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ENGINES = ("local", "ray")
PILOT_EPOCHS = 40


@dataclass(frozen=True)
class Span:
    """When a run started, after its imports, and when it finished, in seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """The duration of the run."""
        return self.end - self.start


@dataclass(frozen=True)
class Pass:
    """The runs of one `snapshot reproduce` and its number of slots."""

    engine: str
    spans: Sequence[Span]
    slots: int

    @property
    def seconds(self) -> float:
        """From the first start to the last end, without starting the engine."""
        return max(span.end for span in self.spans) - min(span.start for span in self.spans)

    @property
    def busy(self) -> float:
        """The share of the slots' time spent training; the rest is starting processes and waiting."""
        return sum(span.seconds for span in self.spans) / (self.slots * self.seconds)


def reproduce(engine: str, folder: Path, *, runs: int, epochs: int, slots: int) -> Pass:
    """Train runs that differ only in their seeds, and return their times."""
    folder.mkdir()
    base = {"dataset": "digits", "network": "resnet-8", "budget": epochs, "cycles": 1, "replicates": runs}
    study = {"title": "Equal runs", "base": base, "methods": ["single"], "render": {"table": "methods"}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    options = [
        "--data-dir",
        str(folder.parent / "data"),
        "--results-dir",
        "results",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    options += ["--engine", engine, "--jobs", str(slots)]
    command = [sys.executable, "-P", "-m", "snapshot_cli", "reproduce", "study.yaml", *options]
    process = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if process.returncode:
        sys.exit(f"{' '.join(command)} exited with code {process.returncode}:\n{process.stdout}")
    return Pass(engine, list(read_spans(folder / "results")), slots)


def read_spans(results: Path) -> Iterator[Span]:
    """Yield the times of the finished runs in a folder of results."""
    for done in sorted(results.glob("runs/*/*/done.json")):
        yield Span((done.parent / "config.yaml").stat().st_mtime, done.stat().st_mtime)


def epochs_for(pilot: Pass, seconds: float) -> int:
    """Return the epochs that take at least some seconds at the speed of a pilot's slowest run, plus a tenth."""
    return math.ceil(1.1 * seconds * PILOT_EPOCHS / max(span.seconds for span in pilot.spans))


def table(passes: Sequence[Pass]) -> str:
    """Return a table with a row per pass, and the difference between Ray and local slots."""
    lines = ["| engine | first start to last end, s | a run, s | slots busy |", "|:--|--:|--:|--:|"]
    for one in passes:
        seconds = [span.seconds for span in one.spans]
        row = (one.engine, f"{one.seconds:.1f}", f"{min(seconds):.1f} to {max(seconds):.1f}", f"{100 * one.busy:.1f} %")
        lines += [f"| {' | '.join(row)} |"]
    local, ray = (sum(one.seconds for one in passes if one.engine == engine) for engine in ENGINES)
    return "\n".join([*lines, "", f"Ray against local slots: {100 * (ray / local - 1):+.1f} % of the time."]) + "\n"


def main() -> None:
    """Measure the engines in turn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="minimum duration of a run  [default: 60]")
    parser.add_argument("--runs", type=int, default=8, help="runs per pass  [default: 8]")
    parser.add_argument("--slots", type=int, default=2, help="parallel runs  [default: 2]")
    parser.add_argument("--passes", type=int, default=1, help="passes per engine  [default: 1]")
    options = parser.parse_args()
    if min(options.seconds, options.runs, options.slots, options.passes) <= 0:
        parser.error("expected numbers above 0")
    with TemporaryDirectory() as name:
        folder = Path(name)
        pilot = reproduce("local", folder / "pilot", runs=options.slots, epochs=PILOT_EPOCHS, slots=options.slots)
        length = epochs_for(pilot, options.seconds)
        print(f"{options.runs} runs of {length} epochs, {options.slots} in parallel", file=sys.stderr)
        passes = []
        for number, engine in enumerate(ENGINES * options.passes):
            place = folder / f"{number}-{engine}"
            passes.append(reproduce(engine, place, runs=options.runs, epochs=length, slots=options.slots))
            print(f"{engine}: {passes[-1].seconds:.1f} s", file=sys.stderr)
    print(table(passes), end="")


if __name__ == "__main__":
    main()
