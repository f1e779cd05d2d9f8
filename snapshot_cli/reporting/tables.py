"""Tables in the paper's layout as Markdown, CSV and LaTeX: ours, the paper's value beside it, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from snapshot_cli.reporting import latex, text_files
from snapshot_cli.reporting.csv_text import csv_text

if TYPE_CHECKING:
    import pandas as pd

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
BOLD = "Bold: the lowest of ours for each network and dataset."


@dataclass(frozen=True)
class Row:
    """Hold one cell of a table: a method of a network on a dataset, in percent, and the paper's value.

    `error` is the mean over complete replicates, None where there is none; `spread` half of its 95 % interval, None for
    one replicate; `status` that of `analysis.paper`; `missing` of `runs` runs have not finished.
    """

    dataset: str
    network: str
    method: str
    error: float | None
    replicates: int
    spread: float | None
    paper: float | None
    status: str | None
    missing: int
    runs: int | None = None


Flavour = Literal["plain", "markdown", "latex"]


def table(rows: Sequence[Row], *, flavour: Flavour = "plain", study: str | None = None) -> pd.DataFrame:
    """Lay out rows as strings: a line for each network and method, columns (dataset, ours | paper | difference).

    Paper and difference stand only beside datasets of which the paper has a number. Markdown and LaTeX set the lowest
    error of ours in bold, by network and dataset. Raises ValueError where two rows are for one cell.
    """
    import pandas as pd

    cells = {(row.network, row.method, row.dataset): row for row in rows}
    if len(cells) < len(rows):
        raise ValueError("two rows are for the same dataset, network and method")
    marks = {text: number for number, text in enumerate(footnotes(rows, study=study), start=1)}
    style = _STYLES[flavour]
    lines = list(dict.fromkeys((row.network, row.method) for row in rows))
    columns = _columns(rows)
    best = _best(rows)

    def show(line: tuple[str, str], dataset: str, column: str) -> str:
        row = cells.get((*line, dataset))
        if row is None:
            return ""
        mark = marks.get(_footnote(row, study) or "")
        bold = row.error is not None and round(row.error, 2) == best.get((row.network, row.dataset))
        return _ours(row, style, mark, bold=bold) if column == "ours" else style.text(_beside(row, column))

    return pd.DataFrame(
        [[show(line, *column) for column in columns] for line in lines],
        index=pd.MultiIndex.from_tuples(
            [(style.text(a), style.text(b)) for a, b in lines], names=["network", "method"]
        ),
        columns=pd.MultiIndex.from_tuples([(style.text(dataset), column) for dataset, column in columns]),
    )


def footnotes(rows: Sequence[Row], *, study: str | None = None) -> list[str]:
    """Return what is said of unfinished cells, each text once, in the order of its number."""
    return list(dict.fromkeys(note for row in rows if (note := _footnote(row, study))))


def legend(rows: Sequence[Row]) -> list[str]:
    """Return the sentences that explain a table's columns and marks, as far as it has them."""
    sentences = ["Errors in percent."]
    counts = sorted({row.replicates for row in rows if row.spread is not None})
    if counts:
        seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        sentences.append(f"± is half of the 95 % interval of the mean over {seeds} seeds; without it, one seed.")
    statuses = {row.status for row in rows if row.paper is not None}
    if statuses:
        copied = ", * where it was copied from earlier work" if "copied" in statuses else ""
        figure = ", ≈ where it was read off a figure" if "figure" in statuses else ""
        sentences.append(f"Paper: the value of the paper{copied}{figure}. Difference: ours {MINUS} paper, in points.")
    return sentences


def write_table(
    rows: Sequence[Row], stem: Path, *, title: str, notes: Sequence[str], study: str | None = None
) -> list[Path]:
    """Write STEM.md, STEM.csv (a line a row) and STEM.tex (needs booktabs); return the paths.

    `study` is the name that footnotes tell a person to give to `snapshot reproduce`.
    """
    texts = {
        ".md": _markdown(rows, title, notes, study),
        ".csv": csv_text([asdict(row) for row in rows], [field.name for field in fields(Row)]),
        ".tex": _latex(rows, title, notes, study),
    }
    return text_files.write(texts, stem)


