"""The learning rate at an iteration and the iterations at which snapshots fall; pure, and iterations count from 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snapshot_cli.errors import UserError


def cycle_length(iterations: int, cycles: int) -> int:
    """Return ceil(T/M), the iterations of every cycle but possibly the last (Eq. 2)."""
    return -(-iterations // cycles)


def cosine_rate(iteration: int, *, alpha0: float, length: int) -> float:
    """Return the rate of Eq. 2 at an iteration: alpha0 at the start of every cycle of `length`, almost 0 at its end."""
    phase = (iteration - 1) % length / length
    return alpha0 / 2 * (math.cos(math.pi * phase) + 1)


def step_rate(iteration: int, *, alpha0: float, iterations: int, drops: Sequence[float]) -> float:
    """Return alpha0 divided by 10 for every drop reached; a drop of 0.5 is reached once T/2 iterations are done."""
    reached = sum(iteration - 1 >= drop * iterations for drop in drops)
    return alpha0 * 0.1**reached


def snapshot_iterations(iterations: int, cycles: int) -> list[int]:
    """Return the M iterations after which a snapshot is taken: ceil(T/M), 2 ceil(T/M), ..., T.

    Raises UserError, naming the nearest M that works, when ceil(T/M) (M - 1) >= T leaves the last cycle empty.
    """
    if not fits(iterations, cycles):
        near = " or ".join(map(str, nearest_cycles(iterations, cycles)))
        raise UserError(
            f"{cycles} cycles do not fit into {iterations} iterations; the nearest number that works is {near}"
        )
    length = cycle_length(iterations, cycles)
    return [min(k * length, iterations) for k in range(1, cycles + 1)]


def cycle_iterations(iterations: int, cycles: int) -> list[int]:
    """Return the number of iterations of each cycle; they add up to T."""
    ends = snapshot_iterations(iterations, cycles)
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def fits(iterations: int, cycles: int) -> bool:
    """Tell whether T iterations hold M cycles, none of them empty."""
    return cycle_length(iterations, cycles) * (cycles - 1) < iterations


def nearest_cycles(iterations: int, cycles: int) -> list[int]:
    """Return the one or two numbers of cycles nearest to one that does not fit into T iterations.

    Those that fit are ceil(T/L) for the lengths L = 1, 2, ...; the nearest have the cycles' own length or one less.
    """
    length = cycle_length(iterations, cycles)
    below = cycle_length(iterations, length)
    above = cycle_length(iterations, length - 1) if length > 1 else iterations
    distance = min(abs(below - cycles), abs(above - cycles))
    return sorted({near for near in (below, above) if abs(near - cycles) == distance})
