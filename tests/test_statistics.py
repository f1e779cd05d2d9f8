import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_cli.analysis import statistics
from snapshot_cli.analysis.statistics import Comparison, Verdict, holm, judge, mcnemar, mean_interval, paired_interval


def pair(both, only_a, only_b, neither):
    """Return two networks' correctness with so many examples of each kind."""
    a = [True] * both + [True] * only_a + [False] * only_b + [False] * neither
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


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
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.04, 0.03], [0.06, 0.06]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm_by_hand(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)


def test_paired_interval_by_hand():
    # mean 2, deviation 1, standard error 1/sqrt(3); t(0.975, 2) = 4.302653, t(0.95, 2) = 2.919986
    assert paired_interval([1, 2, 3]) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))
    assert paired_interval([1, 2, 3], 0.9) == pytest.approx((2 - 2.919986 / math.sqrt(3), 2 + 2.919986 / math.sqrt(3)))
    assert paired_interval([0.5, 0.5]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_no_interval_without_two_seeds(values):
    with pytest.raises(ValueError, match=f"^an interval over seeds needs two or more, not {len(values)}$"):
        paired_interval(values)


def test_mean_interval_by_hand():
    assert mean_interval([3.5]) == (3.5, None)
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.302653 / math.sqrt(3)))
    assert all(map(math.isnan, mean_interval([1.0, math.nan])))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8).filter(lambda v: np.std(v) > 1e-3))
def test_p_value_and_interval_tell_the_same(differences):
    level = 1 - statistics.paired_p(differences)
    if 0.001 < level < 0.999:
        low, high = paired_interval(differences, level)
        assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-6)


def compare(claim, *pairs):
    return Comparison(claim, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


def test_one_seed_is_judged_by_mcnemar_and_holm():
    # raw p: 2/2^10 = 0.00195, 2/2^6 = 0.03125, 1 -> Holm 3, 2, 1 times: 0.00586, 0.0625, 1
    comparisons = [compare("A", pair(80, 10, 0, 10)), compare("B", pair(90, 6, 0, 4)), compare("C", pair(90, 2, 2, 6))]
    a, b, c = judge(comparisons)
    assert (a.answer, b.answer, c.answer) == ("yes", "not decided", "not decided")
    assert [v.p for v in (a, b, c)] == pytest.approx([3 * 2 / 1024, 2 * 2 / 64, 1.0])
    assert [v.difference for v in (a, b, c)] == pytest.approx([10.0, 6.0, 0.0])
    assert (a.seeds, a.interval, a.level) == (1, None, None)
    assert a.seed_p == pytest.approx((2 / 1024,))


def test_the_other_side_is_a_no():
    (verdict,) = judge([compare("A", pair(80, 0, 10, 10))])
    assert verdict.answer == "no"
    assert verdict.difference == pytest.approx(-10.0)


def test_three_seeds_are_judged_by_the_paired_interval():
    # per-seed differences 1, 2, 3 points of 100 examples: t = 2 sqrt(3) = 3.46 with 2 degrees of freedom, p = 0.0742
    undecided = compare("A", pair(90, 1, 0, 9), pair(90, 2, 0, 8), pair(90, 3, 0, 7))
    (verdict,) = judge([undecided])
    assert verdict == Verdict(
        "A", "not decided", 3, pytest.approx(2.0), pytest.approx(0.07417990), pytest.approx(paired_interval([1, 2, 3])),
        pytest.approx(0.95), pytest.approx((1.0, 0.5, 0.25)),
    )  # fmt: skip
    # differences 4, 5, 6: t = 8.66, p = 0.01307
    (verdict,) = judge([compare("B", pair(90, 4, 0, 6), pair(90, 5, 0, 5), pair(90, 6, 0, 4))])
    assert verdict.answer == "yes"
    assert verdict.p == pytest.approx(0.0130719, abs=1e-6)
    assert verdict.interval == pytest.approx((5 - 2.484138, 5 + 2.484138), abs=1e-5)


def test_holm_widens_the_intervals_of_a_table():
    clear = compare("B", pair(90, 4, 0, 6), pair(90, 5, 0, 5), pair(90, 6, 0, 4))  # p 0.0131
    b, c, d, e = judge([clear] * 4)  # 4 x 0.0131 = 0.052
    assert {v.answer for v in (b, c, d, e)} == {"not decided"}
    for verdict in (b, c, d, e):  # the first that fails stops the others
        assert verdict.level == pytest.approx(1 - 0.05 / 4)
        assert verdict.interval[0] < 0 < verdict.interval[1]
    b, c, d = judge([clear] * 3)  # 3 x 0.0131 = 0.039
    assert {v.answer for v in (b, c, d)} == {"yes"}
    assert sorted(v.level for v in (b, c, d)) == pytest.approx([0.95, 1 - 0.05 / 2, 1 - 0.05 / 3])


def test_no_seed_or_two_decide_nothing_and_do_not_count():
    none, two = compare("none"), compare("two", pair(80, 10, 0, 10), pair(80, 11, 0, 9))
    first, second, third = judge([none, two, compare("one", pair(90, 6, 0, 4))])
    assert first == Verdict("none", "not decided", 0, None)
    assert (second.answer, second.seeds, second.p, second.interval) == ("not decided", 2, None, None)
    assert second.difference == pytest.approx(10.5)
    assert third.p == pytest.approx(2 / 64)
    assert third.answer == "yes"


@pytest.mark.parametrize(("points", "answer"), [(0, "not decided"), (3, "yes")])
def test_equal_differences_of_all_seeds(points, answer):
    (verdict,) = judge([compare("A", *[pair(90, points, 0, 10 - points)] * 3)])
    assert verdict.answer == answer
    assert verdict.interval == pytest.approx((points, points))


def test_seeds_are_paired():
    with pytest.raises(ValueError, match="zip"):
        judge([Comparison("A", (np.array([True]),), ())])


SEEDS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=3, max_size=4)


@given(st.lists(SEEDS, min_size=1, max_size=5))
def test_an_answer_is_an_interval_without_zero(tables):
    verdicts = judge([compare("A", *[pair(50, a, b, 40) for a, b in rows]) for rows in tables])
    for verdict in verdicts:
        low, high = verdict.interval
        expected = "yes" if low > 0 else "no" if high < 0 else "not decided"
        near = min(abs(low), abs(high)) < 1e-9
        assert near or verdict.answer == expected
