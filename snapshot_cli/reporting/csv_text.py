"""Records as comma-separated values, to ten digits: the last ones of a double depend on the kind of processor."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence


def csv_text(records: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    """Return a line a record; None is an empty field and NaN is written nan, so that a diverged run stays visible."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _rounded(value) for name, value in record.items()} for record in records)
    return text.getvalue()


def _rounded(value: object) -> object:
    return float(f"{value:.10g}") if isinstance(value, float) else value
