"""A data frame of text as an HTML table whose headings span what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from snapshot_cli.reporting.tables import DASH

if TYPE_CHECKING:
    import pandas as pd

BOLD = re.compile(r"\*\*(.+?)\*\*")
DENSE = 9  # columns; more are set smaller
LONG = 28  # characters; longer text may wrap


def html_table(frame: pd.DataFrame) -> Markup:
    """Return a frame of text as a table; **bold** is set bold, columns of numbers are flush right.

    The outermost of two or more index levels is a group, named in a row of its own; an index without names is not
    shown.
    """
    numbers = [all(_is_number(str(cell)) for cell in frame.iloc[:, place]) for place in range(frame.shape[1])]
    names = [str(name) for name in frame.index.names if name is not None]
    parts = [
        '<table class="dense">' if len(numbers) > DENSE else "<table>",
        "<thead>",
        *_head(frame, names[1:] if len(names) > 1 else names, numbers),
        "</thead>",
        "<tbody>",
    ]
    parts += [*_body(frame, len(names), numbers), "</tbody>", "</table>"]
    return Markup("\n".join(parts))  # every text in it went through escape


def _head(frame: pd.DataFrame, names: Sequence[str], numbers: Sequence[bool]) -> Iterator[str]:
    columns = [_key(column) for column in frame.columns]
    depth = frame.columns.nlevels
    for level in range(depth):
        last = level == depth - 1
        cells = [_th(name if last else "", scope="col" if last else None) for name in names]
        if last:
            cells += [
                _th(c[-1], scope="col", kind="number" if n else "") for c, n in zip(columns, numbers, strict=True)
            ]
        else:
            cells += [
                _th(above[-1], scope="colgroup", kind="over", colspan=len(list(group)))
                for above, group in groupby(columns, key=lambda column: column[: level + 1])
            ]
        yield f"<tr>{''.join(cells)}</tr>"


def _body(frame: pd.DataFrame, levels: int, numbers: Sequence[bool]) -> Iterator[str]:
    index = [_key(line) for line in frame.index]
    lines = frame.astype(str).to_numpy().tolist()
    start = 0
    for _, group in groupby(index, key=lambda key: key[0]):
        size = len(list(group))
        if levels > 1:
            name = _th(index[start][0], scope="rowgroup", colspan=levels - 1 + len(numbers))
            yield f'<tr class="group">{name}</tr>'
        for place in range(start, start + size):
            heads = "".join(_th(name, scope="row") for name in index[place][int(levels > 1) : levels])
            cells = "".join(_td(text, number) for text, number in zip(lines[place], numbers, strict=True))
            yield f"<tr>{heads}{cells}</tr>"
        start += size


def _th(text: object, *, scope: str | None, kind: str = "", colspan: int = 1) -> str:
    attributes = [
        f' scope="{scope}"' if scope else "",
        f' class="{kind}"' if kind else "",
        f' colspan="{colspan}"' if colspan > 1 else "",
    ]
    return f"<th{''.join(attributes)}>{_marked(text)}</th>"


def _td(text: str, number: bool) -> str:
    kind = "number" if number else "words" if len(text) > LONG else ""
    start_tag = f'<td class="{kind}">' if kind else "<td>"
    return f"{start_tag}{_marked(text)}</td>"


def _key(label: object) -> tuple[object, ...]:
    """Return the levels of a row's or column's label."""
    return label if isinstance(label, tuple) else (label,)


def _is_number(text: str) -> bool:
    """Tell whether a cell belongs into a column of numbers: a number, with what may stand before it, or none."""
    bare = text.lstrip("*≈±<>+-\N{MINUS SIGN} ")
    return not text or text[0] == DASH or bare[:1].isdigit() or bare.startswith("nan")


def _marked(text: object) -> str:
    """Return escaped text with **bold** as an element, and the bars that Markdown escapes as they were."""
    return BOLD.sub(r"<strong>\1</strong>", str(escape(str(text).replace(r"\|", "|"))))
