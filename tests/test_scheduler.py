import io

import pytest
import torch

from snapshot_cli import SnapshotSchedule
from snapshot_cli.errors import UserError
from snapshot_cli.schedule import cosine_lr, cycle_length, snapshot_steps


def made(rates=(0.1,), total_steps=7, cycles=3):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups)
    return optimizer, SnapshotSchedule(optimizer, total_steps=total_steps, cycles=cycles)


def trace(optimizer, schedule, steps):
    """Return the rates of every step's groups and the steps at which a cycle ended."""
    rates, ends = [], []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
        if schedule.cycle_ended:
            ends.append(schedule.last_epoch)
    return rates, ends


@pytest.mark.parametrize(("steps", "cycles"), [(7, 3), (12, 4), (5, 1), (6, 6), (300, 8)])
def test_rates_and_ends_are_those_of_the_paper(steps, cycles):
    rates, ends = trace(*made((0.1, 0.02), steps, cycles), steps)
    length = cycle_length(steps, cycles)
    assert rates == [
        [cosine_lr(t, alpha0=alpha0, length=length) for alpha0 in (0.1, 0.02)] for t in range(1, steps + 1)
    ]
    assert ends == snapshot_steps(steps, cycles)


def test_the_last_rate_stays():
    optimizer, schedule = made()
    rates, ends = trace(optimizer, schedule, 10)
    assert rates[6] == rates[7] == rates[9]
    assert ends == [3, 6, 7]


@pytest.mark.parametrize("done", range(8))
@pytest.mark.parametrize("order", ["both", "schedule first", "optimizer before the schedule is made", "schedule alone"])
def test_a_restored_schedule_goes_on_exactly(done, order):
    optimizer, schedule = made((0.1, 0.02))
    trace(optimizer, schedule, done)
    content = io.BytesIO()
    torch.save((optimizer.state_dict(), schedule.state_dict()), content)
    content.seek(0)
    of_optimizer, of_schedule = torch.load(content, weights_only=True)
    other = torch.optim.SGD([{"params": g["params"], "lr": 0.5} for g in optimizer.param_groups])
    if order == "optimizer before the schedule is made":
        other.load_state_dict(of_optimizer)
    restored = SnapshotSchedule(other, total_steps=9, cycles=2)
    if order == "both":
        other.load_state_dict(of_optimizer)
    restored.load_state_dict(of_schedule)
    if order == "schedule first":
        other.load_state_dict(of_optimizer)
    assert restored.get_last_lr() == schedule.get_last_lr()
    assert restored.cycle_ended == schedule.cycle_ended
    assert trace(other, restored, 7 - done) == trace(optimizer, schedule, 7 - done)


@pytest.mark.parametrize(
    ("name", "value"),
    [("total_steps", 0), ("total_steps", 7.5), ("total_steps", "7"), ("cycles", 0), ("cycles", -1), ("cycles", True)],
)
def test_numbers_that_are_none(name, value):
    with pytest.raises(UserError, match=f"^{name}: expected a whole number of at least 1, given {value!r}$"):
        made(**{name: value})


def test_a_group_that_is_added_later_joins_the_cycle_from_its_own_rate():
    optimizer, schedule = made((0.1,), total_steps=8, cycles=2)
    trace(optimizer, schedule, 2)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.4})
    rates, _ = trace(optimizer, schedule, 6)
    assert rates[0][1] == 0.4
    assert [own for _, own in rates[1:]] == [cosine_lr(t, alpha0=0.4, length=4) for t in range(4, 9)]


def test_cycles_that_do_not_fit():
    with pytest.raises(UserError, match=r"^5 cycles do not fit into 6 steps; the nearest number that works is 6$"):
        made(total_steps=6, cycles=5)


def test_a_rate_that_is_a_tensor_stays_that_tensor():
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    schedule = SnapshotSchedule(optimizer, total_steps=6, cycles=2)
    optimizer.step()
    schedule.step()
    held = optimizer.param_groups[0]["lr"]
    state = schedule.state_dict()
    expected = float(held)
    optimizer.step()
    schedule.step()
    schedule.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] is held
    assert float(held) == pytest.approx(expected)


def test_numpy_integers_give_a_state_of_plain_values():
    import numpy as np

    _, schedule = made(total_steps=np.int64(10), cycles=np.int64(2))
    assert {type(end) for end in (*schedule.state_dict()["ends"], schedule.length)} == {int}
