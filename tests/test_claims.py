import numpy as np
import pytest
from fabricated_runs import experiment
from fabricated_scores import outcome, right

from snapshot_cli.analysis.claims import compare, judge_claims
from snapshot_cli.analysis.findings import check_statement
from snapshot_cli.reporting import claims
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.figures import interpolation

SNAPSHOT = "Snapshot (α₀ = 0.1)"
SINGLE = f"{SNAPSHOT} beats the single model"


def planned(method, *mistakes, replicates=None, **settings):
    return outcome(experiment(method, replicates=replicates or len(mistakes), **settings), *mistakes)


def around(mistakes, seeds=3):
    """Return so many mistakes in each of some seeds, give or take two."""
    return [mistakes + change for change in (-2, 0, 2, -1, 1)][:seeds]


def answers(outcomes, question="methods", family="primary"):
    verdicts = judge_claims(outcomes, question)
    return {verdict.claim: verdict.decision.answer for verdict in verdicts if verdict.family == family}


def test_the_primary_family_is_snapshot_against_every_baseline():
    methods = ("single", "dropout", "nocycle", "singlecycle")
    outcomes = [planned(method, *around(300)) for method in methods]
    outcomes += [planned("snapshot", *around(200)), planned("snapshot", *around(100), alpha0=0.2)]
    outcomes += [planned("ensemble", *around(50)), planned("snapshot", *around(10), alpha0=0.05)]
    names = ("the single model", "Dropout", "NoCycle", "SingleCycle")
    assert answers(outcomes) == {f"Snapshot (α₀ = {a}) beats {name}": "yes" for a in ("0.1", "0.2") for name in names}
    others = answers(outcomes, family="secondary")
    assert others["α₀ = 0.2 beats 0.1"] == "yes"
    assert others["The true ensemble beats Snapshot (α₀ = 0.2), at 2 times the cost"] == "yes"
    # with one network the primary claims are not asked once more; another alpha0 is not the paper's
    assert set(others) - {f"Snapshot (α₀ = 0.05) beats {name}" for name in names} == {
        "α₀ = 0.2 beats 0.1",
        *(f"The true ensemble beats Snapshot (α₀ = {a}), at 2 times the cost" for a in ("0.05", "0.1", "0.2")),
    }


def test_a_pooled_claim_by_hand():
    # 1,000 images. Differences of resnet-8 are 1, 2, 3 points, of resnet-14 5 three times: variances 1 and 0, pooled
    # 1/2 with 4 degrees of freedom. The images they disagree on: mean 20 and 50, so 35 x 1e4 / 1e6 = 0.35 at least.
    outcomes = [
        planned("single", 110, 120, 130), planned("snapshot", 100, 100, 100),
        planned("single", 150, 150, 150, network="resnet-14"), planned("snapshot", 100, 100, 100, network="resnet-14"),
    ]  # fmt: skip
    pooled, *by_group = judge_claims(outcomes, "methods")
    half = 2.776445 * (0.5 * (1 / 3 + 1 / 3)) ** 0.5 / 2
    assert (pooled.family, pooled.finished, pooled.planned) == ("primary", (3, 3), (3, 3))
    assert pooled.decision.mean == pytest.approx(3.5)
    assert pooled.decision.estimate.interval == pytest.approx((3.5 - half, 3.5 + half))
    assert [(each.family, each.decision.answer) for each in by_group] == [
        ("secondary", "not decided"),  # 2 +- 1 over three seeds, p = 0.15 after Holm
        ("secondary", "yes"),  # without variance but for 50 images: 5 +- 0.41
    ]
    assert by_group[1].decision.estimate.interval == pytest.approx(
        (5 - 4.302653 * (0.5 / 3) ** 0.5, 5 + 1.75656), abs=1e-4
    )


def test_settings_of_one_network_and_dataset_are_no_independent_evidence():
    single, snapshot = (200, 230, 215), (190, 200, 210)
    once = [planned("single", *single), planned("snapshot", *snapshot)]
    again = [planned("single", *single, precision="bfloat16"), planned("snapshot", *snapshot, precision="bfloat16")]
    (alone, *_), (pooled, *_) = (judge_claims(outcomes, "methods") for outcomes in (once, once + again))
    assert pooled.decision == alone.decision
    assert (pooled.family, pooled.finished) == ("primary", (3, 3))
    unfinished = [planned("single", 200, None, 215, precision="bfloat16"), again[1]]
    assert judge_claims(once + unfinished, "methods")[0].decision.answer == "not finished"


