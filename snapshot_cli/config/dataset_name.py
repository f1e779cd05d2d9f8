"""The name of a dataset, which is also a folder's."""

from __future__ import annotations

import re


def check_name(name: str) -> None:
    """Refuse a dataset name that could not be a folder's name everywhere: ValueError."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.', given {name!r}"
        )
