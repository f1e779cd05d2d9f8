"""The cosine schedule of Eq. 2 as a torch learning-rate scheduler, for your own training loop."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from snapshot_cli.errors import UserError
from snapshot_cli.schedule import cosine_lr, cycle_length, snapshot_steps


class SnapshotSchedule(LRScheduler):
    """Set the learning rate by Eq. 2: M cosine cycles, from the initial lr of a parameter group (alpha0) to almost 0.

    Call `step()` after every `optimizer.step()`, T times in all; take a snapshot whenever `cycle_ended` is true. The
    learning rate stays after T steps. `state_dict()` and `load_state_dict()` work as for every torch scheduler: loading
    restores T, M and the learning rate.

    A parameter group added later joins the current cycle, with its own initial lr.

    Raises UserError unless T and M are integers of at least 1, and if M cycles do not fit into T steps; it names the
    nearest M that works.
    """

    def __init__(self, optimizer: Optimizer, *, total_steps: int, cycles: int) -> None:
        total_steps, cycles = _whole("total_steps", total_steps), _whole("cycles", cycles)
        self.ends = snapshot_steps(total_steps, cycles)
        self.length = cycle_length(total_steps, cycles)
        super().__init__(optimizer)

    @property
    def cycle_ended(self) -> bool:
        """Whether the last step ended a cycle: take a snapshot."""
        return self.last_epoch in self.ends

    def get_lr(self) -> list[float | Tensor]:
        """Return the learning rate of the next step for every parameter group; `step()` calls it."""
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        coming = min(self.last_epoch + 1, self.ends[-1])
        return [cosine_lr(coming, alpha0=float(alpha0), length=self.length) for alpha0 in self.base_lrs]

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, with its T and M, and set the optimizer to its learning rate."""
        super().load_state_dict(state_dict)
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], Tensor):  # which a compiled optimizer reads
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"{name}: expected a whole number of at least 1, given {value!r}")
    return int(value)
