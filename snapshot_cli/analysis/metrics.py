"""Error, likelihood and calibration metrics as pure functions of arrays.

Probabilities are (examples, classes) and labels (examples,). Errors are in percent, other metrics fractions or nats.
A NaN in the probabilities makes every metric NaN, so that a diverged network cannot look good.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

from snapshot_cli.scores import Reliability

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]
Array = NDArray[np.float64]

TINY = sys.float_info.min  # the smallest normal double, 2.2e-308
TEMPERATURES = (0.05, 20.0)  # the search range
SAMPLED = 16  # the start of the search is fitted on every 16th image


def softmax(logits: Floats, out: Array | None = None) -> Array:
    """Return the float64 probabilities of logits (..., classes), in `out` if it is given."""
    probabilities = np.empty(logits.shape) if out is None else out
    probabilities[...] = logits
    with np.errstate(invalid="ignore"):  # inf - inf is NaN on purpose
        probabilities -= probabilities.max(axis=-1, keepdims=True)
    np.exp(probabilities, out=probabilities)
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    return probabilities


def correct(probabilities: Floats, labels: Labels) -> NDArray[np.bool_]:
    """Return whether every example's most probable class is its label, as (examples,); NaN is never right."""
    right: NDArray[np.bool_] = (probabilities.argmax(axis=1) == labels) & ~np.isnan(probabilities.sum(axis=1))
    return right


def top1_error(probabilities: Floats, labels: Labels) -> float:
    """Return the percentage of examples whose most probable class is not the label; ties take the first class."""
    if _has_nan(probabilities):
        return float("nan")
    return 100 * float(np.mean(probabilities.argmax(axis=1) != labels))


def top5_error(probabilities: Floats, labels: Labels) -> float | None:
    """Return the percentage of examples whose label is not among the five most probable classes, None below 6 classes.

    Ties take the lower class first, as in `top1_error`.
    """
    classes = probabilities.shape[1]
    if classes < 6:
        return None
    if _has_nan(probabilities):
        return float("nan")
    at_labels = _at_labels(probabilities, labels)[:, None]
    rank = np.count_nonzero(probabilities > at_labels, axis=1)
    tied = np.flatnonzero(np.count_nonzero(probabilities >= at_labels, axis=1) > rank + 1)
    tied_before = (probabilities[tied] == at_labels[tied]) & (np.arange(classes) < labels[tied, None])
    rank[tied] += np.count_nonzero(tied_before, axis=1)
    return 100 * float(np.mean(rank >= 5))


def nll(probabilities: Floats, labels: Labels) -> float:
    """Return the mean of -ln p(label).

    A probability of 0 counts as the smallest normal double, which gives 708.4 nats; other values are unchanged.
    """
    if _has_nan(probabilities):
        return float("nan")
    return float(-np.log(np.maximum(_at_labels(probabilities, labels), TINY)).mean())


def brier(probabilities: Floats, labels: Labels) -> float:
    """Return the mean over examples of the squared distance to the one-hot label, summed over classes: 0 to 2."""
    squares = np.einsum("nc,nc->n", probabilities, probabilities)
    return float(np.mean(squares - 2 * _at_labels(probabilities, labels) + 1))


