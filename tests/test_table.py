import csv
import math

import pytest

from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.page import TEMPLATES
from snapshot_cli.reporting.table import Cell, Column, Table, csv_text, latex_text, number, signed

NAN = float("nan")
MISSING = Cell("–", footnote="2 of 3 runs missing")


def table(rows=None, columns=("ours", "paper"), **fields):
    rows = rows or {
        ("densenet-40-12", "Single"): [Cell("5.31", " ± 0.12"), Cell("5.24*")],
        ("densenet-40-12", "Snapshot (α₀ = 0.2)"): [MISSING, Cell("4.84")],
        ("a|b", "<NoCycle>"): [Cell("1.50", " ± 0.10", bold=True, footnote="1 seed & more"), Cell()],
        ("a|b", "SingleCycle"): [MISSING, Cell("nan")],
    }
    values = {"records": [{"error": 5.314}], "legend": ["Errors in %."], "notes": ["Claims:\n- yes\n- no"]}
    heads = [Column("my_set", name, "my_set" if name == "ours" else f"my_set {name}") for name in columns]
    return Table(Request("t", "T"), "A caption.", 3, "A <title>", heads, rows, **values | fields)


def html(table):
    return TEMPLATES.get_template("macros.html").module.table(table)


def test_markdown():
    heading, body, *below = table().markdown().rstrip("\n").split("\n\n")
    assert heading == r"# A \<title>"
    lines = [[cell.strip() for cell in line.replace(r"\|", "/").strip("|").split("|")] for line in body.splitlines()]
    assert lines[0] == ["network", "method", "my_set", "my_set paper"]
    assert lines[2:] == [
        ["densenet-40-12", "Single", "5.31 ± 0.12", "5.24*"],
        ["densenet-40-12", "Snapshot (α₀ = 0.2)", "–¹", "4.84"],
        ["a/b", r"\<NoCycle>", "**1.50** ± 0.10²", ""],
        ["a/b", "SingleCycle", "–¹", "nan"],
    ]
    assert below == ["¹ 2 of 3 runs missing", "² 1 seed & more", "Errors in %.", "Claims:\n- yes\n- no"]


def test_latex():
    assert table().latex().splitlines() == [
        r"% A <title>: needs \usepackage{booktabs}",
        r"\begin{tabular}{llrr}",
        r"\toprule",
        r" &  & \multicolumn{2}{c}{my\_set} \\",
        r"\cmidrule(lr){3-4}",
        r"network & method & ours & paper \\",
        r"\midrule",
        r"densenet-40-12 & Single & 5.31 $\pm$ 0.12 & 5.24* \\",
        r" & Snapshot ($\alpha_0$ = 0.2) & --\textsuperscript{1} & 4.84 \\",
        r"\midrule",
        r"a\textbar{}b & $<$NoCycle$>$ & \textbf{1.50} $\pm$ 0.10\textsuperscript{2} &  \\",
        r" & SingleCycle & --\textsuperscript{1} & nan \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\noindent{\footnotesize \textsuperscript{1} 2 of 3 runs missing\par}",
        r"\par\noindent{\footnotesize \textsuperscript{2} 1 seed \& more\par}",
        r"\par\noindent{\footnotesize Errors in \%.\par}",
        r"\par\noindent{\footnotesize Claims:\\",
        r"- yes\\",
        r"- no\par}",
    ]


def test_html():
    assert html(table()).splitlines() == [
        "<table>",
        '<thead><tr><th></th><th scope="colgroup" class="over" colspan="2">my_set</th></tr>',
        '<tr><th scope="col">method</th><th scope="col" class="number">ours</th><th scope="col" class="number">paper'
        "</th></tr></thead>",
        "<tbody>",
        '<tr class="group"><th scope="rowgroup" colspan="3">densenet-40-12</th></tr>',
        '<tr><th scope="row">Single</th><td class="number">5.31 ± 0.12</td><td class="number">5.24*</td></tr>',
        '<tr><th scope="row">Snapshot (α₀ = 0.2)</th><td class="number">–¹</td><td class="number">4.84</td></tr>',
        '<tr class="group"><th scope="rowgroup" colspan="3">a|b</th></tr>',
        '<tr><th scope="row">&lt;NoCycle&gt;</th><td class="number"><strong>1.50</strong> ± 0.10²</td>'
        '<td class="number"></td></tr>',
        '<tr><th scope="row">SingleCycle</th><td class="number">–¹</td><td class="number">nan</td></tr>',
        "</tbody>",
        "</table>",
        '<p class="note">¹ 2 of 3 runs missing</p>',
        '<p class="note">² 1 seed &amp; more</p>',
        '<p class="note">Errors in %.</p>',
    ]


def test_stars_in_a_name_are_not_bold():
    rows = {("n", "a **b** c"): [Cell("**")]}
    assert "<strong>" not in html(table(rows, columns=["ours"]))
    assert table(rows, columns=["ours"]).latex().count("textbf") == 0


def test_a_wide_table_is_dense():
    names = [str(k) for k in range(10)]
    assert html(table({("n", "m"): [Cell()] * 10}, columns=names)).startswith('<table class="dense">')


def test_more_than_nine_footnotes():
    rows = {("n", str(k)): [Cell("–", footnote=str(k)), Cell()] for k in range(12)}
    assert "–¹²" in table(rows).markdown()
    assert r"--\textsuperscript{12}" in table(rows).latex()


def test_the_files(tmp_path):
    paths = table().write(tmp_path / "deep")
    assert [path.name for path in paths] == ["t.md", "t.csv", "t.tex"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["t.csv", "t.md", "t.tex"]
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in table().write(tmp_path / "deep")] == before
    assert before[1] == b"error\n5.314\n"


def test_csv_tells_missing_from_nan_and_has_ten_digits():
    rows = list(csv.DictReader(csv_text([{"error": value} for value in (100 / 3, None, NAN, "a,b")]).splitlines()))
    assert [row["error"] for row in rows] == ["33.33333333", "", "nan", "a,b"]
    assert csv_text([]) == "\n"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("100 %_#&$", r"100 \%\_\#\&\$"),
        (r"{a}\~^", r"\{a\}\textbackslash{}\textasciitilde{}\textasciicircum{}"),
        ("α₀ ± × ≈ ≥ → − – n²", r"$\alpha_0$ $\pm$ $\times$ $\approx$ $\geq$ $\to$ $-$ -- n$^2$"),
    ],
)
def test_latex_characters(text, latex):
    assert latex_text(text) == latex
    assert latex.isascii()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.235001, "+1.24"), (-0.5, "−0.50"), (-0.004, "+0.00"), (0.0, "+0.00"), (-0.0, "+0.00"), (NAN, "+nan")],
)
def test_no_zero_has_a_minus_sign(value, text):
    assert signed(value) == text
    assert signed(value, "-") == text.replace("+", "")


def test_numbers():
    assert number(None) == Cell("–")
    assert number(1.23456, places=3) == Cell("1.235")
    assert number(1.0, 0.125) == Cell("1.00", " ± 0.12")
    assert number(math.nan) == Cell("nan")
