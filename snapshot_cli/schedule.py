"""Learning rates and the steps that take snapshots: pure functions of the step, which counts from 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snapshot_cli.errors import UserError


def cosine_lr(step: int, *, alpha0: float, length: int) -> float:
    """Return the learning rate of Eq. 2: alpha0 at the start of every cycle of `length` steps, almost 0 at its end."""
    phase = (step - 1) % length / length
    return alpha0 / 2 * (math.cos(math.pi * phase) + 1)


def step_lr(step: int, *, alpha0: float, total_steps: int, drops: Sequence[float]) -> float:
    """Return alpha0 divided by 10 for every drop reached; a drop of 0.5 is reached after half of all steps."""
    reached = sum(step - 1 >= drop * total_steps for drop in drops)
    return alpha0 * 0.1**reached


def cycle_length(total_steps: int, cycles: int) -> int:
    """Return ceil(T/M), the number of steps of every cycle (Eq. 2); the last cycle can be shorter."""
    return -(-total_steps // cycles)


def snapshot_steps(total_steps: int, cycles: int) -> list[int]:
    """Return the M steps after which a snapshot is taken: ceil(T/M), 2 ceil(T/M), ..., T.

    Raises UserError, naming the nearest M that works, when ceil(T/M) (M - 1) >= T leaves the last cycle empty.
    """
    if not fits(total_steps, cycles):
        near = " or ".join(map(str, nearest_cycles(total_steps, cycles)))
        raise UserError(f"{cycles} cycles do not fit into {total_steps} steps; the nearest number that works is {near}")
    length = cycle_length(total_steps, cycles)
    return [min(k * length, total_steps) for k in range(1, cycles + 1)]


def steps_per_cycle(total_steps: int, cycles: int) -> list[int]:
    """Return the number of steps of each cycle; they add up to T."""
    ends = snapshot_steps(total_steps, cycles)
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def fits(total_steps: int, cycles: int) -> bool:
    """Return whether M cycles fit into T steps, none of them empty."""
    return cycle_length(total_steps, cycles) * (cycles - 1) < total_steps


def nearest_cycles(total_steps: int, cycles: int) -> list[int]:
    """Return the one or two numbers of cycles that fit into T steps and are nearest to one that does not.

    Those that fit are ceil(T/L) for the lengths L = 1, 2, ...; the nearest have the cycles' own length or one less.
    """
    length = cycle_length(total_steps, cycles)
    below = cycle_length(total_steps, length)
    above = cycle_length(total_steps, length - 1) if length > 1 else total_steps
    distance = min(abs(below - cycles), abs(above - cycles))
    return sorted({near for near in (below, above) if abs(near - cycles) == distance})