def reliability(probabilities: Floats, labels: Labels, bins: int = 15) -> Reliability:
    """Return count, confidence and accuracy in equal-width bins [low, high) of top-1 confidence; 1 is in the last bin.

    torchmetrics uses the same bins but puts a confidence of exactly 1 into an extra bin.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    return Reliability(
        count=count.tolist(),
        confidence=(np.bincount(index, weights=confidence, minlength=bins) / divisor).tolist(),
        accuracy=(np.bincount(index, weights=correct, minlength=bins) / divisor).tolist(),
    )


def disagreement(probabilities: Floats) -> Array:
    """Return the pairwise percentage of examples on which two members predict different classes: (members, members).

    Probabilities are (members, examples, classes).
    """
    classes = probabilities.argmax(axis=2)
    shares: Array = 100 * (classes[:, None] != classes).mean(axis=2)
    undefined = np.isnan(probabilities.sum(axis=(1, 2)))
    shares[undefined] = shares[:, undefined] = np.nan
    return shares


def correlation(probabilities: Floats) -> Array:
    """Return the pairwise Pearson correlation of members over all softmax entries: (members, members).

    Probabilities are (members, examples, classes). A member with constant probabilities has a row of NaN.
    """
    members = np.asarray(probabilities, dtype=np.float64).reshape(len(probabilities), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(members))


def calibrate(probabilities: Floats, labels: Labels) -> tuple[float, tuple[float, float]]:
    """Return the NLL after temperature scaling, and the temperatures of the examples with even and with odd index.

    Two-fold test-time cross-validation (Ashukha et al. 2020, section 4): the temperature of either half is fitted on
    the other half, so no example is scaled with its label. It applies to the log probabilities and lies in 0.05 to 20.
    NaN for fewer than two examples.
    """
    if len(labels) < 2 or _has_nan(probabilities):
        return float("nan"), (float("nan"), float("nan"))
    halves = [(_logs(probabilities[half::2]), labels[half::2]) for half in (0, 1)]
    scratch = np.empty_like(halves[0][0])
    start = _inverse_temperature(halves[0][0][::SAMPLED], halves[0][1][::SAMPLED], 1.0, scratch)
    even, odd = (_inverse_temperature(*fitted_half, start, scratch) for fitted_half in reversed(halves))
    nll = [_scaled_nll(*half, inverse, scratch) for half, inverse in zip(halves, (even, odd), strict=True)]
    return float(np.average(nll, weights=[len(half_labels) for _, half_labels in halves])), (1 / even, 1 / odd)


def _logs(probabilities: Floats) -> Array:
    logs = np.maximum(probabilities, TINY, dtype=np.float64)
    return np.log(logs, out=logs)


def _inverse_temperature(logs: Array, labels: Labels, start: float, scratch: Array) -> float:
    """Return the 1/temperature with the lowest NLL; the NLL is convex in 1/temperature.

    Takes Newton steps within the bounds. Bisects instead when a step leaves the interval around the minimum or is more
    than half as long as the previous step. Overwrites `scratch`.
    """
    low, high = bounds = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    at_labels, ones, inverse, step = _at_labels(logs, labels).mean(), np.ones(logs.shape[1]), start, math.inf
    while step > 1e-5 * inverse:
        weights = _powers(logs, inverse, scratch)
        total = np.vecdot(weights, ones)
        first = np.vecdot(weights, logs) / total
        second = np.vecdot(np.multiply(weights, logs, out=weights), logs) / total
        slope, curvature = float(first.mean() - at_labels), float((second - first**2).mean())
        low, high = (inverse, high) if slope <= 0 else (low, inverse)
        newton = inverse - slope / curvature if curvature > 0 else -math.inf if slope > 0 else math.inf
        after = min(max(newton, bounds[0]), bounds[1])
        if not low <= after <= high or abs(after - inverse) > step / 2:
            after = math.sqrt(low * high)
        step, inverse = abs(after - inverse), after
    return inverse


def _scaled_nll(logs: Array, labels: Labels, inverse: float, scratch: Array) -> float:
    total = _powers(logs, inverse, scratch).sum(axis=1)
    return float(np.mean(np.log(total) - inverse * _at_labels(logs, labels)))


def _powers(logs: Array, inverse: float, scratch: Array) -> Array:
    """Return probabilities raised to a power, as a view of `scratch`: reusing memory is faster than allocating it."""
    powers = np.multiply(logs, inverse, out=scratch[: len(logs)])
    return np.exp(powers, out=powers)


def _at_labels(probabilities: Floats, labels: Labels) -> Floats:
    return probabilities[np.arange(len(labels)), labels]


def _has_nan(probabilities: Floats) -> bool:
    return bool(np.isnan(np.sum(probabilities)))