def test_one_image_better_in_three_seeds_is_not_a_yes():
    assert answers([planned("single", 101, 101, 101), planned("snapshot", 100, 100, 100)]) == {SINGLE: "not decided"}


@pytest.mark.parametrize(
    ("single", "snapshot", "replicates", "family", "answer"),
    [
        ([300], [100], 1, None, "these weights only"),
        ([300, 300], [100, 101], 2, None, "not decided"),
        ([300, None], [100, 101], 2, None, "not finished"),
        ([300] * 3, [100, 101, 102], 3, "primary", "yes"),
        ([100, 101, 102], [300] * 3, 3, "primary", "no"),
        ([300] * 3, [100, 101, 102], 5, "primary", "not finished"),
        ([300] * 4, [100, 101, None, 102], 4, "primary", "not finished"),
        ([100, 105, 90], [100, 95, 101], 3, "primary", "not decided"),
    ],
)
def test_every_kind_of_answer(single, snapshot, replicates, family, answer):
    outcomes = [
        planned("single", *single, replicates=replicates),
        planned("snapshot", *snapshot, replicates=replicates),
    ]
    (verdict,) = judge_claims(outcomes, "methods")
    assert (verdict.family, verdict.decision.answer) == (family, answer)
    assert (verdict.mcnemar_p is not None) == (answer == "these weights only")


def test_one_unfinished_network_keeps_the_pooled_claim_open():
    ready = [planned("single", *around(300)), planned("snapshot", *around(100))]
    other = {"network": "resnet-14", "replicates": 3}
    open_pair = [planned("single", 300, **other), planned("snapshot", 100, **other)]
    assert answers([*ready, *open_pair]) == {SINGLE: "not finished"}
    assert claims.sentences([*ready, *open_pair]) == [
        f"{SINGLE}: not finished, +20.00 points, 2 networks, 1 to 3 of 3 seeds so far"
    ]
    # a network of one planned seed is not pooled, and does not keep it open
    one_seed = [planned(method, 300, network="resnet-14") for method in ("single", "snapshot")]
    assert answers([*ready, *one_seed]) == {SINGLE: "yes"}


def test_unfinished_claims_count_in_holms_correction():
    ready = [planned("single", 106, 100, 103), planned("snapshot", 90, 90, 90)]  # p = 0.017
    assert answers(ready)[SINGLE] == "yes"
    waiting = [planned(method, replicates=3) for method in ("nocycle", "singlecycle", "dropout")]
    assert answers([*ready, *waiting])[SINGLE] == "not decided"


def test_seeds_are_paired_by_replicate_as_far_as_both_plan_them():
    single = planned("single", 400, 200, 300, 999, 999)
    (verdict,) = judge_claims([single, planned("snapshot", 300, 100, 200)], "methods")
    assert (verdict.planned, verdict.decision.answer) == ((3,), "yes")
    assert verdict.decision.mean == pytest.approx(10.0)


def test_different_images_are_not_compared():
    snapshot = outcome(experiment(replicates=3), 100, 100, 100, images_of="b")
    (verdict,) = judge_claims([planned("single", *around(300)), snapshot], "methods")
    assert (verdict.has_different_images, verdict.decision.answer) == (True, "not decided")
    assert claims.sentence(verdict) == f"{SINGLE}: not decided, on different images"
    single = planned("single", 300)
    assert compare(snapshot, single).has_different_images


def test_the_exact_p_of_one_seed():
    single, snapshot = planned("single", 6), planned("snapshot", 0)
    (verdict,) = judge_claims([single, snapshot], "methods")
    assert verdict.mcnemar_p == pytest.approx(2 / 64)
    assert claims.sentence(verdict) == f"{SINGLE}: these weights only, +0.60 points, 1 seed, McNemar p = 0.031"


@pytest.mark.parametrize(
    "other", [{"network": "resnet-14"}, {"dataset": "cifar10"}, {"budget": 8}, {"train_size": 100}, {"seed": 1}]
)
def test_only_like_is_compared_with_like(other):
    assert judge_claims([planned("single", 20, **other), planned("snapshot", 0)], "methods") == []


