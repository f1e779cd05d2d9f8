"""Write a table as Markdown, CSV, LaTeX and HTML, with bold cells and footnotes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from snapshot_cli.analysis.outcomes import Outcome, count_range
from snapshot_cli.errors import visible
from snapshot_cli.files import write_atomically
from snapshot_cli.formats import markdown_text, table_to_bytes

if TYPE_CHECKING:
    from snapshot_cli.reporting.drawn import Request

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
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
    """A cell: text that may be bold, a suffix that is not, and a footnote."""

    text: str = ""
    after: str = ""
    bold: bool = False
    footnote: str | None = None


class Column(NamedTuple):
    """The headings of a column: a spanning one above, its name, and both in one line."""

    above: str
    name: str
    flat: str


@dataclass(frozen=True)
class Table:
    """A table with its rows by network and method, and the text below it.

    `cells` counts the scored cells that the table shows; `records` are the rows of the CSV file. The legend explains
    columns and marks. A note is a paragraph, or a heading followed by list items on separate lines, starting with "- ".
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
        """The numbers of the distinct footnotes, by text."""
        texts = dict.fromkeys(cell.footnote for row in self.rows.values() for cell in row if cell.footnote)
        return {text: number for number, text in enumerate(texts, start=1)}

    def write(self, folder: Path) -> list[Path]:
        """Write the table as Markdown, CSV and LaTeX, and return the paths."""
        texts = {".md": self.markdown(), ".csv": csv_text(self.records), ".tex": self.latex()}
        paths = {folder / f"{self.request.stem}{suffix}": text.encode() for suffix, text in texts.items()}
        for path, content in paths.items():
            write_atomically(path, content)
        return list(paths)

    def markdown(self) -> str:
        """Return the table as Markdown: a heading, the table, footnotes, legend and notes."""
        from tabulate import tabulate  # slow, and the terminal's tables need it not

        lines = [
            [*map(markdown_text, names), *(self._text(cell, _pipes, "**{}**".format, _superscript) for cell in row)]
            for names, row in self.rows.items()
        ]
        heads = [*HEADS, *(markdown_text(column.flat) for column in self.columns)]
        align = ["left"] * len(HEADS) + ["right"] * len(self.columns)
        table = tabulate(lines, heads, tablefmt="pipe", disable_numparse=True, colalign=align)
        return "\n\n".join([f"# {markdown_text(self.title)}", table, *self.below, *self.notes]) + "\n"

    def latex(self) -> str:
        """Return the table as a booktabs tabular with a rule between networks, followed by footnotes, legend, notes."""
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
        below = [f"{_latex_superscript(number)} {latex_text(text)}" for text, number in self.footnotes.items()]
        return (
            "\n".join(
                [
                    f"% {visible(self.title)}: needs \\usepackage{{booktabs}}",
                    rf"\begin{{tabular}}{{{'l' * len(HEADS)}{'r' * len(self.columns)}}}",
                    r"\toprule",
                    " & ".join(["", "", *(_spanning(*span) for span in self.spans)]) + r" \\",
                    " ".join(_rules(self.spans)),
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

    @property
    def spans(self) -> list[tuple[str, int]]:
        """The spanning headings with their number of columns."""
        return [(above, len(list(columns))) for above, columns in groupby(self.columns, lambda column: column.above)]

    @property
    def below(self) -> list[str]:
        """The footnotes with their marks, and the legend."""
        return [*(f"{_superscript(number)} {text}" for text, number in self.footnotes.items()), *self.legend]

    def mark(self, cell: Cell) -> str:
        """Return the mark of a cell's footnote, if it has one."""
        return "" if cell.footnote is None else _superscript(self.footnotes[cell.footnote])

    def _text(
        self, cell: Cell, escaped: Callable[[str], str], bold: Callable[[str], str], mark: Callable[[int], str]
    ) -> str:
        text = escaped(cell.text)
        mark_text = "" if cell.footnote is None else mark(self.footnotes[cell.footnote])
        return (bold(text) if cell.bold else text) + escaped(cell.after) + mark_text


def bullets(heading: str, items: Iterable[str]) -> str:
    """Return a note with a list: the heading, followed by a line "- item" per item."""
    return "\n- ".join([heading, *items])


def signed(value: float, sign: Literal["+", "-"] = "+", places: int = 2) -> str:
    """Format a number with a typographic minus sign and without negative zero; "+" also marks positive numbers."""
    return f"{value:{sign}z.{places}f}".replace("-", MINUS)


def number(value: float | None, half_width: float | None = None, places: int = 2) -> Cell:
    """Return a cell with a mean and, if given, the half-width of its interval; a dash for no value."""
    if value is None:
        return Cell(DASH)
    return Cell(f"{value:.{places}f}", "" if half_width is None else f" ± {half_width:.{places}f}")


def interval_legend(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a sentence that explains ±, or nothing if no outcome has several seeds."""
    counts = {len(outcome.scores) for outcome in outcomes}
    several = [count for count in counts if count > 1]
    if not several:
        return []
    single = "; without ±, one seed" if 1 in counts else ""
    return [f"± is the half-width of the 95 % interval of the mean over {count_range(several)} seeds{single}."]


def csv_text(records: Sequence[Mapping[str, object]]) -> str:
    """Return the records as CSV with ten significant digits: the last digits of a double depend on the processor.

    None becomes an empty field and NaN the text nan, so that diverged runs are visible.
    """
    rounded = [{name: _rounded(value) for name, value in record.items()} for record in records]
    return table_to_bytes(rounded).decode()


def latex_text(text: str) -> str:
    """Escape LaTeX's special characters and the mathematical symbols of labels."""
    return text.translate(LATEX).replace(r"$\alpha$$_0$", r"$\alpha_0$")


def _latex_note(text: str) -> str:
    lines = text.replace("\n", "\\\\\n")
    return rf"\par\noindent{{\footnotesize {lines}\par}}"


def _spanning(heading: str, columns: int) -> str:
    return rf"\multicolumn{{{columns}}}{{c}}{{{latex_text(heading)}}}"


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
