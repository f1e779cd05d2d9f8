"""Plot the learning rate of a run as text in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from snapshot_cli.config.experiment import Run, steps_per_epoch

EIGHTHS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 60, 6  # characters


def plot_as_text(run: Run, examples: int) -> list[str]:
    """Plot the learning rate of a run against epochs as lines of text, with a mark below every snapshot."""
    snapshot_steps = run.snapshot_steps(examples)
    total = snapshot_steps[-1]
    column_steps = [column * total // WIDTH + 1 for column in range(WIDTH)]
    heights = [round(8 * HEIGHT * run.lr(step, examples) / run.alpha0) for step in column_steps]
    marked_columns = {min(WIDTH - 1, (step - 1) * WIDTH // total) for step in snapshot_steps}
    epochs = total / steps_per_epoch(examples, run.batch_size)
    top, margin = f"{run.alpha0:g}", max(5, len(f"{run.alpha0:g}"))
    labels = [top, *[""] * (HEIGHT - 2), "0"]
    lines = [f"{label:>{margin}} {_bar_row(heights, HEIGHT - 1 - row)}" for row, label in enumerate(labels)]
    marks = "".join("^" if column in marked_columns else " " for column in range(WIDTH))
    axis = f"epoch 0{f'{epochs:g}':>{WIDTH - len('epoch 0') + margin + 1}}"
    return [line.rstrip() for line in (*lines, f"{'':{margin}} {marks}", axis)]


def _bar_row(heights: Sequence[int], row: int) -> str:
    """Return one row of a bar chart, row 0 at the bottom; heights are in eighths of a character."""
    return "".join(EIGHTHS[max(0, min(8, height - 8 * row))] for height in heights)