def test_members_at_other_steps_are_not_compared():
    snapshot = planned("snapshot", 0, alpha0=0.2)
    others = [planned(method, 20, cycles=4) for method in ("nocycle", "singlecycle", "ensemble")]
    assert judge_claims([*others, snapshot], "methods") == []
    assert judge_claims([planned("snapshot", 20, cycles=4), snapshot], "methods") == []
    assert len(judge_claims([planned("single", 20, cycles=4), planned("snapshot", 0)], "methods")) == 1


def test_several_runs_together_are_not_the_papers_question():
    assert judge_claims([planned("single", 20), planned("snapshot", 0, independent_runs=2)], "methods") == []


def test_claims_about_the_number_of_cycles():
    mistakes = {2: 300, 4: 100, 8: 110, 10: 290}
    outcomes = [planned("snapshot", *around(m), cycles=cycles) for cycles, m in mistakes.items()]
    found = answers([*outcomes, planned("single", *around(295), cycles=2)], "cycles")
    assert found == {f"{SNAPSHOT} with M = {m} beats M = {other}": "yes" for m in (4, 8) for other in (2, 10)} | {
        f"{SNAPSHOT} with M = {m} beats the single model": answer
        for m, answer in [(2, "not decided"), (4, "yes"), (8, "yes"), (10, "not decided")]
    }
    assert judge_claims(outcomes[:2], "cycles") == []  # two numbers of cycles are no question


def test_an_implicit_ensemble_is_compared_with_the_same_without():
    skipping = {"stochastic_depth": 0.5}
    outcomes = [planned("snapshot", *around(200)), planned("snapshot", *around(100), **skipping)]
    assert answers(outcomes) == {}
    claim = f"{SNAPSHOT} with stochastic depth 0.5 beats {SNAPSHOT}"
    assert answers(outcomes, family="secondary") == {claim: "yes"}
    # against a single model that skips blocks too: a claim of its own, which is not the paper's
    outcomes += [planned("single", *around(300), **skipping), planned("single", *around(300))]
    assert answers(outcomes) == {SINGLE: "yes"}
    assert answers(outcomes, family="secondary") == {
        claim: "yes",
        f"{SNAPSHOT} with stochastic depth 0.5 beats the single model with stochastic depth 0.5": "yes",
    }
    assert [note.splitlines()[0] for note in claims.notes(outcomes, "methods")] == [
        "Primary claims:", "ResNet-8 on Digits, secondary:", "The rule:"
    ]  # fmt: skip


def findings(question, *outcomes):
    return [(each.decision.answer, each.decision.mean) for each in check_statement(outcomes, question)]


def test_two_snapshots_against_the_single_model():
    settings = {"cycles": 4, "replicates": 3}
    snapshot = outcome(experiment(**settings), 100, 101, 102, last=[200, 150])
    single = planned("single", 250, 252, 248, cycles=4)
    assert findings("two-members", snapshot, single) == [("yes", pytest.approx(5.0))]


def test_the_ensemble_against_its_best_member():
    snapshot = outcome(experiment(replicates=3), 100, 100, 100, alone=[150, 130])
    assert findings("members", snapshot) == [("yes", pytest.approx(3.0))]
    worse = outcome(experiment(replicates=3), 100, 100, 100, alone=[150, 90])
    assert findings("members", worse) == [("no", pytest.approx(-1.0))]


def test_correlations_of_the_last_three():
    settings = {"cycles": 4, "replicates": 3}
    snapshot = outcome(experiment(**settings), 1, 1, 1, correlation=0.8)
    step = outcome(experiment("nocycle", **settings), 1, 1, 1, correlation=0.95)
    shorter = outcome(experiment("nocycle", **{**settings, "cycles": 5}), 1, 1, 1, correlation=0.99)
    ((answer, mean),) = findings("correlation", snapshot, shorter, step)
    assert (answer, mean) == ("yes", pytest.approx(0.15))


def test_the_training_loss_at_the_end():
    snapshot = outcome(experiment(replicates=3), 1, 1, 1, losses=[0.5, 0.02])
    step = outcome(experiment("single", replicates=3), 1, 1, 1, losses=[0.5, 0.01])
    assert findings("loss", snapshot, step) == [("yes", pytest.approx(0.01))]
    assert findings("loss", step) == []


