import csv
import math

import pandas as pd
import pytest

from snapshot_cli.reporting.tables import Row, footnotes, legend, signed, table, write_table

NAN = float("nan")


def row(dataset="cifar10", network="net", method="Single", error=5.0, **fields):
    values = {"replicates": 1, "spread": None, "paper": None, "status": None, "missing": 0, "runs": 1}
    return Row(dataset, network, method, error, **values | fields)


DENSENET = "densenet-40-12"
SNAPSHOT = "Snapshot (α₀ = 0.2)"
ROWS = [
    row("cifar10", DENSENET, "Single", 5.314, replicates=3, spread=0.118, paper=5.24, status="copied", runs=3),
    row("cifar10", DENSENET, SNAPSHOT, None, replicates=0, paper=4.84, status="rerun", missing=2, runs=3),
    row("cifar10", DENSENET, "NoCycle", 5.15, replicates=3, spread=0.1, paper=5.2, status="rerun", runs=3),
    row("my_set", DENSENET, "Single", NAN),
    row("my_set", DENSENET, SNAPSHOT, 1.0, missing=2, runs=3),
    row("my_set", "a|b", "Single", 1.5),
]


def cells(rows, **options):
    return table(rows, **options).loc[("net",)].iloc[:, 0].to_dict()


def test_the_papers_layout():
    frame = table(ROWS)
    assert frame.index.tolist() == [
        (DENSENET, "Single"), (DENSENET, SNAPSHOT), (DENSENET, "NoCycle"), ("a|b", "Single")
    ]  # fmt: skip
    assert frame.columns.tolist() == [
        ("cifar10", "ours"), ("cifar10", "paper"), ("cifar10", "difference"), ("my_set", "ours")
    ]  # fmt: skip
    assert frame.to_numpy().tolist() == [
        ["5.31 ± 0.12", "5.24*", "+0.07", "nan"],
        ["–¹", "4.84", "", "1.00²"],
        ["5.15 ± 0.10", "5.20", "−0.05", ""],
        ["", "", "", "1.50"],
    ]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([5.0, 4.0, 6.0], ["5.00", "**4.00**", "6.00"]),
        ([4.001, 4.004, 4.006], ["**4.00**", "**4.00**", "4.01"]),
        ([NAN, 4.0, 5.0], ["nan", "**4.00**", "5.00"]),
        ([None, 4.0, 5.0], ["–", "**4.00**", "5.00"]),
        ([None, 4.0, NAN], ["–", "4.00", "nan"]),
        ([NAN, NAN, NAN], ["nan", "nan", "nan"]),
    ],
)
def test_the_lowest_is_bold(errors, expected):
    rows = [row(method=name, error=error) for name, error in zip("ABC", errors, strict=True)]
    assert list(cells(rows, flavour="markdown").values()) == expected
    plain = [text.replace("**", "") for text in expected]
    assert list(cells(rows).values()) == plain
    bold = [text.replace("**", r"\textbf{", 1).replace("**", "}").replace("–", "--") for text in expected]
    assert list(cells(rows, flavour="latex").values()) == bold


def test_bold_is_by_network_and_dataset():
    rows = [row(d, n, m, 5.0 + k) for k, m in enumerate("AB") for d in ("x", "y") for n in ("p", "q")]
    assert (table(rows, flavour="markdown").map(lambda text: text.startswith("**")).sum() == 2).all()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"paper": 7.28, "status": "figure"}, ["5.00", "≈7.28", "−2.28"]),
        ({"paper": 5.24, "status": "copied"}, ["5.00", "5.24*", "−0.24"]),
        ({"paper": 5.001, "status": "rerun"}, ["5.00", "5.00", "+0.00"]),
        ({"paper": 5.0, "status": "rerun", "error": NAN}, ["nan", "5.00", ""]),
    ],
)
def test_the_papers_value_and_its_mark(fields, text):
    assert table([row(**fields)]).iloc[0].tolist() == text


@pytest.mark.parametrize(
    ("fields", "study", "note"),
    [
        ({"missing": 0}, "demo/table1", None),
        (
            {"error": None, "missing": 2, "runs": 6},
            "table1",
            "2 of 6 runs missing: snapshot reproduce table1 trains them",
        ),
        ({"error": None, "missing": 1, "runs": 1}, "table1", "1 of 1 run missing: snapshot reproduce table1 trains it"),
        ({"error": None, "missing": 1, "runs": 6}, None, "1 of 6 runs missing"),
        ({"error": None, "missing": 3, "runs": None}, None, "3 runs missing"),
        ({"replicates": 2, "missing": 1, "runs": 3}, None, "2 replicates so far; 1 of 3 runs missing"),
        ({"replicates": 1, "missing": 2, "runs": 3}, None, "1 replicate so far; 2 of 3 runs missing"),
    ],
)
def test_footnotes_of_what_is_not_finished(fields, study, note):
    assert footnotes([row(**fields)], study=study) == ([note] if note else [])


def test_equal_footnotes_share_a_number():
    rows = [row(method=str(k), error=None, missing=1 + (k == 1), runs=2) for k in range(3)]
    assert list(cells(rows).values()) == ["–¹", "–²", "–¹"]
    assert list(cells(rows, flavour="latex").values())[1] == r"--\textsuperscript{2}"
    many = [row(method=str(k), error=None, missing=k + 1, runs=20) for k in range(12)]
    assert list(cells(many).values())[11] == "–¹²"


