import numpy as np
import pytest

from snapshot_cli.analysis import metrics, selection

LABELS = np.arange(60) % 3


def member(wrong, *, confidence=0.9):
    """Return probabilities of 60 examples of 3 classes, of which some are wrong."""
    chosen = LABELS.copy()
    chosen[list(wrong)] = (chosen[list(wrong)] + 1) % 3
    probabilities = np.full((60, 3), (1 - confidence) / 2)
    probabilities[np.arange(60), chosen] = confidence
    return probabilities


def error(probabilities, members):
    return metrics.top1_error(np.mean([probabilities[k - 1] for k in members], axis=0), LABELS)


def test_weak_first_members_are_left_out():
    probabilities = np.stack(
        [member(range(40), confidence=0.99), member(range(5)), member(range(5, 10), confidence=0.8)]
    )
    selected = selection.choose_last(probabilities, LABELS)
    assert (selected.rule, selected.members) == ("last 2", (2, 3))
    assert selected.error == error(probabilities, (2, 3))


def test_equal_errors_are_decided_by_likelihood_then_size():
    same = member(range(6))
    assert selection.choose_last(np.stack([same, same]), LABELS).members == (2,)
    assert selection.choose_last(
        np.stack([member(range(6), confidence=0.97), member(range(6), confidence=0.6)]), LABELS
    ).members == (
        1,
        2,
    )


def test_greedy_finds_a_subset_that_is_no_tail_and_counts_members_twice():
    good, weak = member(range(3), confidence=0.8), member(range(50))
    other = member(range(20, 32), confidence=0.95)
    probabilities = np.stack([good, weak, other])
    selected = selection.choose_greedy(probabilities, LABELS)
    assert 2 not in selected.members
    assert selected.error == error(probabilities, selected.members)
    assert selected.error <= min(error(probabilities, (k,)) for k in (1, 2, 3))
    twice = np.stack(
        [member(range(8), confidence=0.7), member(range(8, 20), confidence=0.9), member(range(20, 32), confidence=0.9)]
    )
    assert len(selection.choose_greedy(twice, LABELS).members) > len(
        set(selection.choose_greedy(twice, LABELS).members)
    )


@pytest.mark.parametrize("seed", range(12))
def test_greedy_is_what_all_sequences_of_its_rule_give(seed):
    """Each round adds the member, used before or not, with which the mean is best; the best of all rounds counts."""
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(3), (4, 60))

    def score(numbers):
        mean = np.mean([probabilities[number - 1] for number in numbers], axis=0)
        return metrics.top1_error(mean, LABELS), metrics.nll(mean, LABELS)

    rounds = [[]]
    for _ in range(9):
        rounds.append(min(([*rounds[-1], number] for number in range(1, 5)), key=score))
    best = min(rounds[1:], key=score)
    selected = selection.choose_greedy(probabilities, LABELS, rounds=9)
    assert (selected.members, selected.error) == (tuple(sorted(best)), score(best)[0])


def test_the_better_of_both_is_chosen():
    draw = np.random.default_rng(0)
    for probabilities in draw.dirichlet(np.ones(3), (5, 4, 60)):
        both = selection.choose_last(probabilities, LABELS), selection.choose_greedy(probabilities, LABELS)
        assert selection.choose(probabilities, LABELS).error == min(each.error for each in both)


@pytest.mark.parametrize("broken", [0, 1])
def test_a_diverged_member_is_never_chosen(broken):
    probabilities = np.stack([member(range(9)), member(range(9))])
    probabilities[broken, 0] = np.nan
    assert set(selection.choose_greedy(probabilities, LABELS).members) == {2 - broken}
    assert set(selection.choose(probabilities, LABELS).members) == {2 - broken}
    assert selection.best_subsets(probabilities, LABELS)[0].members == (2 - broken,)


def test_nothing_but_diverged_members_is_no_crash():
    probabilities = np.full((2, 60, 3), np.nan)
    assert np.isnan(selection.choose(probabilities, LABELS).error)


def test_best_subsets_have_the_fewest_errors_and_of_equals_are_the_first():
    right = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]])  # member 1 is the best alone
    probabilities = np.stack([0.6 * right + 0.3 * (1 - right), 0.4 * right + 0.7 * (1 - right)], axis=-1)
    chosen = selection.best_subsets(probabilities, np.zeros(4, int))
    assert chosen[0].members == (2,)
    assert [len(each.members) for each in chosen] == [1, 2, 3]


def test_too_many_members_have_no_best_subsets():
    probabilities = np.stack([member(range(k)) for k in range(selection.MOST_MEMBERS + 1)])
    assert len(selection.best_subsets(probabilities[1:], LABELS)) == selection.MOST_MEMBERS
    assert selection.best_subsets(probabilities, LABELS) == []
