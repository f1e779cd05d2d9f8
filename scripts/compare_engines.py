"""How long equal runs take in local slots and with Ray, on the CPU: python scripts/compare_engines.py [--seconds 60].

Every pass is a `snapshot reproduce` of its own in an empty folder; the times are those of the files that it leaves.
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
    """When a run had its settings written, after its imports, and when it was done; seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True)
class Pass:
    """All runs of one `snapshot reproduce`, in so many slots."""

    engine: str
    spans: Sequence[Span]
    slots: int

    @property
    def seconds(self) -> float:
        """From the first start to the last end: the engine's own start is aside."""
        return max(span.end for span in self.spans) - min(span.start for span in self.spans)

    @property
    def busy(self) -> float:
        """The share of the slots' time in which a run was trained; the rest are starts of processes and waiting."""
        return sum(span.seconds for span in self.spans) / (self.slots * self.seconds)


def reproduce(engine: str, folder: Path, *, runs: int, epochs: int, slots: int) -> Pass:
    """Train runs that differ in their seeds alone, and return when each began and ended."""
    folder.mkdir()
    base = {"dataset": "digits", "network": "resnet-8", "budget": epochs, "cycles": 1, "replicates": runs}
    study = {"title": "Equal runs", "base": base, "methods": ["single"], "render": {"table": "methods"}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    words = ["--data-dir", str(folder.parent / "data"), "--results-dir", "results", "--device", "cpu", "--threads", "1"]
    words += ["--engine", engine, "--jobs", str(slots)]
    command = [sys.executable, "-P", "-m", "snapshot_cli", "reproduce", "study.yaml", *words]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return Pass(engine, list(spans(folder / "results")), slots)


def spans(results: Path) -> Iterator[Span]:
    """Yield the times of the finished runs in a folder of results."""
    for done in sorted(results.glob("runs/*/*/done.json")):
        yield Span((done.parent / "config.yaml").stat().st_mtime, done.stat().st_mtime)


def epochs(pilot: Pass, seconds: float) -> int:
    """Return how many epochs take at least some seconds, as the slowest run of a pilot does; a tenth to be sure."""
    return math.ceil(1.1 * seconds * PILOT_EPOCHS / max(span.seconds for span in pilot.spans))


def table(passes: Sequence[Pass]) -> str:
    """Return a row for each pass, and by how much Ray's differ from the slots'."""
    lines = ["| engine | first start to last end, s | a run, s | slots busy |", "|:--|--:|--:|--:|"]
    for each in passes:
        run = [span.seconds for span in each.spans]
        row = (each.engine, f"{each.seconds:.1f}", f"{min(run):.1f} to {max(run):.1f}", f"{100 * each.busy:.1f} %")
        lines += [f"| {' | '.join(row)} |"]
    local, ray = (sum(each.seconds for each in passes if each.engine == engine) for engine in ENGINES)
    return "\n".join([*lines, "", f"Ray against local slots: {100 * (ray / local - 1):+.1f} % of the time."]) + "\n"


def main() -> None:
    """Measure the engines by turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="that a run takes at least  [default: 60]")
    parser.add_argument("--runs", type=int, default=8, help="of each pass  [default: 8]")
    parser.add_argument("--slots", type=int, default=2, help="runs side by side  [default: 2]")
    parser.add_argument("--passes", type=int, default=1, help="of each engine  [default: 1]")
    given = parser.parse_args()
    if min(given.seconds, given.runs, given.slots, given.passes) <= 0:
        parser.error("expected numbers above 0")
    with TemporaryDirectory() as name:
        folder = Path(name)
        pilot = reproduce("local", folder / "pilot", runs=given.slots, epochs=PILOT_EPOCHS, slots=given.slots)
        length = epochs(pilot, given.seconds)
        print(f"{given.runs} runs of {length} epochs, {given.slots} side by side", file=sys.stderr)
        passes = []
        for number, engine in enumerate(ENGINES * given.passes):
            place = folder / f"{number}-{engine}"
            passes.append(reproduce(engine, place, runs=given.runs, epochs=length, slots=given.slots))
            print(f"{engine}: {passes[-1].seconds:.1f} s", file=sys.stderr)
    print(table(passes), end="")


if __name__ == "__main__":
    main()
