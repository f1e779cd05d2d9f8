"""One run in several processes, as torchrun starts them: each computes its share of every batch, the first one writes.

Batch norm's running statistics are each process's own, and those of the first are stored. Training reads none of them,
so that a run goes on exactly from a state that restores the first one's everywhere.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from snapshot_cli.config.machine import Device
from snapshot_cli.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import nn

Value = TypeVar("Value")
STORE_SECONDS = 60.0
PATIENCE = timedelta(hours=12)  # the others wait while the first interpolates; the end of a process is noticed at once


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train a run; where it is alone nothing is sent or computed."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """The examples of a batch that are this rank's."""
        return slice(self.rank, None, self.count)

    @property
    def purpose(self) -> tuple[int, ...]:
        """What a seed is derived from besides its purpose, where ranks draw apart; nothing for the first."""
        return () if self.first else (self.rank,)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return what to call in training: gradients become means over the ranks, batch statistics stay a rank's own.

        What the first starts from, all do. Keeping the statistics apart is what the authors' code did on several
        GPUs.
        """
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        together = DistributedDataParallel(network)
        together.broadcast_buffers = False  # only now, so that the first's are sent once
        return together

    def part(self, loss: torch.Tensor, examples: int, batch: int) -> torch.Tensor:
        """Return a rank's part of the mean loss of a batch, of whose images `examples` are its own: the sum is all."""
        return loss if self.count == 1 else loss * (examples / batch)

    def backward(self, part: torch.Tensor) -> None:
        """Compute the gradients of the loss of which this is a rank's part, of which `wrap` makes the mean."""
        (part if self.count == 1 else part * self.count).backward()  # type: ignore[no-untyped-call]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over ranks of a tensor on the CPU."""
        if self.count > 1:
            from torch import distributed

            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def once(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor that all ranks have as what a sum over ranks counts once: zeros but for the first."""
        return tensor if self.first else tensor.new_zeros(tensor.shape)

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        """Return for each wish whether any rank has it."""
        if self.count == 1:
            return wishes
        import torch
        from torch import distributed

        raised = torch.tensor(wishes, dtype=torch.int32)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return tuple(map(bool, raised.tolist()))

    def tell(self, value: Value) -> Value:
        """Return the first rank's value."""
        if self.count == 1:
            return value
        import torch
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first rank come to the end of the context before the others begin it."""
        if not self.first:
            self.agree(False)
        yield
        if self.first:
            self.agree(False)


ALONE = Ranks()


def join(device: Device) -> Ranks:
    """Return the place that torchrun gave to this process, connected with the others; alone where it has none.

    A process on a GPU takes the one of its number on the host. Raises ConfigError where there are too few.
    """
    count = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if count == 1:
        return ALONE
    import torch
    from torch import distributed

    from snapshot_cli.training import hardware

    cuda = hardware.choose(device).type == "cuda"
    if cuda:
        own, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if own >= there:
            raise ConfigError(
                f"torchrun --nproc-per-node: a process needs a GPU of its own, and there are {there} here; start fewer"
            )
        torch.cuda.set_device(own)
    if not distributed.is_initialized():
        _wait_for_store(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _wait_for_store(host: str, port: int) -> None:
    """Wait until the store through which the ranks meet answers; torch itself would wait for hours, deaf to signals.

    Raises ConfigError where it does not answer within STORE_SECONDS. Without torchrun's own store the first rank is it.
    """
    if os.environ["RANK"] == "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None
    until = time.monotonic() + STORE_SECONDS
    while True:
        try:
            return socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > until:
                raise ConfigError(
                    f"torchrun: nobody answers at MASTER_ADDR {host}, MASTER_PORT {port} ({error.strerror or error}); "
                    "start all processes with torchrun, with the --master-addr of the first host"
                ) from None
            time.sleep(0.2)
