"""The table of a benchmark: a row per measurement, with its goal and whether its interval reaches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.blocks import Estimate

HEAD = ("measured", "median", "interval", "by CPU time", "goal", "met", "measured on", "on a GPU")
MARKS = ("<!-- make bench -->\n", "<!-- end -->")  # around the table in docs/performance.md
ABSENT = "not measured on a GPU"


@dataclass(frozen=True)
class Row:
    """A measurement by wall clock and, if meaningful, by CPU time, and its goal.

    `least` or `most` is the goal, if any; `unit` follows the numbers; `when` is the day, and the machine's load before
    and after; `part` is the part of the benchmark that measured it.
    """

    name: str
    wall: Estimate
    cpu: Estimate | None = None
    unit: str = ""
    least: float | None = None
    most: float | None = None
    when: str = ""
    part: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the interval reaches the goal; None without a goal."""
        if self.least is not None:
            return self.wall.high >= self.least
        return None if self.most is None else self.wall.low <= self.most


def record(row: Row) -> dict[str, Any]:
    """Return a row as plain values for JSON."""
    return asdict(row)


def recorded(values: Mapping[str, Any]) -> Row:
    """Return the row that `record` made plain values of."""
    estimates = {key: values[key] and Estimate(**values[key]) for key in ("wall", "cpu")}
    return Row(**{**values, **estimates})


def merged(earlier: Mapping[str, Any] | None, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the earlier rows with those of the measured parts and names replaced; none of another machine.

    So a row that its part no longer produces, such as one under an old name, disappears when the part is measured.
    """
    rows: dict[str, Any] = {}
    if earlier is not None and earlier["machine"] == measured["machine"]:
        parts = {row["part"] for row in measured["rows"]}
        rows = {row["name"]: row for row in earlier["rows"] if row.get("part") not in parts}
    rows |= {row["name"]: row for row in measured["rows"]}
    return {"machine": measured["machine"], "rows": list(rows.values())}


def table(measured: Mapping[str, Any], on_gpu: Mapping[str, Any] | None = None, *, gpu_column: bool = True) -> str:
    """Return a stored benchmark as Markdown, with a column of medians on a GPU."""
    rows = [recorded(values) for values in measured["rows"]]
    gpu_rows = {row.name: row for row in map(recorded, on_gpu["rows"])} if on_gpu else {}
    lines = [[*HEAD], ["---"] * len(HEAD)]
    lines += [
        [*_cells(row), _number(gpu_rows[row.name].wall, row.unit) if row.name in gpu_rows else ABSENT] for row in rows
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
