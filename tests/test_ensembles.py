import math
import re

import numpy as np
import pytest

from snapshot_cli.analysis.ensembles import evaluate, score
from snapshot_cli.analysis.metrics import softmax

# Three members, two examples, two classes, as logits of these probabilities of class 0:
MEMBERS = np.array([[0.9, 0.3], [0.2, 0.4], [0.6, 0.8]])
LOGITS = np.stack([np.log(MEMBERS), np.log(1 - MEMBERS)], axis=-1).astype(np.float32)
LABELS = np.array([0, 0])


def test_ensembles_of_the_last_by_hand():
    # class 0: last 1: 0.6 0.8; last 2: 0.4 0.6; last 3: 17/30 0.5 (a tie but for rounding, so only its NLL is tested)
    evaluation = evaluate(LOGITS, LABELS)
    assert [s.top1_error for s in evaluation.members] == [50.0, 100.0, 0.0]
    assert [s.top1_error for s in evaluation.ensembles[:2]] == [0.0, 50.0]
    expected = [-math.log(0.6 * 0.8) / 2, -math.log(0.4 * 0.6) / 2, -math.log(17 / 30 * 0.5) / 2]
    assert [s.nll for s in evaluation.ensembles] == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_averaged_and_not_logits():
    logits = np.array([[[10.0, 0.0]], [[-2.0, 0.0]], [[-2.0, 0.0]]])  # mean logit favours class 0, mean softmax class 1
    label = np.array([1])
    mean = (1 / (1 + math.exp(10)) + 2 / (1 + math.exp(-2))) / 3
    assert evaluate(logits, label).ensembles[-1].nll == pytest.approx(-math.log(mean))
    assert evaluate(logits, label).ensembles[-1].top1_error == 0.0


def test_running_sums_equal_the_plain_mean():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(5, 200, 7)).astype(np.float32)
    labels = generator.integers(0, 7, 200)
    evaluation = evaluate(list(logits), labels)
    for size in range(1, 6):
        plain = score(softmax(logits[-size:]).mean(axis=0), labels)
        found = evaluation.ensembles[size - 1]
        assert found.top1_error == plain.top1_error
        assert found.top5_error == plain.top5_error
        assert [found.nll, found.brier, found.ece] == pytest.approx([plain.nll, plain.brier, plain.ece], rel=1e-12)
    assert evaluation.members == tuple(score(softmax(member), labels) for member in logits)


def test_one_member_is_its_own_ensemble():
    evaluation = evaluate(LOGITS[:1], LABELS)
    assert evaluation.members == evaluation.ensembles


def test_a_diverged_member_spoils_its_ensembles_and_no_other():
    logits = LOGITS.copy()
    logits[1] = np.nan
    evaluation = evaluate(logits, LABELS)
    assert [math.isnan(s.top1_error) for s in evaluation.members] == [False, True, False]
    assert [math.isnan(s.top1_error) for s in evaluation.ensembles] == [False, True, True]
    assert evaluation.ensembles[0] == evaluation.members[2] == score(softmax(LOGITS[2]), LABELS)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([], [0, 0], "an ensemble needs at least one member"),
        (LOGITS, [0, 0, 0], "member 1 has logits of 2 examples, but there are 3 labels"),
        ([LOGITS[0], LOGITS[0][:1]], [0, 0], "logits of member 2 are (1, 2), those of member 1 (2, 2)"),
        ([LOGITS[0], np.zeros((2, 3))], [0, 0], "logits of member 2 are (2, 3), those of member 1 (2, 2)"),
        (LOGITS[0], [0, 0], "logits of member 1 are (2,), those of member 1 (2,)"),
    ],
)
def test_what_cannot_be_averaged_is_refused(logits, labels, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        evaluate(logits, np.array(labels))
