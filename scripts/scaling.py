"""Print the cost of the paper's studies, and their time on 1 to 64 GPUs.

python scripts/scaling.py [--write docs/scaling.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import marks

from snapshot_cli.config import load, plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.study import Study
from snapshot_cli.datasets.manifest import shapes, training_examples
from snapshot_cli.launch import scheduling
from snapshot_cli.networks.operations import count_multiply_adds

STUDIES = Path(__file__).parents[1] / "configs/studies"
REFERENCE = ("densenet-40-12", 32)
AUTHORS_MULTIPLY_ADDS = 264_812_928  # per image, of the authors' DenseNet-40, whose transitions average last
# DenseNet's README: 300 epochs of CIFAR-10 in about 7 hours on a Titan X. In images/s of our DenseNet-40:
CITED_SPEED = 300 * 50_000 / (7 * 3600) * AUTHORS_MULTIPLY_ADDS / count_multiply_adds(*REFERENCE)
GPUS = (1, 2, 4, 8, 16, 32, 64)
MARKS = ("<!-- what scripts/scaling.py prints -->\n", "<!-- end -->\n")
NO_DATA = Path("no-data")  # does not exist, so that only the catalogue's sizes count


def hours(runs: list[Run], speed: float) -> dict[Run, float]:
    """Return the hours of every run on a GPU that trains the reference network at `speed` images/s."""
    known = shapes(NO_DATA)
    return {
        run: plan.operations(run, *known[run.dataset]) / count_multiply_adds(*REFERENCE) / speed / 3600 for run in runs
    }


def cost_table(studies: dict[str, list[Run]], speed: float) -> str:
    """Return a table of the studies and their total, in which shared runs count once."""
    available = training_examples(NO_DATA)
    rows = studies | {"all, shared runs once": list(dict.fromkeys(run for runs in studies.values() for run in runs))}
    lines = ["| study | runs | epochs | images, millions | GPU-hours | hours on 8 GPUs | on 64 |"]
    lines += ["|:--|--:|--:|--:|--:|--:|--:|"]
    for name, runs in rows.items():
        run_hours = hours(runs, speed)
        longest_first = [run_hours[run] for run in scheduling.longest_first(run_hours)]
        run_images = {run: plan.images(run, available[run.dataset]) for run in runs}
        epochs = sum(run_images[run] / run.training_examples(available[run.dataset]) for run in runs)
        images = sum(run_images.values()) / 1e6
        spans = " | ".join(f"{scheduling.makespan(longest_first, gpus):,.0f}" for gpus in (8, 64))
        lines += [f"| {name} | {len(runs)} | {epochs:,.0f} | {images:,.0f} | {sum(longest_first):,.0f} | {spans} |"]
    return "\n".join(lines) + "\n"


def schedule_table(runs: list[Run], speed: float) -> str:
    """Return a table of the time on 1 to 64 GPUs, for runs in the given order and the longest first."""
    run_hours = hours(runs, speed)
    given, longest = list(run_hours.values()), [run_hours[run] for run in scheduling.longest_first(run_hours)]
    lines = ["| GPUs | given order, hours | longest first, hours | lower bound, hours |", "|--:|--:|--:|--:|"]
    for gpus in GPUS:
        lower_bound = max(sum(given) / gpus, longest[0])
        spans = [scheduling.makespan(given, gpus), scheduling.makespan(longest, gpus), lower_bound]
        lines += [f"| {gpus} | {' | '.join(f'{span:,.1f}' for span in spans)} |"]
    return "\n".join(lines) + "\n"


def network_table(runs: list[Run]) -> str:
    """Return a table of the networks: multiply-adds per image, absolute and relative to the reference network."""
    known = shapes(NO_DATA)
    pairs = dict.fromkeys((run.network, known[run.dataset].side) for run in runs)
    lines = ["| network | side | multiply-adds per image, millions | relative to DenseNet-40 |", "|:--|--:|--:|--:|"]
    for name, side in sorted(pairs, key=lambda pair: count_multiply_adds(*pair)):
        multiply_adds = count_multiply_adds(name, side)
        relative = multiply_adds / count_multiply_adds(*REFERENCE)
        lines += [f"| {name} | {side} | {multiply_adds / 1e6:,.0f} | {relative:.2f} |"]
    return "\n".join(lines) + "\n"


def tables(speed: float) -> str:
    """Return all tables."""
    studies = {}
    for path in sorted(STUDIES.glob("*.yaml")):
        study = load.load(path, (), training_examples=training_examples(NO_DATA))
        if isinstance(study, Study):
            studies[path.stem] = plan.runs(study)
    return (
        f"\n{network_table([run for runs in studies.values() for run in runs])}\n"
        f"With DenseNet-40 at {speed:,.0f} images/s:\n\n{cost_table(studies, speed)}\n"
        f"Table 1's {len(studies['table1'])} runs:\n\n{schedule_table(studies['table1'], speed)}\n"
    )


def main() -> None:
    """Print the tables, or write them into a document."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images-per-second", type=float, default=CITED_SPEED, help="training speed of DenseNet-40")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables into this document")
    options = parser.parse_args()
    if options.images_per_second <= 0:
        parser.error("--images-per-second: expected more than 0")
    content = tables(options.images_per_second)
    if options.write is None:
        print(content)
        return
    try:
        marks.insert(options.write, content, *MARKS)
    except ValueError as error:
        parser.error(f"--write: {error}")


if __name__ == "__main__":
    main()
