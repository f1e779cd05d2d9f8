"""The figures: small dataclasses of numbers in, a matplotlib figure out; `save` alone writes files."""

from snapshot_cli.reporting.figures.budgets import BudgetPanel, budget
from snapshot_cli.reporting.figures.calibrations import CalibrationPanel, calibration
from snapshot_cli.reporting.figures.correlations import CorrelationPanel, correlation
from snapshot_cli.reporting.figures.costs import CostCurve, cost
from snapshot_cli.reporting.figures.ensemble_sizes import SizePanel, ensemble_size
from snapshot_cli.reporting.figures.files import FORMATS, inline_svg, png, save
from snapshot_cli.reporting.figures.interpolations import InterpolationPanel, interpolation
from snapshot_cli.reporting.figures.lines import BudgetCurve, Curve, PaperPoint
from snapshot_cli.reporting.figures.losses import LossCurve, training_loss
from snapshot_cli.reporting.figures.schedules import RateCurve, schedule
from snapshot_cli.reporting.figures.timelines import TimePanel, over_time

__all__ = [
    "FORMATS",
    "BudgetCurve",
    "BudgetPanel",
    "CalibrationPanel",
    "CorrelationPanel",
    "CostCurve",
    "Curve",
    "InterpolationPanel",
    "LossCurve",
    "PaperPoint",
    "RateCurve",
    "SizePanel",
    "TimePanel",
    "budget",
    "calibration",
    "correlation",
    "cost",
    "ensemble_size",
    "inline_svg",
    "interpolation",
    "over_time",
    "png",
    "save",
    "schedule",
    "training_loss",
]
