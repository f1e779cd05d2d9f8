import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from snapshot_cli.analysis.statistics import (
    Decision,
    Differences,
    average,
    half_width,
    holm,
    judge,
    judge_alone,
    mcnemar,
    pool,
)


def pair(both, only_a, only_b, neither):
    """Return two networks' correctness with so many examples of each kind."""
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


def group(*values, image_variance=0.0, planned=None):
    return Differences(values, (image_variance,) * len(values), planned or len(values))


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (5, 0, 2 / 32), (0, 6, 2 / 64), (1, 5, 2 * 7 / 64), (3, 3, 1.0), (2, 8, 2 * (1 + 10 + 45) / 1024)],
)
def test_mcnemar_by_hand(only_a, only_b, p):
    a, b = pair(7, only_a, only_b, 4)
    assert mcnemar(a, b) == pytest.approx(p)
    assert mcnemar(b, a) == pytest.approx(p)


def test_mcnemar_needs_the_same_examples():
    with pytest.raises(ValueError, match=r"^1 and 2 examples cannot be paired$"):
        mcnemar(np.array([True]), np.array([True, False]))


@pytest.mark.parametrize(
    ("p_values", "family", "adjusted"),
    [
        ([], 0, []),
        ([0.03], 1, [0.03]),
        ([0.01, 0.04, 0.03, 0.005], 4, [0.03, 0.06, 0.06, 0.02]),
        ([0.04, 0.03], 2, [0.06, 0.06]),
        ([0.5, 0.9], 2, [1.0, 1.0]),
        ([0.02, 0.02], 2, [0.04, 0.04]),
        ([0.01, 0.02], 8, [0.08, 0.14]),  # six claims are not finished, and count
        ([0.01, math.nan], 2, [0.02, 1.0]),
    ],
)
def test_holm_by_hand(p_values, family, adjusted):
    assert holm(p_values, family) == pytest.approx(adjusted)


def test_the_interval_of_a_mean_by_hand():
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.302653 / math.sqrt(3))  # std 1; t(0.975, 2) = 4.302653
    assert half_width([3.5]) is None
    assert math.isnan(half_width([1.0, math.nan]))


def test_a_pooled_estimate_by_hand():
    # means 2 and 5, squares 2 and 10: variance 12 / (2 + 4) = 2, that of the mean 1/4 (2/3 + 2/5) = 4/15
    # t = 3.5 / sqrt(4/15) = 6.777721 with 6 degrees of freedom; t(0.975, 6) = 2.446912
    estimate = pool([group(1, 2, 3), group(3, 4, 5, 6, 7)])
    half = 2.446912 * math.sqrt(4 / 15)
    assert estimate.mean == pytest.approx(3.5)
    assert estimate.interval == pytest.approx((3.5 - half, 3.5 + half))
    assert estimate.p == pytest.approx(2 * t.sf(3.5 / math.sqrt(4 / 15), 6))


def test_the_variance_is_not_below_what_the_images_give():
    # the mean over groups of the mean image variance, (6 + 2) / 2 = 4, against a variance of 2 over seeds
    groups = [group(1, 2, 3, image_variance=6), group(3, 4, 5, 6, 7, image_variance=2)]
    half = 2.446912 * math.sqrt(4 * (1 / 3 + 1 / 5)) / 2
    assert pool(groups).interval == pytest.approx((3.5 - half, 3.5 + half))


def test_one_image_better_in_each_of_three_seeds_is_no_yes():
    one_of_10_000 = group(0.01, 0.01, 0.01, image_variance=1 * (100 / 10_000) ** 2)
    (decision,) = judge([[one_of_10_000]])
    assert decision.answer == "not decided"
    assert decision.p == pytest.approx(0.2254, abs=1e-4)  # t = sqrt(3) with 2 degrees of freedom
    assert judge([[group(0.0, 0.0, 0.0)]])[0].p == 1.0  # the same network thrice


def test_a_family_is_answered_when_all_its_groups_are_ready():
    clear, opposite, undecided = group(4, 5, 6), group(-4, -5, -6), group(-1, 2, 3)
    decisions = judge([[clear], [opposite], [undecided], [clear, group(1, 2, planned=3)], [group(planned=3)]])
    assert [each.answer for each in decisions] == ["not decided"] * 3 + ["not finished"] * 2  # p = 5 x 0.0131
    assert decisions[3] == Decision("not finished", 3.25)
    assert decisions[4] == Decision("not finished", None)
    assert [each.answer for each in judge([[clear], [opposite], [undecided]])] == ["yes", "no", "not decided"]


