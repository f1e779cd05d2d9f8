"""Compile a network with torch.compile, for batches of one size."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn

COMPILERS = ("g++", "clang++", "c++")


def has_compiler() -> bool:
    """Return whether a C++ compiler is installed, which torch.compile needs."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", ""), *COMPILERS) if name)


def compile_for(network: nn.Module, *, device: torch.device, images: int) -> Callable[[Tensor], Tensor]:
    """Return a function that calls the network: compiled for batches of `images` images, eager for others.

    The first call compiles. On a GPU, the compiled network runs as CUDA graphs.
    """
    torch.compiler.reset()  # earlier runs of this process count towards the limit of recompilations
    cuda = device.type == "cuda"
    eager: Callable[[Tensor], Tensor] = network
    compiled: Callable[[Tensor], Tensor] = torch.compile(
        network, dynamic=False, mode="reduce-overhead" if cuda else None
    )

    def forward(batch: Tensor) -> Tensor:
        if len(batch) != images:
            return eager(batch)
        if cuda:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return compiled(batch)

    return forward
