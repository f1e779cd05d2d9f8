"""The learning rate of a run as a curve: for a figure, and in characters for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.config.experiment import Run, iterations_per_epoch
from snapshot_cli.reporting.figures.schedules import RateCurve

POINTS = 600  # of a figure's curve, besides the iterations around its jumps
EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 60, 6  # characters


def planned(run: Run, examples: int, *, label: str, method: str) -> RateCurve:
    """Return the curve of a run that need not be trained yet, given its number of training examples."""
    length, places = iterations_per_epoch(examples, run.batch_size), _places(run, examples)
    return RateCurve(
        label,
        method,
        run.alpha0,
        epochs=[place / length for place in places],  # where the iteration ends, as for snapshots
        rates=[run.rate(place, examples) for place in places],
        snapshots=[place / length for place in run.snapshot_iterations(examples)],
    )


def _places(run: Run, examples: int) -> list[int]:
    """Return iterations close enough for a smooth line, with those before and after every jump."""
    total = run.snapshot_iterations(examples)[-1]
    jumps = [*run.snapshot_iterations(examples)[:-1], *(int(-(-drop * total // 1)) for drop in run.drops)]
    around = {place for jump in jumps for place in (jump, jump + 1) if 1 <= place <= total}
    return sorted({*range(1, total + 1, max(1, total // POINTS)), total, *around})


def in_characters(run: Run, examples: int) -> list[str]:
    """Return lines that draw the rate of a run over its iterations, with a mark below each snapshot."""
    ends = run.snapshot_iterations(examples)
    firsts = [column * ends[-1] // WIDTH + 1 for column in range(WIDTH)]
    heights = [round(8 * HEIGHT * run.rate(first, examples) / run.alpha0) for first in firsts]
    marks = {min(WIDTH - 1, (end - 1) * WIDTH // ends[-1]) for end in ends}
    epochs = ends[-1] / iterations_per_epoch(examples, run.batch_size)
    top, margin = f"{run.alpha0:g}", max(5, len(f"{run.alpha0:g}"))
    labels = [top, *[""] * (HEIGHT - 2), "0"]
    lines = [f"{label:>{margin}} {_row(heights, HEIGHT - 1 - row)}" for row, label in enumerate(labels)]
    below = "".join("^" if column in marks else " " for column in range(WIDTH))
    axis = f"epoch 0{f'{epochs:g}':>{WIDTH - len('epoch 0') + margin + 1}}"
    return [line.rstrip() for line in (*lines, f"{'':{margin}} {below}", axis)]


def _row(heights: Sequence[int], row: int) -> str:
    """Return a row of bars, `row` counted from the ground; heights are in eighths of a character."""
    return "".join(EIGHTHS[max(0, min(8, height - 8 * row))] for height in heights)
