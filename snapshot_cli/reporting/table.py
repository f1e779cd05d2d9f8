"""A table as Markdown, CSV, LaTeX and HTML, from cells that know what of them is bold and what is said below."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from markupsafe import Markup, escape

from snapshot_cli.errors import visible
from snapshot_cli.files import write_atomically
from snapshot_cli.formats import markdown_text

if TYPE_CHECKING:
    from snapshot_cli.reporting.drawn import Request

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
DENSE = 9  # columns; more are set smaller on the page
HEADS = ("network", "method")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "|": r"\textbar{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"α": r"$\alpha$", "₀": "$_0$", "±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "≥": r"$\geq$", "→": r"$\to$"}
    | {"λ": r"$\lambda$", "<": "$<$", ">": "$>$", "²": "$^2$"}
    | {MINUS: "$-$", DASH: "--"}
)


class Cell(NamedTuple):
    """A cell: text that may be bold, what follows it, and a footnote."""

    text: str = ""
    after: str = ""
    bold: bool = False
    footnote: str | None = None


class Column(NamedTuple):
    """A column's heading, the one that spans it and its neighbours, and the two in one line."""

    above: str
    name: str
    flat: str


@dataclass(frozen=True)
class Table:
    """A table, its rows by network and method, and what stands below it.

    `cells` counts the scored cells that it rests on, `records` are the lines of the CSV file. The legend explains
    columns and marks; a note is a paragraph, or a heading and a list whose items begin with "- " on lines of their own.
    """

    request: Request
    caption: str
    cells: int
    title: str
    columns: Sequence[Column]
    rows: Mapping[tuple[str, str], Sequence[Cell]]
    records: Sequence[Mapping[str, object]]
    legend: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def footnotes(self) -> dict[str, int]:
        """The number of every footnote, equal ones once."""
        texts = dict.fromkeys(cell.footnote for row in self.rows.values() for cell in row if cell.footnote)
        return {text: number for number, text in enumerate(texts, start=1)}

    def write(self, folder: Path) -> list[Path]:
        """Write it as Markdown, CSV and LaTeX; return the paths."""
        texts = {".md": self.markdown(), ".csv": csv_text(self.records), ".tex": self.latex()}
        paths = {folder / f"{self.request.stem}{suffix}": text.encode() for suffix, text in texts.items()}
        for path, content in paths.items():
            _write(path, content)
        return list(paths)

    def markdown(self) -> str:
        """Return a heading, the table and the sentences below it."""
        from tabulate import tabulate

        lines = [
            [*map(markdown_text, names), *(self._text(cell, _pipes, "**{}**".format, _superscript) for cell in row)]
            for names, row in self.rows.items()
        ]
        heads = [*HEADS, *(markdown_text(column.flat) for column in self.columns)]
        align = ["left"] * len(HEADS) + ["right"] * len(self.columns)
        table = tabulate(lines, heads, tablefmt="pipe", disable_numparse=True, colalign=align)
        below = [f"{_superscript(number)} {text}" for text, number in self.footnotes.items()]
        return "\n\n".join([f"# {markdown_text(self.title)}", table, *below, *self.legend, *self.notes]) + "\n"

    def latex(self) -> str:
        """Return a booktabs tabular: a rule between networks, named once, and the sentences below."""
        names = [network for network, _ in self.rows]
        rules = ["\\midrule\n" if before != name else "" for before, name in pairwise(names)]
        shown = [name if position == 0 or names[position - 1] != name else "" for position, name in enumerate(names)]
        lines = [
            " & ".join(
                [
                    *map(latex_text, (name, method)),
                    *(self._text(cell, latex_text, r"\textbf{{{}}}".format, _latex_superscript) for cell in row),
                ]
            )
            for name, ((_, method), row) in zip(shown, self.rows.items(), strict=True)
        ]
        spans = [
            (latex_text(above), len(list(columns)))
            for above, columns in groupby(self.columns, lambda column: column.above)
        ]
        below = [f"{_latex_superscript(number)} {latex_text(text)}" for text, number in self.footnotes.items()]
        return (
            "\n".join(
                [
                    f"% {visible(self.title)}: needs \\usepackage{{booktabs}}",
                    rf"\begin{{tabular}}{{{'l' * len(HEADS)}{'r' * len(self.columns)}}}",
                    r"\toprule",
                    " & ".join(["", "", *(rf"\multicolumn{{{n}}}{{c}}{{{above}}}" for above, n in spans)]) + r" \\",
                    " ".join(_rules(spans)),
                    " & ".join([*HEADS, *(latex_text(column.name) for column in self.columns)]) + r" \\",
                    r"\midrule",
                    *(rule + line + r" \\" for rule, line in zip(["", *rules], lines, strict=True)),
                    r"\bottomrule",
                    r"\end{tabular}",
                    *map(_latex_note, [*below, *map(latex_text, [*self.legend, *self.notes])]),
                ]
            )
            + "\n"
        )

    def html(self) -> Markup:
        """Return the table with its footnotes and legend; notes are left to the page."""
        below = [f"{_superscript(number)} {text}" for text, number in self.footnotes.items()]
        return Markup("\n").join(
            [
                Markup('<table class="dense">' if len(self.columns) > DENSE else "<table>"),
                *self._head(),
                *self._body(),
                Markup("</table>"),
                *(Markup('<p class="note">{}</p>').format(text) for text in [*below, *self.legend]),
            ]
        )

    def _head(self) -> Iterator[Markup]:
        over = [
            Markup('<th scope="colgroup" class="over" colspan="{}">{}</th>').format(len(list(columns)), above)
            for above, columns in groupby(self.columns, lambda column: column.above)
        ]
        names = [Markup('<th scope="col" class="number">{}</th>').format(column.name) for column in self.columns]
        yield Markup("<thead><tr><th></th>{}</tr>").format(Markup().join(over))
        yield Markup('<tr><th scope="col">{}</th>{}</tr></thead>').format(HEADS[1], Markup().join(names))

    def _body(self) -> Iterator[Markup]:
        yield Markup("<tbody>")
        for network, rows in groupby(self.rows.items(), lambda item: item[0][0]):
            span = 1 + len(self.columns)
            yield Markup('<tr class="group"><th scope="rowgroup" colspan="{}">{}</th></tr>').format(span, network)
            for (_, method), row in rows:
                cells = Markup().join(Markup('<td class="number">{}</td>').format(self._html(cell)) for cell in row)
                yield Markup('<tr><th scope="row">{}</th>{}</tr>').format(method, cells)
        yield Markup("</tbody>")

    def _html(self, cell: Cell) -> Markup:
        return Markup(self._text(cell, lambda text: str(escape(text)), "<strong>{}</strong>".format, _superscript))

    def _text(
        self, cell: Cell, escaped: Callable[[str], str], bold: Callable[[str], str], mark: Callable[[int], str]
    ) -> str:
        text = escaped(cell.text)
        mark_text = "" if cell.footnote is None else mark(self.footnotes[cell.footnote])
        return (bold(text) if cell.bold else text) + escaped(cell.after) + mark_text


