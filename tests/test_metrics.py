import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from snapshot_cli.analysis import metrics

# Four examples, three classes; predictions 0, 1, 0, 2 against labels 0, 1, 1, 0: two are wrong.
PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25], [0.125, 0.125, 0.75]])
LABELS = np.array([0, 1, 1, 0])
SCORES = [
    metrics.top1_error,
    metrics.nll,
    metrics.brier,
    lambda p, y: metrics.reliability(p, y).ece,
    lambda p, y: metrics.calibrate(p, y)[0],
    lambda p, y: metrics.disagreement(np.stack([p, PROBABILITIES]))[0, 1],
]


def calibrated_nll(probabilities, labels):
    return metrics.calibrate(probabilities, labels)[0]


def inverse_temperature(logs, labels, start=1.0):
    return metrics._inverse_temperature(logs, labels, start, np.empty_like(logs))


def random_predictions(examples=1000, classes=10, scale=3.0, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=scale, size=(examples, classes)).astype(np.float32)
    noisy = logits + generator.gumbel(scale=3.0, size=logits.shape)
    return metrics.softmax(logits), noisy.argmax(axis=1)


def test_softmax_by_hand():
    logits = np.array([[0.0, math.log(3)], [1000.0, 1000.0], [-1000.0, 0.0]], dtype=np.float32)
    probabilities = metrics.softmax(logits)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.5, 0.5], [0.0, 1.0]], rtol=1e-7)


def test_softmax_of_many_members_and_of_what_is_not_a_number():
    logits = np.zeros((2, 3, 4))
    logits[0, 1, 2] = np.nan
    logits[1, 0, 0] = np.inf
    probabilities = metrics.softmax(logits)
    bad = np.zeros((2, 3), dtype=bool)
    bad[0, 1] = bad[1, 0] = True
    assert np.isnan(probabilities[bad]).all()
    assert (probabilities[~bad] == 0.25).all()


def test_top1_error_by_hand():
    assert metrics.top1_error(PROBABILITIES, LABELS) == 50.0
    assert metrics.correct(PROBABILITIES, LABELS).tolist() == [True, True, False, False]


def test_of_equal_classes_the_first_counts():
    assert metrics.top1_error(np.full((4, 2), 0.5), np.array([0, 0, 0, 1])) == 25.0


def test_a_diverged_network_is_never_right():
    probabilities = np.full((2, 3), np.nan)
    assert metrics.correct(probabilities, np.array([0, 0])).tolist() == [False, False]


def test_top5_error_by_hand():
    row = [0.3, 0.25, 0.2, 0.1, 0.08, 0.07]
    assert metrics.top5_error(np.array([row] * 4), np.array([0, 4, 5, 5])) == 50.0
    assert metrics.top5_error(np.full((6, 6), 1 / 6), np.arange(6)) == pytest.approx(100 / 6)
    assert metrics.top5_error(PROBABILITIES, LABELS) is None
    assert metrics.top5_error(np.full((4, 5), 0.2), LABELS) is None


def test_nll_by_hand():
    assert metrics.nll(PROBABILITIES, LABELS) == pytest.approx(-math.log(0.7 * 0.8 * 0.25 * 0.125) / 4)


def test_nll_of_an_impossible_label_is_large_and_finite():
    assert metrics.nll(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(708.3964185322641)
    assert metrics.nll(np.array([[1.0, 1e-300]]), np.array([1])) == pytest.approx(300 * math.log(10))


def test_brier_by_hand():
    expected = (0.09 + 0.04 + 0.01) + (0.01 + 0.04 + 0.01) + (0.25 + 0.5625 + 0.0625) + (0.765625 + 0.015625 + 0.5625)
    assert metrics.brier(PROBABILITIES, LABELS) == pytest.approx(expected / 4)
    assert metrics.brier(np.array([[0.0, 1.0]]), np.array([0])) == 2.0


def test_reliability_and_ece_by_hand():
    table = metrics.reliability(PROBABILITIES, LABELS, bins=4)  # 0.5 and 0.75 are edges
    assert table.count == [0, 0, 2, 2]
    np.testing.assert_allclose(table.confidence, [np.nan, np.nan, 0.6, 0.775])
    np.testing.assert_allclose(table.accuracy, [np.nan, np.nan, 0.5, 0.5])
    assert metrics.reliability(PROBABILITIES, LABELS, bins=4).ece == pytest.approx(0.5 * 0.1 + 0.5 * 0.275)


def test_full_confidence_is_in_the_last_bin():
    probabilities = np.array([[1.0, 0.0], [0.99, 0.01]])
    table = metrics.reliability(probabilities, np.array([0, 0]))
    assert table.count == [0] * 14 + [2]
    assert table.ece == pytest.approx(0.005)


@pytest.mark.parametrize("score", SCORES)
def test_one_nan_makes_the_number_nan(score):
    probabilities = PROBABILITIES.copy()
    probabilities[2] = np.nan
    assert math.isnan(score(probabilities, LABELS))
    assert not math.isnan(score(PROBABILITIES, LABELS))


def test_one_nan_makes_top5_nan():
    probabilities = np.full((3, 6), 1 / 6)
    probabilities[1, 3] = np.nan
    assert math.isnan(metrics.top5_error(probabilities, np.array([0, 1, 2])))


def test_disagreement_by_hand():
    other = PROBABILITIES[[0, 1, 3, 3]]
    table = metrics.disagreement(np.stack([PROBABILITIES, other, other]))
    assert table.tolist() == [[0.0, 25.0, 25.0], [25.0, 0.0, 0.0], [25.0, 0.0, 0.0]]


def test_correlation_by_hand():
    a = np.array([[0.25, 0.75], [0.5, 0.5]])
    b = 1 - a
    c = np.array([[0.5, 0.5], [0.25, 0.75]])  # deviations of a: -1 1 0 0, of c: 0 0 -1 1 (quarters)
    np.testing.assert_allclose(
        metrics.correlation(np.stack([a, b, c])), [[1, -1, 0], [-1, 1, 0], [0, 0, 1]], atol=1e-12
    )
    assert metrics.correlation(np.stack([a])).shape == (1, 1)
    assert np.isnan(metrics.correlation(np.stack([a, np.full((2, 2), 0.5)]))[0, 1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.5, 3.0, 10.0])
def test_torchmetrics_agrees(scale, seed):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    probabilities, labels = random_predictions(scale=scale, seed=seed)
    p, y = torch.from_numpy(probabilities), torch.from_numpy(labels)
    ece = functional.multiclass_calibration_error(p, y, num_classes=10, n_bins=15, norm="l1")
    top1 = functional.multiclass_accuracy(p, y, num_classes=10, average="micro")
    top5 = functional.multiclass_accuracy(p, y, num_classes=10, top_k=5, average="micro")
    assert metrics.reliability(probabilities, labels).ece == pytest.approx(float(ece), abs=1e-6)
    assert metrics.top1_error(probabilities, labels) == pytest.approx(100 * (1 - float(top1)), abs=1e-4)
    assert metrics.top5_error(probabilities, labels) == pytest.approx(100 * (1 - float(top5)), abs=1e-4)
    nll = torch.nn.functional.nll_loss(p.log(), y)
    assert metrics.nll(probabilities, labels) == pytest.approx(float(nll), rel=1e-9)


def test_torchmetrics_agrees_at_the_edges_of_bins():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    confidence = np.linspace(0, 1, 16)[8:15]  # below 8/15 another class would be the most probable
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    labels = np.array([0, 1, 0, 1, 0, 0, 1])
    expected = functional.multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), num_classes=2, n_bins=15
    )
    assert metrics.reliability(probabilities, labels).ece == pytest.approx(float(expected), abs=1e-6)


