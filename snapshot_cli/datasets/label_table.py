"""Read a table of labels: a CSV file with the columns file, class and, optionally, split."""

from __future__ import annotations

import csv
import difflib
import io
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from snapshot_cli.datasets.image_files import Source
from snapshot_cli.errors import UserError, reason, visible

DELIMITERS = ",;\t"  # spreadsheets write ';' where the comma is the decimal point
UTF16 = (b"\xff\xfe", b"\xfe\xff")  # the first bytes of such a file
MAX_COMPARED = 10_000  # file names that a name is compared with


class Row(NamedTuple):
    """A row of a table."""

    line: int
    file: str
    label: str
    split: str | None
    """In lower case; None if the table has no such column."""


def find_table(source: Source, path: Path) -> str | None:
    """Return the path of a table inside the source, in any of its folders; None for a table outside."""
    if path.is_file():
        return None
    name = path.as_posix()
    inside = [file for file in source.files if f"/{file}".endswith(f"/{name}")]
    return min(inside, key=len, default=None)


def read_table(source: Source, path: Path, inside: str | None) -> list[Row]:
    """Read a table, which lies at `inside` in the source or else at `path`; UserError for a table of another form."""
    text = _read_text(path, source.files[inside] if inside else path.read_bytes)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=first.count))
    rows = list[Row]()
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        _check_columns(path, columns)
        for values in (row for row in reader if any(map(str.strip, row))):
            if any(values[len(columns) :]):
                raise UserError(
                    f"{path}:{reader.line_num}: {len(values)} values for {len(columns)} columns; put values that"
                    " contain the separator in quotes"
                )
            named = dict(zip(columns, map(str.strip, values), strict=False))
            split = named.get("split", "").lower() if "split" in columns else None
            rows.append(Row(reader.line_num, named.get("file", ""), named.get("class", ""), split))
    except csv.Error as problem:
        raise UserError(f"{path}:{reader.line_num}: {problem}") from None
    if not rows:
        raise UserError(f"{path}: no lines below the names of the columns")
    return rows


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if not {"file", "class"} <= {*columns}:
        given = visible(", ".join(columns)) or "an empty file"
        raise UserError(
            f"{path}: expected the columns file, class and optionally split, given {given}; rename the columns in the"
            " first line"
        )
    repeated = [name for name in ("file", "class", "split") if columns.count(name) > 1]
    if repeated:
        raise UserError(f"{path}: several columns are called {repeated[0]}; rename or delete the others")


def _read_text(path: Path, read: Callable[[], bytes]) -> str:
    try:
        content = read()
        text = content.decode("utf-16" if content.startswith(UTF16) else "utf-8-sig")
    except UnicodeError:
        text = "\0"
    except (OSError, ValueError) as problem:
        raise UserError(f"{path}: cannot be read ({reason(problem)})") from None
    if "\0" in text:
        raise UserError(f"{path}: not UTF-8; save the table as CSV UTF-8")
    return text


class FileNames:
    """Find the images that a table names.

    A name is relative to the source (with or without its `prefix`), relative to the folder of the table, or absolute.
    """

    def __init__(self, source: Source, images: Sequence[str], table: Path, inside: str | None, *, prefix: str) -> None:
        self._folder = os.path.abspath(source.path)
        self._table_folder = os.path.abspath(table.parent if inside is None else source.path / inside / "..")
        self._images = {_normal(name): name for name in images}
        if prefix:
            self._images |= {_normal(name.removeprefix(prefix)): name for name in images}

    def find(self, file: str) -> str | None:
        """Return the path of an image inside the source; None if there is none of this name."""
        slashed = file.replace("\\", "/").removeprefix("./")
        image = self._images.get(_normal(file)) or self._images.get(_normal(slashed))
        if image is None:
            path = os.path.join(self._table_folder, slashed)  # an absolute path stays as it is
            image = self._images.get(_normal(os.path.relpath(path, self._folder)))
        return image

    def hint(self, file: str) -> str:
        """Return "; is it NAME?" with the image that is probably meant, or nothing."""
        name = _normal(file).replace("\\", "/").lower()
        for key in (name, name.rpartition("/")[2]):
            similar = self._by_similar_name.get(key, [])
            if len(similar) == 1:
                return f"; is it {visible(similar[0])}?"
        close = difflib.get_close_matches(_normal(file), list(self._images)[:MAX_COMPARED], 1)
        return f"; is it {visible(close[0])}?" if close else ""

    @cached_property
    def _by_similar_name(self) -> dict[str, list[str]]:
        """The images by path, path without ending, and file name, in lower case."""
        similar = defaultdict[str, list[str]](list)
        for image in self._images:
            lower = image.lower()
            for key in {lower, os.path.splitext(lower)[0], lower.rpartition("/")[2]}:
                similar[key].append(image)
        return similar


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
