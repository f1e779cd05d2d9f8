"""What the paper's studies cost and how long schedules are: python scripts/scaling.py [--write docs/scaling.md]."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import marks

from snapshot_cli.config import load, plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.study import Study
from snapshot_cli.datasets.manifest import image_sides, training_examples
from snapshot_cli.launch import scheduling
from snapshot_cli.networks.operations import forward

STUDIES = Path(__file__).parents[1] / "configs/studies"
REFERENCE = ("densenet-40-12", 32)
TIMED = 264_812_928  # multiply-adds an image of DenseNet-40 as its authors have it: their transitions average last
# Images/s by the same arithmetic as 300 epochs of CIFAR-10 in about 7 hours on a Titan X (DenseNet's README).
CITED = 300 * 50_000 / (7 * 3600) * TIMED / forward(*REFERENCE)
GPUS = (1, 2, 4, 8, 16, 32, 64)
MARKS = ("<!-- what scripts/scaling.py prints -->\n", "<!-- end -->\n")
NOWHERE = Path("nowhere")  # no folder of data: the catalogue's sizes, whatever is prepared here


def hours(runs: list[Run], speed: float) -> dict[Run, float]:
    """Return the hours of each run on a GPU that trains `speed` images of the reference network a second."""
    available, sides = training_examples(NOWHERE), image_sides(NOWHERE)
    return {
        run: plan.operations(run, available[run.dataset], sides[run.dataset]) / forward(*REFERENCE) / speed / 3600
        for run in runs
    }


def costs(studies: dict[str, list[Run]], speed: float) -> str:
    """Return a table of the studies, and of all of them with shared runs once."""
    available = training_examples(NOWHERE)
    every = studies | {"all, shared runs once": list(dict.fromkeys(run for runs in studies.values() for run in runs))}
    lines = ["| study | runs | epochs | images, millions | GPU-hours | hours on 8 GPUs | on 64 |"]
    lines += ["|:--|--:|--:|--:|--:|--:|--:|"]
    for name, runs in every.items():
        each = hours(runs, speed)
        order = [each[run] for run in scheduling.longest_first(each)]
        looked_at = {run: plan.images(run, available[run.dataset]) for run in runs}
        epochs = sum(looked_at[run] / run.training_examples(available[run.dataset]) for run in runs)
        images = sum(looked_at.values()) / 1e6
        spans = " | ".join(f"{scheduling.makespan(order, gpus):,.0f}" for gpus in (8, 64))
        lines += [f"| {name} | {len(runs)} | {epochs:,.0f} | {images:,.0f} | {sum(order):,.0f} | {spans} |"]
    return "\n".join(lines) + "\n"


def schedules(runs: list[Run], speed: float) -> str:
    """Return a table of how long runs take on more and more GPUs, in the given order and the longest first."""
    each = hours(runs, speed)
    given, longest = list(each.values()), [each[run] for run in scheduling.longest_first(each)]
    lines = ["| GPUs | given order, hours | longest first, hours | lower bound, hours |", "|--:|--:|--:|--:|"]
    for gpus in GPUS:
        least = max(sum(given) / gpus, longest[0])
        spans = [scheduling.makespan(given, gpus), scheduling.makespan(longest, gpus), least]
        lines += [f"| {gpus} | {' | '.join(f'{span:,.1f}' for span in spans)} |"]
    return "\n".join(lines) + "\n"


def networks(runs: list[Run]) -> str:
    """Return a table of the networks: multiply-adds of an image, as such and against the reference network."""
    sides = image_sides(NOWHERE)
    pairs = dict.fromkeys((run.network, sides[run.dataset]) for run in runs)
    lines = ["| network | side | multiply-adds per image, millions | relative to DenseNet-40 |", "|:--|--:|--:|--:|"]
    for name, side in sorted(pairs, key=lambda pair: forward(*pair)):
        lines += [
            f"| {name} | {side} | {forward(name, side) / 1e6:,.0f} | {forward(name, side) / forward(*REFERENCE):.2f} |"
        ]
    return "\n".join(lines) + "\n"


def text(speed: float) -> str:
    """Return all tables."""
    studies = {}
    for path in sorted(STUDIES.glob("*.yaml")):
        asked = load.load(path, (), training_examples=training_examples(NOWHERE))
        if isinstance(asked, Study):
            studies[path.stem] = plan.runs(asked)
    return (
        f"\n{networks([run for runs in studies.values() for run in runs])}\n"
        f"With DenseNet-40 at {speed:,.0f} images/s:\n\n{costs(studies, speed)}\n"
        f"Table 1's {len(studies['table1'])} runs:\n\n{schedules(studies['table1'], speed)}\n"
    )


def main() -> None:
    """Print the tables, or put them into a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-per-second", type=float, default=CITED, help="of DenseNet-40 in training")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    given = parser.parse_args()
    if given.images_per_second <= 0:
        parser.error("--images-per-second: expected more than 0")
    tables = text(given.images_per_second)
    if given.write is None:
        print(tables)
        return
    try:
        marks.insert(given.write, tables, *MARKS)
    except ValueError as error:
        parser.error(f"--write: {error}")


if __name__ == "__main__":
    main()