def test_nocycle_has_little_effect():
    single = planned("single", 300, 301, 302)
    assert findings("nocycle", single, planned("nocycle", 299, 300, 301)) == [("yes", pytest.approx(0.1))]
    assert findings("nocycle", single, planned("nocycle", 280, 281, 282)) == [("no", pytest.approx(2.0))]


@pytest.mark.parametrize(
    ("replicates", "line", "answer", "mean", "words"),
    [
        (3, [30, 35, 33, 29], "yes", 5, "a bump is seen"),
        (3, [30, 29, 28, 29], "no", -1, "no bump is seen"),
        (1, [30, 29, 28, 29], "these weights only", -1, "no bump is seen"),
        (1, [30, 35, 33, 29], "these weights only", 5, "a bump is seen"),
    ],
)
def test_a_bump_between_snapshots(replicates, line, answer, mean, words):
    snapshot = outcome(experiment(replicates=replicates), *[1] * replicates, lines=[line])
    assert findings("bump", snapshot) == [(answer, pytest.approx(mean))]
    assert f"{answer}, {words}, " in claims.further([snapshot], "bump")[0]
    assert findings("bump", outcome(experiment(), 1)) == []  # no lines


def test_figure_5_says_whether_a_bump_is_seen():
    request = Request("figure5", "Figure 5")
    (picture,) = interpolation.draw([outcome(experiment(), 1, lines=[[30, 29, 28, 29]])], request)
    assert any("these weights only, no bump is seen, −1.00 points" in note for note in picture.notes)


def test_what_is_said_of_two_studies_is_of_the_one_with_more_seeds():
    outcomes = [outcome(experiment(replicates=n), *[100] * n, alone=[150, 130]) for n in (1, 3)]
    text, rule = claims.further(outcomes)  # 30 of 1,000 images differ: t(0.975, 2) sqrt(0.3 / 3) = 1.36
    assert text.splitlines()[1:] == ["- ResNet-8 on Digits, α₀ = 0.1: yes, +3.00 points [1.64, 4.36], 3 seeds"]
    assert rule == claims.UNADJUSTED
    assert claims.further([planned("single", 1)]) == []
    other = outcome(experiment(budget=8), 100, alone=[150, 130])  # another setting with fewer seeds is left out
    assert claims.further([*outcomes, other]) == [text, rule]
    assert "budget 8" in claims.further([other, outcome(experiment(), 100)])[0]


def test_a_sentence_of_a_primary_claim():
    networks = ("resnet-8", "resnet-14", "resnet-20")
    outcomes = [
        planned(method, *around(mistakes, 5), network=network)
        for network in networks
        for method, mistakes in [("single", 300), ("snapshot", 290)]
    ]
    # no variance over seeds; 10 of 1,000 images differ: sqrt(0.1 / 15) = 0.082, t(0.975, 12) = 2.179
    assert claims.sentences(outcomes) == [
        f"{SINGLE}: yes, by 1.00 points [0.82, 1.18], 3 networks, 5 seeds each, p = 3.9e-08"
    ]
    one_seed = [planned("single", 300), planned("snapshot", 100)]
    assert claims.sentences(one_seed) == [claims.ONE_SEED]
    assert claims.sentences([planned("single", 300)]) == []


def test_the_notes_have_the_rule_with_the_size_of_the_families():
    ready = [planned("single", *around(300)), planned("snapshot", *around(100))]
    primary, rule = claims.notes(ready, "methods")
    assert primary.startswith(f"Primary claims:\n- {SINGLE}: yes, by 20.00 points [")
    assert rule.startswith("The rule:\n- Difference: ")
    assert "in points on this test set" in rule
    assert "Primary family: 1 claim, " in rule
    assert "Secondary" not in rule
    one, rule = claims.notes([planned("single", 300), planned("snapshot", 100)], "methods")
    assert one == f"ResNet-8 on Digits:\n- {SINGLE}: these weights only, +20.00 points, 1 seed, McNemar p = 1.2e-60"
    assert "family: " not in rule
    assert claims.notes([planned("single", replicates=3), planned("snapshot", replicates=3)], "methods") == []


