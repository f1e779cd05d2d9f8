import pandas as pd
import pytest

from snapshot_cli.reporting.latex import escape, note, tabular


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("95 % of a_b & #1", r"95 \% of a\_b \& \#1"),
        ("Snapshot (α₀ = 0.2)", r"Snapshot ($\alpha_0$ = 0.2)"),
        ("5.31 ± 0.12", r"5.31 $\pm$ 0.12"),
        ("ours \N{MINUS SIGN} paper, 1\N{EN DASH}3", "ours $-$ paper, 1--3"),
        ("<1 and >4", "$<$1 and $>$4"),
        ("{$^~\\}", r"\{\$\textasciicircum{}\textasciitilde{}\textbackslash{}\}"),
    ],
)
def test_escape(text, latex):
    assert escape(text) == latex


def test_tabular():
    index = pd.MultiIndex.from_tuples([("net", "A"), ("net", "B"), ("wide", "A")], names=["network", "method"])
    columns = pd.MultiIndex.from_tuples([("cifar10", "ours"), ("cifar10", "paper"), ("svhn", "ours")])
    frame = pd.DataFrame([["1", "2", "3"], [r"\textbf{4}", "", "6"], ["7", "8", "9"]], index=index, columns=columns)
    assert tabular(frame) == "\n".join([
        r"\begin{tabular}{llrrr}",
        r"\toprule",
        r" &  & \multicolumn{2}{c}{cifar10} & svhn \\",
        r"\cmidrule(lr){3-4} \cmidrule(lr){5-5}",
        r" &  & ours & paper & ours \\",
        r"\midrule",
        r"net & A & 1 & 2 & 3 \\",
        r" & B & \textbf{4} &  & 6 \\",
        r"\midrule",
        r"wide & A & 7 & 8 & 9 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ])  # fmt: skip
    assert frame.index.names == ["network", "method"]


def test_the_lines_of_a_note_stay_lines():
    assert note("a\n- b") == "\\par\\noindent{\\footnotesize a\\\\\n- b\\par}"
