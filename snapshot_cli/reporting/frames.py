"""Tables of any strings, indexed (network, method) under columns (dataset, name), as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snapshot_cli.errors import visible
from snapshot_cli.reporting import latex, text_files
from snapshot_cli.reporting.csv_text import csv_text

if TYPE_CHECKING:
    import pandas as pd


def frame(lines: Mapping[tuple[str, str], Sequence[str]], columns: Sequence[str], *, dataset: str) -> pd.DataFrame:
    """Lay out lines of strings by network and method; `columns` are their names, all below one dataset."""
    import pandas as pd

    return pd.DataFrame(
        [list(line) for line in lines.values()],
        index=pd.MultiIndex.from_tuples(list(lines), names=["network", "method"]),
        columns=pd.MultiIndex.from_tuples([(dataset, name) for name in columns]),
    )


def write(
    shown: pd.DataFrame, records: Sequence[Mapping[str, object]], stem: Path, *, title: str, notes: Sequence[str]
) -> list[Path]:
    """Write STEM.md, STEM.csv (the records) and STEM.tex; return the paths."""
    names = list(records[0]) if records else []
    texts = {
        ".md": _markdown(shown, title, notes),
        ".csv": csv_text(records, names),
        ".tex": _latex(shown, title, notes),
    }
    return text_files.write(texts, stem)


def _markdown(shown: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    plain = shown.copy()
    plain.columns = shown.columns.get_level_values(1)
    plain = plain.reset_index().map(lambda text: str(text).replace("|", r"\|"))
    align = ("left", "left", *["right"] * shown.shape[1])
    text = plain.to_markdown(index=False, disable_numparse=True, colalign=align)
    heading = visible(title).replace("<", "&lt;")
    return "\n\n".join([f"# {heading}", text, *notes]) + "\n"


def _latex(shown: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    import pandas as pd

    escaped = shown.map(latex.escape)
    escaped.index = pd.MultiIndex.from_arrays([shown.index.get_level_values(k).map(latex.escape) for k in (0, 1)])
    escaped.columns = pd.MultiIndex.from_arrays([shown.columns.get_level_values(k).map(latex.escape) for k in (0, 1)])
    below = [latex.note(latex.escape(note)) for note in notes]
    return "\n".join([f"% {visible(title)}: needs \\usepackage{{booktabs}}", latex.tabular(escaped), *below]) + "\n"
