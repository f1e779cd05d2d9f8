"""The cosine schedule of Eq. 2 as a learning-rate scheduler of torch, for a training loop of one's own."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from snapshot_cli.errors import UserError
from snapshot_cli.schedule import cosine_rate, cycle_length, snapshot_iterations


class SnapshotSchedule(LRScheduler):
    """Set the rate of every iteration by Eq. 2: M cosine cycles, each from a group's own rate (alpha0) to almost 0.

    Call `step()` after every `optimizer.step()`, T times in all; where `cycle_ended` is true then, take a snapshot.
    Beyond T the last rate stays. The state is that of every scheduler of torch, and restores the rate, too.

    A parameter group that is added later begins its cosine where the others are, from its own rate.

    Raises UserError for T or M that are no whole numbers of at least 1 and, naming the nearest M that works, where M
    cycles do not fit into T iterations.
    """

    def __init__(self, optimizer: Optimizer, *, iterations: int, cycles: int) -> None:
        _check_whole("iterations", iterations)
        _check_whole("cycles", cycles)
        self.ends = snapshot_iterations(iterations, cycles)
        self.length = cycle_length(iterations, cycles)
        super().__init__(optimizer)

    @property
    def cycle_ended(self) -> bool:
        """Tell whether the last iteration was the last of a cycle, at which a snapshot is taken."""
        return self.last_epoch in self.ends

    def get_lr(self) -> list[float | Tensor]:
        """Return the rate of the coming iteration for every group; called by `step()`."""
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        coming = min(self.last_epoch + 1, self.ends[-1])
        return [cosine_rate(coming, alpha0=float(alpha0), length=self.length) for alpha0 in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where a state was taken, at its rate, whatever the optimizer is set to."""
        super().load_state_dict(state_dict)
        for group, rate in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = rate


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"{name}: expected a whole number of at least 1, given {value!r}")
