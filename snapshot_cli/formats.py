"""Arrays and tables of numbers as the bytes of a file, and arrays back from bytes that nobody vouches for."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from tokenize import TokenError
from typing import TYPE_CHECKING

from snapshot_cli.errors import visible

if TYPE_CHECKING:
    import numpy as np

MARKS = re.compile(r"[\\`*<\[|&~#]|(?<![^\W_])_|_(?![^\W_])")  # of Markdown; an underscore within a word is none


def markdown_text(text: str) -> str:
    """Return text as Markdown that shows it as it is, in a table too."""
    return MARKS.sub(r"\\\g<0>", visible(text))


def array_to_bytes(array: np.ndarray) -> bytes:
    """Return an array as npy; numpy's own writing to a file does not say why it fails."""
    import numpy as np

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def array_from_bytes(data: bytes, dtype: str, *, dimensions: int) -> np.ndarray:
    """Return the array of an npy file; ValueError, in words, where it is none or of another kind; no code is run."""
    import numpy as np

    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, TypeError, EOFError, MemoryError, OverflowError, SyntaxError, TokenError, RecursionError):
        raise ValueError("not an array of numbers") from None
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(
            f"expected {dtype} in {dimensions} dimension{'s'[: dimensions - 1]}, it holds {array.dtype} in {array.ndim}"
        )
    return array


def table_to_bytes(rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return rows as CSV; floats come back to the last bit."""
    rows = list(rows)
    text = io.StringIO()
    table = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def table_from_bytes(data: bytes) -> list[dict[str, str]]:
    """Return the rows of CSV; ValueError where it is none or a row has more or fewer fields than the head."""
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode()), strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row has more or fewer fields than the head")
    return rows
