"""Data-parallel training under torchrun: every rank computes its share of a batch, rank 0 writes the files.

Batch-norm running statistics differ between ranks; those of rank 0 are stored. Training does not read them, so resuming
is exact although a checkpoint restores those of rank 0 on all ranks.
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
from snapshot_cli.errors import ConfigError, reason

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.distributed import Store  # type: ignore[attr-defined]

Value = TypeVar("Value")
STORE_SECONDS = 60.0
COLLECTIVE_TIMEOUT = timedelta(hours=12)  # ranks wait while rank 0 interpolates; a dead process is noticed at once


@dataclass(frozen=True)
class Ranks:
    """The rank of this process and the number of ranks; with a single rank, all methods are no-ops."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes the files."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """This rank's examples of a batch."""
        return slice(self.rank, None, self.count)

    @property
    def seed_suffix(self) -> tuple[int, ...]:
        """What makes the dropout seeds of ranks differ; empty on rank 0."""
        return () if self.first else (self.rank,)

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network to call in training: it averages gradients over ranks, but not batch statistics.

        All ranks start from the weights of rank 0. The authors' code does not share statistics between GPUs either.
        """
        if self.count == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        parallel = DistributedDataParallel(network)
        parallel.broadcast_buffers = False  # set after the constructor, which broadcasts them once
        return parallel

    def part(self, loss: torch.Tensor, examples: int, batch: int) -> torch.Tensor:
        """Return this rank's part of the mean loss of a batch, from the mean over its `examples` images."""
        return loss if self.count == 1 else loss * (examples / batch)

    def backward(self, part: torch.Tensor) -> None:
        """Compute gradients such that the mean over ranks, which `wrap` takes, is the gradient of the batch's loss."""
        (part if self.count == 1 else part * self.count).backward()  # type: ignore[no-untyped-call]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over ranks of a tensor on the CPU."""
        if self.count > 1:
            from torch import distributed

            tensor = tensor.clone()
            distributed.all_reduce(tensor)
        return tensor

    def only_on_first(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor on rank 0 and zeros elsewhere, so that a sum over ranks counts it once."""
        return tensor if self.first else tensor.new_zeros(tensor.shape)

    def any_rank(self, *flags: bool) -> tuple[bool, ...]:
        """Return for every flag whether it is set on any rank."""
        if self.count == 1:
            return flags
        import torch
        from torch import distributed

        raised = torch.tensor(flags, dtype=torch.int32)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return tuple(map(bool, raised.tolist()))

    def broadcast(self, value: Value) -> Value:
        """Return the value of rank 0."""
        if self.count == 1:
            return value
        import torch
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Let rank 0 leave the context before other ranks enter it."""
        if not self.first:
            self.any_rank(False)
        yield
        if self.first:
            self.any_rank(False)


ALONE = Ranks()


def join(device: Device) -> Ranks:
    """Join the process group of torchrun and return the ranks; a single rank without torchrun.

    On GPUs, a process takes the GPU of its local rank. Raises ConfigError if there are too few.
    """
    count = int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1
    if count == 1:
        return ALONE
    import torch
    from torch import distributed

    from snapshot_cli.training import hardware

    cuda = hardware.choose(device).type == "cuda"
    if cuda:
        local_rank, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= gpus:
            raise ConfigError(
                f"torchrun --nproc-per-node: each process needs a GPU, and there are {gpus} here; start fewer"
            )
        torch.cuda.set_device(local_rank)
    if not distributed.is_initialized():
        _wait_for_store(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        rank = int(os.environ["RANK"])
        distributed.init_process_group(
            backend, store=_store(rank, count), rank=rank, world_size=count, timeout=COLLECTIVE_TIMEOUT
        )
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _store(rank: int, count: int) -> Store:
    """Return the store through which the ranks meet, without what ranks before a restart left there: their addresses.

    torchrun keeps one store through its restarts. It counts them by host, so of several hosts nothing is left out.
    """
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store: Store
    store, _, _ = next(rendezvous("env://", rank, count, timeout=COLLECTIVE_TIMEOUT))
    if int(os.environ["LOCAL_WORLD_SIZE"]) < count:
        return store
    return PrefixStore(f"restart {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)


def _wait_for_store(host: str, port: int) -> None:
    """Wait for the store through which the ranks connect; torch itself would wait for hours, deaf to signals.

    Raises ConfigError if it does not answer within STORE_SECONDS.
    """
    if os.environ["RANK"] == "0" and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return None  # this process will be the store
    until = time.monotonic() + STORE_SECONDS
    while True:
        try:
            return socket.create_connection((host, port), timeout=5).close()
        except OSError as error:
            if time.monotonic() > until:
                raise ConfigError(
                    f"torchrun: no answer at MASTER_ADDR {host}, MASTER_PORT {port} ({reason(error)}); "
                    "start all processes with torchrun, with the --master-addr of the first host"
                ) from None
            time.sleep(0.2)
