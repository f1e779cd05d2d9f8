import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from snapshot_cli.reporting import tables
from snapshot_cli.reporting.html_table import html_table


def text(cell):
    return "".join(cell.itertext())


def cells(table):
    """Return the rows of a table as (element, class, spans, text) of each cell; what is not well formed fails."""
    parsed = ElementTree.fromstring(str(table))
    return [
        [
            (cell.tag, cell.get("class"), *(int(cell.get(span, 1)) for span in ("colspan", "rowspan")), text(cell))
            for cell in row
        ]
        for row in parsed.iter("tr")
    ]


def row(dataset, network, method, error, **fields):
    values = {"replicates": 1, "spread": None, "paper": None, "status": None, "missing": 0, "runs": 1}
    return tables.Row(dataset, network, method, error, **values | fields)


ROWS = [
    row("CIFAR-10", "ResNet-8", "Single model", 5.5, paper=5.52, status="rerun"),
    row("CIFAR-10", "ResNet-8", "Snapshot (α₀ = 0.1)", 4.4, paper=5.73, status="rerun"),
    row("CIFAR-10", "ResNet-14", "Single model", None, missing=1),
    row("Digits", "ResNet-8", "Single model", 2.0),
]


def test_a_table_of_methods():
    table = html_table(tables.table(ROWS, flavour="markdown"))
    heads = [
        [
            ("th", None, 1, 1, ""),
            ("th", "over", 3, 1, "CIFAR-10"),
            ("th", "over", 1, 1, "Digits"),
        ],
        [
            ("th", None, 1, 1, "method"),
            *[("th", "number", 1, 1, name) for name in ("ours", "paper", "difference", "ours")],
        ],
    ]
    body = [
        [("th", None, 5, 1, "ResNet-8")],
        [("th", None, 1, 1, "Single model"), "5.50", "5.52", "−0.02", "2.00"],
        [("th", None, 1, 1, "Snapshot (α₀ = 0.1)"), "4.40", "5.73", "−1.33", ""],
        [("th", None, 5, 1, "ResNet-14")],
        [("th", None, 1, 1, "Single model"), "–¹", "", "", ""],
    ]
    full = [[c if isinstance(c, tuple) else ("td", "number", 1, 1, c) for c in line] for line in body]
    assert cells(table) == heads + full
    assert "<strong>4.40</strong>" in table
    assert "**" not in table
    assert str(table).count('<tr class="group">') == 2


def test_an_index_without_names_is_not_shown_and_words_are_flush_left():
    frame = pd.DataFrame({"claim": ["A beats B", "C"], "p": ["< 0.001", "0.4"], "answer": ["yes", "not decided"]})
    assert cells(html_table(frame)) == [
        [("th", None, 1, 1, "claim"), ("th", "number", 1, 1, "p"), ("th", None, 1, 1, "answer")],
        [("td", None, 1, 1, "A beats B"), ("td", "number", 1, 1, "< 0.001"), ("td", None, 1, 1, "yes")],
        [("td", None, 1, 1, "C"), ("td", "number", 1, 1, "0.4"), ("td", None, 1, 1, "not decided")],
    ]


def test_a_named_index_heads_the_rows():
    frame = pd.DataFrame({"error": ["1.0"]}, index=pd.Index(["last 2"], name="members"))
    assert [[cell[0] for cell in line] for line in cells(html_table(frame))] == [["th", "th"], ["th", "td"]]
    assert '<th scope="row">last 2</th>' in html_table(frame)


def test_text_is_escaped():
    frame = pd.DataFrame({"a<b>": ["<script>alert(1)</script> & **<i>**"]}, index=pd.Index([r"x \| y"], name="<n>"))
    table = html_table(frame)
    assert "<script" not in table
    assert "<i>" not in table
    assert "<strong>&lt;i&gt;</strong>" in table
    assert '<th scope="row">x | y</th>' in table


@pytest.mark.parametrize(("columns", "start"), [(9, "<table>"), (10, '<table class="dense">')])
def test_many_columns_are_set_smaller(columns, start):
    assert html_table(pd.DataFrame([["1"] * columns])).startswith(start)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("5.52*", "number"), ("≈7.28", "number"), ("nan", "number"), ("−0.1", "number"), ("± 3", "number"), ("", "number"),
     ("**nan**", "number"), (">4", "number"), ("no", None), ("a sentence of more than twenty-eight", "words"),
     ("<b", None)],
)  # fmt: skip
def test_columns_of_numbers_are_flush_right(cell, kind):
    assert cells(html_table(pd.DataFrame({"c": [cell]})))[1][0][1] == kind
