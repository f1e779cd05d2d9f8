"""Read the images of a listing into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from snapshot_cli.datasets.decode_files import decode_all
from snapshot_cli.datasets.index import ReadProgress, ignore_progress
from snapshot_cli.datasets.listing import Listing, shorten
from snapshot_cli.datasets.sources import Splits
from snapshot_cli.datasets.store import Images, Labels
from snapshot_cli.errors import UserError


def read(
    listing: Listing,
    array: Path,
    *,
    size: int | None = None,
    skip_broken: bool = False,
    progress: ReadProgress = ignore_progress,
) -> Splits:
    """Decode every image into the file `array`; the images returned are memory-mapped.

    With `size`, the central square of an image is averaged to that side; without, all must be squares of one size.
    Raises UserError naming the files that are wrong; with `skip_broken` they are left out.
    """
    names = [*listing.train, *listing.test]
    images, decoded = decode_all(listing.source, names, array, size=size, progress=progress)
    broken = [row for row, (_, flaw) in enumerate(decoded) if flaw]
    check_broken(listing, [flaw for _, flaw in decoded if flaw], skip_broken=skip_broken)
    kept = [row for row, (_, flaw) in enumerate(decoded) if not flaw]
    if broken:
        _close_gaps(images, kept)
    cut = sum(row < len(listing.train) for row in kept)
    numbers = {name: label for label, name in enumerate(listing.classes)}
    of_name = listing.train | listing.test
    labels: Labels = np.array([numbers[of_name[names[row]]] for row in kept], dtype=np.int64)
    check_left(listing, labels[:cut], labels[cut:])
    return Splits(
        images[:cut], labels[:cut], images[cut : len(kept)], labels[cut:], listing.titles or listing.classes,
        f"{listing.source.resolve().name}, a {listing.kind}",
        names=tuple(names[row] for row in kept), broken=tuple(names[row] for row in broken),
        digests=tuple(decoded[row].digest for row in kept),
    )  # fmt: skip


def check_broken(listing: Listing, flaws: Sequence[str], *, skip_broken: bool) -> None:
    """Raise UserError that lists unreadable files, unless they are skipped."""
    if flaws and not skip_broken:
        files = f"{len(flaws):,} files" if len(flaws) > 1 else "1 file"
        last = f"{listing.source}: {files} cannot be used; mend or delete, or leave out with --skip-broken"
        raise UserError("\n".join([*shorten(flaws), last]))


def check_left(listing: Listing, train: Labels, test: Labels) -> None:
    """Raise UserError if a class has no readable images in a split."""
    for split, labels in (("train", train), (listing.test_split, test)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(listing.classes)) == 0)
        if len(empty):
            name = listing.classes[empty[0]]
            if split == "drawn":
                reason = f"the images of class {name} that are drawn for testing cannot be read; delete these, or give"
                raise UserError(f"{listing.source}: {reason} another --split-seed")
            reason = f"no image of class {name} in {split} can be read; add some, or move its folder away"
            raise UserError(f"{listing.source}: {reason}")


def _close_gaps(images: Images, kept: Sequence[int]) -> None:
    for row, old in enumerate(kept):
        if row != old:
            images[row] = images[old]
