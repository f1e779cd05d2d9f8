"""Random numbers derived from what they are for, so that nothing has to be carried over a restart of the program."""

from __future__ import annotations

import hashlib

import torch


def derive(*purpose: int | str) -> int:
    """Return a seed of 63 bits for a purpose, such as (seed, "order", epoch)."""
    digest = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*purpose: int | str) -> torch.Generator:
    """Return a generator on the CPU for a purpose; its numbers are the same whatever device they are used on."""
    return torch.Generator().manual_seed(derive(*purpose))
