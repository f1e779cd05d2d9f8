"""Shared memory for decoded batches: /dev/shm on Linux, which has 64 MB in a Docker container."""

from __future__ import annotations

import shutil
from pathlib import Path

from snapshot_cli.errors import UserError

FOLDER = Path("/dev/shm")
AHEAD = 2  # batches that each decoder has ready: torch's DataLoader


def free() -> int | None:
    """Return the free bytes; None if the system has no such folder."""
    return shutil.disk_usage(FOLDER).free if FOLDER.is_dir() else None


def needed(batch_size: int, side: int, workers: int) -> int:
    """Return the bytes of the batches that decoders have ready at a time, of uint8 images with `side` pixels."""
    return 3 * side**2 * batch_size * (AHEAD * workers + 1) if workers else 0


def too_small() -> UserError:
    """Return the error for shared memory that is too small."""
    room = shutil.disk_usage(FOLDER)
    return UserError(
        f"{FOLDER}: too small for a batch of images: {room.total / 1e6:.1f} MB, {room.free / 1e6:.1f} MB of it free; "
        "give the container more (docker run --shm-size 8g), or decode without it: --workers 0"
    )
