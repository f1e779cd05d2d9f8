"""The table of a benchmark: a row a measurement, with its goal and whether its interval reaches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.blocks import Estimate

HEAD = ("measured", "median", "interval", "by CPU time", "goal", "met", "measured on", "on a GPU")
MARKS = ("<!-- make bench -->\n", "<!-- end -->")  # of the documents that show it
ABSENT = "not measured on a GPU"


@dataclass(frozen=True)
class Row:
    """A measurement on the wall clock, the same by CPU time where that says something, and its goal.

    `least` and `most` are the goal, if there is one; `unit` follows the numbers; `when` is the day, and the machine's
    load before and after.
    """

    name: str
    wall: Estimate
    cpu: Estimate | None = None
    unit: str = ""
    least: float | None = None
    most: float | None = None
    when: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the interval reaches the goal; None where there is none."""
        if self.least is not None:
            return self.wall.high >= self.least
        return None if self.most is None else self.wall.low <= self.most


def record(row: Row) -> dict[str, Any]:
    """Return a row as JSON holds it."""
    return asdict(row)


def recorded(values: Mapping[str, Any]) -> Row:
    """Return the row that was recorded."""
    estimates = {key: values[key] and Estimate(**values[key]) for key in ("wall", "cpu")}
    return Row(**{**values, **estimates})


def merged(earlier: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is stored with new rows in place of those of the same names; on another machine the new alone."""
    same = earlier is not None and earlier["machine"] == measured["machine"]
    rows = {row["name"]: row for each in ([earlier, measured] if same else [measured]) for row in each["rows"]}
    return {"machine": measured["machine"], "rows": list(rows.values())}


def table(measured: Mapping[str, Any], on_gpu: Mapping[str, Any] | None = None, *, gpu_column: bool = True) -> str:
    """Return the Markdown of a stored benchmark, beside the medians of a GPU's, which has a table of its own."""
    rows = [recorded(values) for values in measured["rows"]]
    beside = {each.name: each for each in map(recorded, on_gpu["rows"])} if on_gpu else {}
    lines = [[*HEAD], ["---"] * len(HEAD)]
    lines += [
        [*_cells(row), _number(beside[row.name].wall, row.unit) if row.name in beside else ABSENT] for row in rows
    ]
    text = [_line(cells if gpu_column else cells[:-1]) for cells in lines]
    machine = measured["machine"] + (f"; on a GPU: {on_gpu['machine']}" if on_gpu else "")
    return "\n".join([machine, "", *text]) + "\n"


def _cells(row: Row) -> Sequence[str]:
    interval = f"{_short(row.wall.low)} to {_short(row.wall.high)}"
    goal = "" if row.met is None else f"at least {row.least}" if row.least is not None else f"at most {row.most}"
    met = {None: "", True: "yes", False: "no"}[row.met]
    by_cpu = _number(row.cpu, row.unit) if row.cpu else ""
    return row.name, _number(row.wall, row.unit), interval, by_cpu, goal, met, row.when


def _number(estimate: Estimate, unit: str) -> str:
    return f"{_short(estimate.median)} {unit}".strip()


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
