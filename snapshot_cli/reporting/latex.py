"""LaTeX of a table: text made safe, and a booktabs tabular of a data frame of strings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_CHARACTERS = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"α": r"$\alpha$", "₀": "$_0$", "±": r"$\pm$", "×": r"$\times$", "≈": r"$\approx$", "≥": r"$\geq$", "→": r"$\to$"}
    | {"<": "$<$", ">": "$>$"}
    | {"\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--"}
)


def escape(text: str) -> str:
    """Return text with LaTeX's own characters and the mathematical ones of our labels spelled out."""
    return text.translate(_CHARACTERS).replace(r"$\alpha$$_0$", r"$\alpha_0$")


def note(text: str) -> str:
    """Return escaped text as what stands below a table; its lines stay lines."""
    lines = text.replace("\n", "\\\\\n")
    return rf"\par\noindent{{\footnotesize {lines}\par}}"


def tabular(frame: pd.DataFrame) -> str:
    """Return a booktabs tabular of LaTeX strings, indexed (group, line) under columns (dataset, name).

    A dataset's name spans its columns and has a rule below; groups are set apart by rules and named once.
    """
    shape = "ll" + "r" * frame.shape[1]
    bare = frame.copy()
    bare.index.names = [None, None]
    text = bare.to_latex(escape=False, multirow=False, multicolumn_format="c", column_format=shape)
    begin, top, datasets, names, middle, *lines = text.rstrip("\n").split("\n")
    body = [rule + line for rule, line in zip(_rules(list(frame.index.get_level_values(0))), lines[:-2], strict=True)]
    spans = _spans(list(frame.columns.get_level_values(0)))
    return "\n".join([begin, top, datasets, spans, names, middle, *body, *lines[-2:]])


def _rules(groups: Sequence[str]) -> list[str]:
    """Return what stands before each line: a rule where the group changes."""
    changes = [False, *(a != b for a, b in pairwise(groups))]
    return ["\\midrule\n" if change else "" for change in changes]


def _spans(datasets: Sequence[str]) -> str:
    """Return a rule under each dataset's columns, which start at the third."""
    rules = []
    for dataset in dict.fromkeys(datasets):
        first = 3 + datasets.index(dataset)
        rules.append(rf"\cmidrule(lr){{{first}-{first + datasets.count(dataset) - 1}}}")
    return " ".join(rules)