def test_the_matrix_is_by_network_and_pooled():
    outcomes = [planned("single", *around(300)), planned("snapshot", *around(100)), planned("dropout", 100)]
    outcomes += [planned("single", *around(300), network="resnet-14")]
    outcomes += [planned("snapshot", *around(100), network="resnet-14")]
    text = claims.matrix(outcomes)
    rows = [row.split("</th>")[0].split(">")[-1] for row in text.split("<tr>")[2:]]
    assert rows == ["pooled", "ResNet-8", "ResNet-14"]
    assert text.count('<td class="yes">✓ yes<br>+20.00</td>') == 3
    assert text.count('<td class="these-weights-only">◦ these weights only<br>') == 1
    assert text.count('scope="col">0.1 vs single</th>') == 1
    assert claims.matrix([planned("single", 1)]) == ""


def test_correctness_is_unpacked_as_it_was_packed():
    scores = planned("single", right(7, first=990)).finished[0]
    assert np.array_equal(scores.right(scores.ensemble), right(7, first=990))


def test_the_papers_gain_at_the_scale_of_the_errors_measured_here():
    # Table 1, CIFAR-10, alpha0 = 0.1: 5.52 to 5.73, 5.43 to 4.41, 5.24 to 4.99, 3.74 to 3.57: 6.07 % on average.
    relative = np.mean([-0.21 / 5.52, 1.02 / 5.43, 0.25 / 5.24, 0.17 / 3.74])
    gains = np.mean([-0.21, 1.02, 0.25, 0.17]), relative, 30 * relative
    outcomes = [planned("single", *around(300), dataset="cifar10-16")]
    for mistakes, word in (([280] * 3, "not excluded"), ([200] * 3, "excluded"), ([280, 280, None], "")):
        snapshot = planned("snapshot", *mistakes, dataset="cifar10-16")
        verdict = judge_claims([*outcomes, snapshot], "methods")[0]
        assert verdict.paper_gain == pytest.approx(gains)
        (paragraph,) = [note for note in claims.notes([*outcomes, snapshot], "methods") if "paper's gains" in note]
        assert paragraph.splitlines()[1:] == [
            f"- {SINGLE}: 0.31 points, 6.1 %; here 1.82 points" + f", {word}" * bool(word)
        ]


def test_the_papers_gain_needs_its_dataset_and_its_claim():
    outcomes = [planned("single", *around(300)), planned("snapshot", *around(280), dataset="digits")]
    outcomes[0] = planned("single", *around(300), dataset="digits")
    assert judge_claims(outcomes, "methods")[0].paper_gain is None
    outcomes = [
        planned("single", *around(300), dataset="cifar100"),
        planned("snapshot", *around(280), dataset="cifar100"),
    ]
    assert judge_claims(outcomes, "methods")[0].paper_gain.relative == pytest.approx(0.0721, abs=1e-4)
    assert judge_claims(outcomes, "cycles")[0].paper_gain is None


@pytest.mark.parametrize("settings", [{"dropout": 0.2}, {"dropout": 0.3}, {"drops": [0.4, 0.7]}])
def test_a_baseline_with_settings_of_its_own_method_is_a_rival(settings):
    method = "dropout" if "dropout" in settings else "single"
    rival = planned(method, *around(300), **settings)
    (verdict,) = judge_claims([rival, planned("snapshot", *around(200))], "methods")
    assert (verdict.claim.removeprefix(f"{SNAPSHOT} beats "), verdict.decision.answer) in (
        ("Dropout", "yes"),
        ("the single model", "yes"),
    )


def test_of_several_baselines_the_one_with_the_methods_defaults_is_the_rival():
    outcomes = [planned("dropout", *around(900), dropout=0.5), planned("dropout", *around(300), dropout=0.2)]
    outcomes += [planned("single", *around(900), drops=[0.4]), planned("single", *around(300))]
    verdicts = judge_claims([*outcomes, planned("snapshot", *around(200))], "methods")
    assert [verdict.decision.mean for verdict in verdicts] == [pytest.approx(10.0)] * 2


def test_a_primary_claim_that_one_network_can_judge_is_judged_once_and_not_called_pooled():
    outcomes = [planned("single", *around(300)), planned("snapshot", *around(100))]
    outcomes += [planned(method, 300, network="resnet-14") for method in ("single", "snapshot")]
    assert [(verdict.family, verdict.finished) for verdict in judge_claims(outcomes, "methods")] == [
        ("primary", (3,)),
        (None, (1,)),
    ]
    text = claims.matrix(outcomes)
    assert "pooled" not in text
    assert text.count("✓") == 1