def test_groups_that_share_seeds_are_averaged_seed_by_seed_once_all_are_complete():
    assert average([group(1, 2, 3), group(3, 4, 8)]) == group(2, 3, 5.5)
    unfinished = average([group(1, 2, 3), group(5, planned=3), group(planned=3)])
    assert (unfinished.is_complete, unfinished.values) == (False, (1, 2, 3, 5))


def test_holm_decides_in_the_family():
    # p = 0.01307 each: 3 x is below 0.05, 4 x is not
    assert {each.answer for each in judge([[group(4, 5, 6)]] * 3)} == {"yes"}
    assert {each.answer for each in judge([[group(4, 5, 6)]] * 4)} == {"not decided"}


def test_a_diverged_network_is_not_decided():
    (decision,) = judge([[group(1.0, math.nan, 1.0)]])
    assert (decision.answer, decision.p) == ("not decided", 1.0)


@pytest.mark.parametrize(
    ("differences", "answer"),
    [
        (group(planned=3), "not finished"),
        (group(9, 9, planned=3), "not finished"),
        (group(9), "these weights only"),
        (group(9, 9.1), "not decided"),
        (group(4, 5, 6), "yes"),
        (group(-4, -5, -6), "no"),
        (group(-4, 5, 6), "not decided"),
        (group(0.1, 0.15, 0.2), "yes"),
        (group(-0.05, 0, 0.05), "not decided"),
    ],
)
def test_a_claim_outside_families(differences, answer):
    assert judge_alone(differences).answer == answer


def test_a_lone_claim_has_the_mean_so_far_and_an_interval_from_three_seeds_on():
    assert judge_alone(group(9, 10)) == Decision("not decided", 9.5)
    decision = judge_alone(group(4, 5, 6))
    assert (decision.mean, decision.estimate) == (5.0, pool([group(4, 5, 6)]))


@pytest.mark.parametrize(
    ("differences", "answer"),
    [
        (group(0.1, 0.15, 0.2), "yes"),  # the interval is 0.03 to 0.27
        (group(0.8, 0.85, 0.9), "no"),
        (group(-0.8, -0.85, -0.9), "no"),
        (group(0.4, 0.45, 0.5), "not decided"),  # 0.33 to 0.57
        (group(-0.4, -0.45, -0.5), "not decided"),
        (group(0.1), "these weights only"),
    ],
)
def test_equivalence_within_half_a_point(differences, answer):
    assert judge_alone(differences, margin=0.5).answer == answer


@given(st.lists(st.lists(st.floats(-5, 5), min_size=3, max_size=5), min_size=1, max_size=3))
def test_a_lone_claim_is_an_interval_without_zero(values):
    decision = judge([[group(*each, image_variance=0.01) for each in values]])[0]
    low, high = decision.estimate.interval
    expected = "yes" if low > 0 else "no" if high < 0 else "not decided"
    assert min(abs(low), abs(high)) < 1e-9 or decision.answer == expected


@pytest.mark.parametrize("std", [0.006, 0.06])  # the images' is 0.032
def test_of_families_without_a_true_claim_at_most_five_percent_have_an_answer(std):
    """Six methods of one true error, five seeds of three networks: seeds differ, and images do."""
    tables, images = 2000, 200
    random = np.random.default_rng(0)
    seeds = random.normal(0, std, (tables, 6, 3, 5))  # of the error rate, whose mean is 0.3
    wrong = random.random((tables, 6, 3, 5, images), dtype=np.float32) < (0.3 + seeds)[..., None].astype(np.float32)
    errors = 100 * wrong.mean(-1)
    pairs = [(snapshot, baseline) for snapshot in (4, 5) for baseline in range(4)]
    differences = np.stack([errors[:, b] - errors[:, s] for s, b in pairs], axis=1)
    image_variance = np.stack([(wrong[:, b] ^ wrong[:, s]).sum(-1) * (100 / images) ** 2 for s, b in pairs], axis=1)
    false = 0
    for table, floors in zip(differences.tolist(), image_variance.tolist(), strict=True):
        family = [
            [Differences(tuple(v), tuple(f), 5) for v, f in zip(*claim, strict=True)]
            for claim in zip(table, floors, strict=True)
        ]
        false += any(decision.answer in ("yes", "no") for decision in judge(family))
    assert false / tables <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / tables)
    assert false > 0
