import math

import numpy as np
import pytest

from snapshot_cli.analysis.ensembles import cumulative_means, deep_ensemble_equivalent, mean, measure
from snapshot_cli.analysis.metrics import softmax

# Three members, two examples, two classes, as probabilities of class 0:
MEMBERS = np.array([[0.9, 0.3], [0.2, 0.4], [0.6, 0.8]])
PROBABILITIES = np.stack([MEMBERS, 1 - MEMBERS], axis=-1)
LABELS = np.array([0, 0])


def test_ensembles_of_the_last_by_hand():
    # class 0: last 1: 0.6 0.8; last 2: 0.4 0.6; last 3: 17/30 0.5 (a tie but for rounding, so only its NLL is tested)
    ensembles = [measure(each, LABELS) for each in cumulative_means(PROBABILITIES[::-1])]
    assert [each.error for each in ensembles[:2]] == [0.0, 50.0]
    expected = [-math.log(0.6 * 0.8) / 2, -math.log(0.4 * 0.6) / 2, -math.log(17 / 30 * 0.5) / 2]
    assert [each.nll for each in ensembles] == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_averaged_and_not_logits():
    logits = np.array([[[10.0, 0.0]], [[-2.0, 0.0]], [[-2.0, 0.0]]])  # mean logit favours class 0, mean softmax class 1
    *_, ensemble = cumulative_means(softmax(logits))
    averaged = (1 / (1 + math.exp(10)) + 2 / (1 + math.exp(-2))) / 3
    metrics = measure(ensemble, np.array([1]))
    assert (metrics.nll, metrics.error) == (pytest.approx(-math.log(averaged)), 0.0)


def test_running_sums_equal_the_plain_mean():
    probabilities = softmax(np.random.default_rng(0).normal(size=(5, 200, 7)))
    for size, ensemble in enumerate(cumulative_means(probabilities), start=1):
        np.testing.assert_allclose(ensemble, probabilities[:size].mean(0), rtol=1e-12)
        np.testing.assert_allclose(ensemble, mean(probabilities, range(size)), rtol=1e-12)


def test_a_diverged_member_spoils_its_ensembles_and_no_other():
    probabilities = PROBABILITIES.copy()
    probabilities[1] = np.nan
    errors = [measure(each, LABELS).error for each in cumulative_means(probabilities[::-1])]
    assert [math.isnan(error) for error in errors] == [False, True, True]


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("value", "by_size", "members"),
    [
        (0.9, [1.0, 0.8, 0.7], 1.5), (1.0, [1.0, 0.8, 0.7], 1.0), (0.8, [1.0, 0.8, 0.7], 2.0),
        (0.725, [1.0, 0.8, 0.7], 2.75), (0.7, [1.0, 0.8, 0.7], 3.0), (1.1, [1.0, 0.8, 0.7], 0.0),
        (0.6, [1.0, 0.8, 0.7], INFINITY), (0.9, [1.0, 1.0, 0.8], 2.5), (0.85, [1.0, 0.8, 0.9, 0.7], 1.75),
        (1.0, [1.0], 1.0), (0.9, [1.0], INFINITY), (1.1, [1.0], 0.0), (0.17, [0.17, 0.18, 0.12], 1.0),
        (1.0, [1.0, 1.0, 0.8], 1.0), (NAN, [1.0, 0.8], NAN), (0.9, [1.0, NAN], NAN),
    ],
)  # fmt: skip
def test_deep_ensemble_equivalent(value, by_size, members):
    assert deep_ensemble_equivalent(value, by_size) == pytest.approx(members, nan_ok=True)
