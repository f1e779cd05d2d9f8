import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_cli.errors import UserError
from snapshot_cli.schedule import (
    cosine_lr,
    cycle_length,
    fits,
    nearest_cycles,
    snapshot_steps,
    step_lr,
    steps_per_cycle,
)

CIFAR = 782  # steps of an epoch: 50,000 images, batch 64


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (1, 0.2),
        (2, 0.1 * (math.cos(math.pi / 8) + 1)),
        (5, 0.1),
        (8, 0.1 * (math.cos(7 * math.pi / 8) + 1)),
        (9, 0.2),
        (16, 0.0076120467488713),
    ],
)
def test_golden_rates_of_equation_2(step, rate):
    assert cosine_lr(step, alpha0=0.2, length=8) == pytest.approx(rate, rel=1e-12)


def test_last_rate_of_a_cycle_is_small_and_not_zero():
    length = 50 * CIFAR
    assert cosine_lr(length, alpha0=0.1, length=length) == pytest.approx(0.1 * math.pi**2 / (4 * length**2), rel=1e-6)


@pytest.mark.parametrize(
    ("step", "rate"),
    [(1, 0.1), (50, 0.1), (51, 0.01), (75, 0.01), (76, 0.001), (100, 0.001)],
)
def test_step_rate_drops_after_half_and_three_quarters(step, rate):
    assert step_lr(step, alpha0=0.1, total_steps=100, drops=(0.5, 0.75)) == pytest.approx(rate, rel=1e-12)


def test_step_rate_of_imagenet_falls_after_30_and_60_of_90_epochs():
    rates = [step_lr(epoch * 5005 + 1, alpha0=0.1, total_steps=90 * 5005, drops=(1 / 3, 2 / 3)) for epoch in range(90)]
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)


def test_eight_cycles_of_300_epochs_end_in_mid_epoch():
    ends = snapshot_steps(300 * CIFAR, 8)
    assert ends == [29325 * k for k in range(1, 9)]
    assert ends[0] / CIFAR == 37.5
    assert cosine_lr(ends[-1], alpha0=0.2, length=29325) < 1e-6  # the authors' code takes this one at 0.154


@pytest.mark.parametrize(
    ("steps", "cycles", "lengths"),
    [(12, 3, [4, 4, 4]), (13, 3, [5, 5, 3]), (10, 4, [3, 3, 3, 1]), (7, 1, [7]), (5, 5, [1] * 5)],
)
def test_cycle_lengths(steps, cycles, lengths):
    assert steps_per_cycle(steps, cycles) == lengths


@pytest.mark.parametrize(
    ("steps", "cycles", "near"),
    [
        (10, 6, "5"),
        (10, 11, "10"),
        (9, 6, "5"),
        (100, 35, "34"),
        (100, 40, "34"),
        (9, 4, "3 or 5"),
        (10, 8, "10"),
        (10, 7, "5"),
    ],
)
def test_cycles_that_do_not_fit_name_the_nearest(steps, cycles, near):
    with pytest.raises(UserError) as error:
        snapshot_steps(steps, cycles)
    assert str(error.value) == (
        f"{cycles} cycles do not fit into {steps} steps; the nearest number that works is {near}"
    )


@given(st.integers(1, 2000), st.integers(1, 3000))
def test_snapshots_fill_the_budget_exactly(steps, cycles):
    if not fits(steps, cycles):
        near = nearest_cycles(steps, cycles)
        distance = abs(near[0] - cycles)
        assert all(fits(steps, m) and abs(m - cycles) == distance for m in near)
        closer = range(cycles - distance + 1, cycles + distance)
        assert not any(fits(steps, m) for m in closer if 1 <= m <= steps)
        return
    ends = snapshot_steps(steps, cycles)
    assert len(ends) == cycles
    assert ends[-1] == steps
    assert sum(steps_per_cycle(steps, cycles)) == steps
    assert all(length == cycle_length(steps, cycles) for length in steps_per_cycle(steps, cycles)[:-1])
    assert min(steps_per_cycle(steps, cycles)) >= 1