def signed(value: float, sign: Literal["+", "-"] = "+") -> str:
    """Return a number to two places with a real minus sign, never before zero; "+" marks what is not below it too."""
    return f"{value:{sign}z.2f}".replace("-", MINUS)


def sentences(rows: Sequence[Row], notes: Sequence[str], study: str | None = None) -> list[str]:
    """Return what stands below a table, footnotes first, as plain text."""
    return list(_sentences(rows, notes, study, style=_STYLES["plain"]))


@dataclass(frozen=True)
class _Style:
    text: Callable[[str], str]
    bold: Callable[[str], str]
    mark: Callable[[int], str]


def _superscript(number: int) -> str:
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


_STYLES = {
    "plain": _Style(str, str, _superscript),
    "markdown": _Style(lambda text: text.replace("|", r"\|"), "**{}**".format, _superscript),
    "latex": _Style(latex.escape, r"\textbf{{{}}}".format, r"\textsuperscript{{{}}}".format),
}


def _columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    known = {row.dataset for row in rows if row.paper is not None}
    datasets = dict.fromkeys(row.dataset for row in rows)
    names = ("ours", "paper", "difference")
    return [(dataset, name) for dataset in datasets for name in (names if dataset in known else names[:1])]


def _best(rows: Sequence[Row]) -> dict[tuple[str, str], float]:
    """Return the lowest printed error of each network and dataset that has two or more to compare."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.error is not None and not math.isnan(row.error):
            groups.setdefault((row.network, row.dataset), []).append(round(row.error, 2))
    return {key: min(errors) for key, errors in groups.items() if len(errors) > 1}


def _ours(row: Row, style: _Style, mark: int | None, *, bold: bool) -> str:
    text = DASH if row.error is None else f"{row.error:.2f}"
    text = style.bold(text) if bold else style.text(text)
    if row.error is not None and row.spread is not None:
        text += style.text(f" ± {row.spread:.2f}")
    return text + (style.mark(mark) if mark else "")


def _beside(row: Row, column: str) -> str:
    if row.paper is None:
        return ""
    if column == "paper":
        return ("≈" if row.status == "figure" else "") + f"{row.paper:.2f}" + ("*" if row.status == "copied" else "")
    if row.error is None or math.isnan(row.error):
        return ""
    return signed(row.error - row.paper)


def _footnote(row: Row, study: str | None) -> str | None:
    if not row.missing:
        return None
    of = "" if row.runs is None else f" of {row.runs}"
    plural = (row.runs or row.missing) > 1
    so_far = "" if row.error is None else f"{row.replicates} replicate{'s' * (row.replicates > 1)} so far; "
    way_out = "" if study is None else f": snapshot reproduce {study} trains {'them' if row.missing > 1 else 'it'}"
    return f"{so_far}{row.missing}{of} run{'s' * plural} missing{way_out}"


def _sentences(rows: Sequence[Row], notes: Sequence[str], study: str | None, *, style: _Style) -> Iterator[str]:
    for number, text in enumerate(footnotes(rows, study=study), start=1):
        yield f"{style.mark(number)} {style.text(text)}"
    explained = " ".join([*legend(rows), *([BOLD] if _best(rows) else [])])
    yield from (style.text(note) for note in [explained, *notes])


def _markdown(rows: Sequence[Row], title: str, notes: Sequence[str], study: str | None) -> str:
    frame = table(rows, flavour="markdown", study=study)
    frame.columns = [dataset if name == "ours" else f"{dataset} {name}" for dataset, name in _columns(rows)]
    align = ("left", "left", *["right"] * frame.shape[1])
    text = frame.reset_index().to_markdown(index=False, disable_numparse=True, colalign=align)
    sentences = _sentences(rows, notes, study, style=_STYLES["markdown"])
    return "\n\n".join([f"# {title}", text, *sentences]) + "\n"


def _latex(rows: Sequence[Row], title: str, notes: Sequence[str], study: str | None) -> str:
    tabular = latex.tabular(table(rows, flavour="latex", study=study))
    sentences = _sentences(rows, notes, study, style=_STYLES["latex"])
    below = [latex.note(sentence) for sentence in sentences]
    return "\n".join([f"% {title}: needs \\usepackage{{booktabs}}", tabular, *below]) + "\n"