def test_legend_says_what_the_table_has():
    assert legend([row()]) == ["Errors in percent."]
    some = [row(replicates=3, spread=0.1), row(replicates=2, spread=0.1, paper=5.0, status="rerun")]
    assert legend(some)[1:] == [
        "± is half of the 95 % interval of the mean over 2 to 3 seeds; without it, one seed.",
        "Paper: the value of the paper. Difference: ours − paper, in points.",
    ]
    marked = [row(paper=1.0, status="copied"), row(paper=1.0, status="figure")]
    assert legend(marked)[1] == (
        "Paper: the value of the paper, * where it was copied from earlier work, ≈ where it was read off a figure. "
        "Difference: ours − paper, in points."
    )


def test_two_rows_for_one_cell_are_refused():
    with pytest.raises(ValueError, match=r"^two rows are for the same dataset, network and method$"):
        table([row(), row(error=6.0)])


@pytest.fixture
def written(tmp_path):
    paths = write_table(
        ROWS, tmp_path / "deep" / "table1", title="Table 1", notes=["A note: 5 %."], study="demo/table1"
    )
    assert [path.name for path in paths] == ["table1.md", "table1.csv", "table1.tex"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["table1.csv", "table1.md", "table1.tex"]
    return {path.suffix: path.read_text(encoding="utf-8") for path in paths}


def test_markdown(written):
    lines = written[".md"].splitlines()
    assert lines[:2] == ["# Table 1", ""]
    split = [[cell.strip() for cell in line.replace(r"\|", "/").split("|")[1:-1]] for line in lines[2:8]]
    assert split[0] == ["network", "method", "cifar10", "cifar10 paper", "cifar10 difference", "my_set"]
    assert split[2] == [DENSENET, "Single", "5.31 ± 0.12", "5.24*", "+0.07", "nan"]
    assert split[3] == [DENSENET, SNAPSHOT, "–¹", "4.84", "", "1.00²"]
    assert split[4] == [DENSENET, "NoCycle", "**5.15** ± 0.10", "5.20", "−0.05", ""]
    assert split[5] == ["a/b", "Single", "", "", "", "1.50"]
    assert lines[8:] == [
        "",
        "¹ 2 of 3 runs missing: snapshot reproduce demo/table1 trains them",
        "",
        "² 1 replicate so far; 2 of 3 runs missing: snapshot reproduce demo/table1 trains them",
        "",
        "Errors in percent. ± is half of the 95 % interval of the mean over 3 seeds; without it, one seed. Paper: the "
        "value of the paper, * where it was copied from earlier work. Difference: ours − paper, in points. Bold: the "
        "lowest of ours for each network and dataset.",
        "",
        "A note: 5 %.",
    ]


def test_csv_tells_missing_from_nan(written):
    rows = list(csv.DictReader(written[".csv"].splitlines()))
    assert [r["error"] for r in rows] == ["5.314", "", "5.15", "nan", "1.0", "1.5"]
    assert rows[0] == {
        "dataset": "cifar10", "network": DENSENET, "method": "Single", "error": "5.314", "replicates": "3",
        "spread": "0.118", "paper": "5.24", "status": "copied", "missing": "0", "runs": "3",
    }  # fmt: skip


def test_csv_has_ten_digits(tmp_path):
    third = 100 / 3
    paths = write_table([row(error=third), row(method="B", error=NAN)], tmp_path / "t", title="", notes=[])
    found = pd.read_csv(paths[1])
    assert found["error"][0] == 33.33333333
    assert math.isnan(found["error"][1])


def test_latex(written):
    lines = written[".tex"].splitlines()
    assert lines[:2] == [r"% Table 1: needs \usepackage{booktabs}", r"\begin{tabular}{llrrrr}"]
    assert r" &  & \multicolumn{3}{c}{cifar10} & my\_set \\" in lines
    assert r"densenet-40-12 & Single & 5.31 $\pm$ 0.12 & 5.24* & +0.07 & nan \\" in lines
    assert r" & Snapshot ($\alpha_0$ = 0.2) & --\textsuperscript{1} & 4.84 &  & 1.00\textsuperscript{2} \\" in lines
    assert r" & NoCycle & \textbf{5.15} $\pm$ 0.10 & 5.20 & $-$0.05 &  \\" in lines
    assert lines[-1] == r"\par\noindent{\footnotesize A note: 5 \%.\par}"
    assert written[".tex"].isascii()


def test_the_same_rows_give_the_same_bytes(tmp_path):
    first = write_table(ROWS, tmp_path / "a", title="T", notes=["N"])
    second = write_table(ROWS, tmp_path / "b", title="T", notes=["N"])
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert b"\r" not in first[1].read_bytes()


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.235001, "+1.24"), (-0.5, "−0.50"), (-0.004, "+0.00"), (0.0, "+0.00"), (-0.0, "+0.00"), (NAN, "+nan")],
)
def test_no_zero_has_a_minus_sign(value, text):
    assert signed(value) == text
    assert signed(value, "-") == text.replace("+", "")