def signed(value: float, sign: Literal["+", "-"] = "+", places: int = 2) -> str:
    """Return a number with a real minus sign, never before zero; "+" marks what is not below it too."""
    return f"{value:{sign}z.{places}f}".replace("-", MINUS)


def number(value: float | None, half: float | None = None, places: int = 2) -> Cell:
    """Return a mean with half of its interval, where there is one; a dash for no value."""
    if value is None:
        return Cell(DASH)
    return Cell(f"{value:.{places}f}", "" if half is None else f" ± {half:.{places}f}")


def csv_text(records: Sequence[Mapping[str, object]]) -> str:
    """Return a line a record, numbers to ten digits, as the last ones of a double depend on the kind of processor.

    None is an empty field and NaN is written nan, so that a diverged run stays visible.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]) if records else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _rounded(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def latex_text(text: str) -> str:
    """Return text with LaTeX's own characters and the mathematical ones of our labels spelled out."""
    return text.translate(LATEX).replace(r"$\alpha$$_0$", r"$\alpha_0$")


def _latex_note(text: str) -> str:
    lines = text.replace("\n", "\\\\\n")
    return rf"\par\noindent{{\footnotesize {lines}\par}}"


def _rules(spans: Sequence[tuple[str, int]]) -> Iterator[str]:
    first = len(HEADS) + 1
    for _, columns in spans:
        yield rf"\cmidrule(lr){{{first}-{first + columns - 1}}}"
        first += columns


def _pipes(text: str) -> str:
    return text.replace("|", r"\|")


def _latex_superscript(number: int) -> str:
    return rf"\textsuperscript{{{number}}}"


def _superscript(number: int) -> str:
    return str(number).translate(SUPERSCRIPTS)


def _rounded(value: object) -> object:
    return float(f"{value:.10g}") if isinstance(value, float) else value


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, content)