def test_calibrated_nll_undoes_a_wrong_temperature():
    generator = np.random.default_rng(1)
    logits = generator.normal(scale=2, size=(4000, 5))
    labels = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)  # drawn from the softmax
    best = metrics.nll(metrics.softmax(logits), labels)
    sharp = metrics.softmax(3 * logits)
    assert metrics.nll(sharp, labels) > best + 0.2
    nll, temperatures = metrics.calibrate(sharp, labels)
    assert (nll, temperatures) == (pytest.approx(best, abs=2e-3), pytest.approx((3, 3), rel=0.1))
    assert calibrated_nll(metrics.softmax(logits / 3), labels) == pytest.approx(best, abs=2e-3)


@pytest.mark.parametrize("sharper", [0.02, 0.3, 1, 3, 50])
def test_the_temperature_is_the_one_that_a_general_search_finds(sharper):
    probabilities, labels = random_predictions(examples=400, classes=5)
    logs = sharper * np.log(probabilities)
    logs -= logs.max(axis=1, keepdims=True)
    scratch = np.empty_like(logs)

    def nll(inverse):
        return metrics._scaled_nll(logs, labels, inverse, scratch)

    expected = minimize_scalar(nll, bounds=(0.05, 20), method="bounded")
    inverse = inverse_temperature(logs, labels)
    assert inverse == pytest.approx(expected.x, rel=1e-3)
    assert nll(inverse) <= expected.fun + 1e-12
    for start in (0.06, inverse, 19):
        assert inverse_temperature(logs, labels, start) == pytest.approx(inverse, rel=1e-9)


@pytest.mark.parametrize("margin", [1, 5, 20, 700])
@pytest.mark.parametrize("wrong", [0, 1])
def test_the_temperature_where_nearly_all_are_right(margin, wrong):
    logs, labels = np.zeros((400, 2)), np.arange(400) % 2
    logs[np.arange(400), 1 - labels] = -margin
    labels[:wrong] = 1 - labels[:wrong]
    expected = 20 if not wrong else min(20, max(0.05, math.log(399) / margin))
    assert inverse_temperature(logs, labels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("examples", [0, 1])
def test_no_temperature_without_two_halves(examples):
    assert math.isnan(calibrated_nll(PROBABILITIES[:examples], LABELS[:examples]))


def test_each_half_takes_its_temperature_from_the_other():
    # Even examples are right half of the time whatever is said, so they ask for the flattest temperature there is, 20;
    # odd ones are always right and ask for the sharpest, 0.05. The odds 3 : 2 become 1.5^(1/20) and 1.5^20.
    probabilities = np.array([[0.6, 0.4]] * 8)
    labels = np.array([0, 0, 1, 0, 0, 0, 1, 0])
    even = (math.log1p(1.5**20) + math.log1p(1.5**-20)) / 2
    odd = math.log1p(1.5 ** (-1 / 20))
    assert calibrated_nll(probabilities, labels) == pytest.approx((even + odd) / 2, rel=1e-3)


@given(st.floats(0.3, 3), st.integers(0, 50))
def test_temperature_does_not_move_the_calibrated_nll(factor, seed):
    probabilities, labels = random_predictions(examples=200, classes=4, seed=seed)
    scaled = metrics.softmax(factor * np.log(probabilities))
    expected = calibrated_nll(probabilities, labels)
    assert calibrated_nll(scaled, labels) == pytest.approx(expected, abs=1e-4)
