"""Draw the test error along the line in weight space from every earlier snapshot to the last one (Figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snapshot_cli.analysis.outcomes import Outcome
from snapshot_cli.analysis.statistics import means
from snapshot_cli.reporting import claims, lines, style
from snapshot_cli.reporting.drawn import Drawn, Picture, Request
from snapshot_cli.words import counted

CAPTION = (
    "Test error along the line in weight space from every earlier snapshot (left) to the last one (right). A bump "
    "means that the two are in different minima."
)
NEEDS = "errors between snapshots, which --interpolate stores"
LINE = "Weights are λ × last snapshot + (1 - λ) × earlier snapshot. Panels differ in their batch-norm statistics."
STATISTICS = {
    "reestimated": (
        "re-estimated statistics",
        "Re-estimated: on training images at every point.",
    ),
    "mixed": (
        "mixed statistics",
        "Mixed: the running statistics of both snapshots, interpolated like the weights; the ends are the snapshots' "
        "errors.",
    ),
    "final": (
        "last snapshot's statistics",
        "Last snapshot's: its running statistics at every point, so λ = 0 is not the earlier snapshot's error.",
    ),
}
"""The sources of batch-norm statistics: the text in a title, and the explanation in a note."""
MARKERS = "osD^vPX<>"


@dataclass(frozen=True)
class _Panel:
    outcome: Outcome
    statistics: str
    seeds: int
    """The number of replicates that have stored lines."""
    lines: list[tuple[list[float], list[float]]]
    """The lambdas and the mean errors over seeds of the line from every earlier snapshot."""

    @property
    def name(self) -> str:
        """The statistics as in a title."""
        return STATISTICS[self.statistics][0]


def draw(outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Draw the means over seeds, with a panel for every experiment and stored kind of batch-norm statistics."""
    shown = [outcome for outcome in outcomes if outcome.run and outcome.members > 1]
    panels = [panel for outcome in shown for name in STATISTICS if (panel := _panel(outcome, name)).lines]
    if not panels:
        return []
    stored = [name for name in STATISTICS if any(panel.statistics == name for panel in panels)]
    words = [
        f"{panel.outcome.group}, {panel.outcome.label}, {panel.name}: highest "
        f"{max(max(errors) for _, errors in panel.lines):.2f} %"
        for panel in panels
    ]
    cells = sum({id(panel.outcome): panel.seeds for panel in panels}.values())
    notes = [LINE, *(STATISTICS[name][1] for name in stored), *claims.further(shown, "bump")]
    return [Picture(request, CAPTION, partial(_figure, panels, stored), "; ".join(words), cells, notes)]


def _figure(panels: Sequence[_Panel], stored: Sequence[str]) -> Figure:
    most = max(len(panel.lines) for panel in panels)
    legend = [f"Snapshot {number}" for number in range(1, most + 1)]
    figure, drawn = style.panels(
        [_heading(panel) for panel in panels],
        columns=len(stored) if len(stored) > 1 else 3,
        heights=(1.7,),
        legend=legend,
    )
    for panel, (axes,) in zip(panels, drawn, strict=True):
        _draw(axes, panel)
    for name in stored:
        style.share_y([axes for panel, (axes,) in zip(panels, drawn, strict=True) if panel.statistics == name])
    style.keep_outer_labels(drawn)
    style.legend_below(figure, lines.legend_handles([axes for (axes,) in drawn]))
    return figure


def _panel(outcome: Outcome, statistics: str) -> _Panel:
    runs = [scores.only_run for scores in outcome.finished if scores.only_run]
    stored = [[line for line in run.lines if line.statistics == statistics] for run in runs]
    stored = [run_lines for run_lines in stored if run_lines]
    drawn = [(same[0].lambdas, means([line.errors for line in same])) for same in zip(*stored, strict=True)]
    return _Panel(outcome, statistics, len(stored), drawn)


def _heading(panel: _Panel) -> style.Heading:
    heading = lines.heading([panel.outcome], method=panel.outcome.label, detail=panel.name)
    return heading._replace(facts=(counted(panel.seeds, "seed"), "test images"))


def _draw(axes: Axes, panel: _Panel) -> None:
    shades = style.shades(len(panel.lines))
    for number, ((lambdas, errors), colour) in enumerate(zip(panel.lines, shades, strict=True), start=1):
        axes.plot(
            lambdas, errors, color=colour, marker=MARKERS[(number - 1) % len(MARKERS)], markersize=3,
            markeredgewidth=0, linewidth=1.1, label=f"Snapshot {number}", clip_on=False,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.margins(y=0.08)
    axes.set_xlabel("λ, the weight of the last snapshot")
    axes.set_ylabel("Test error (%)")
