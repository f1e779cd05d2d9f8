import numpy as np
import pytest
from fabricated_runs import HASH, finish, finish_cells, logits_of, wrong

from snapshot_cli.analysis.cells import missing, score, score_cell
from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.errors import UserError

LABELS = np.arange(20) % 10


def experiment(method="snapshot", **settings):
    values = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2}
    return Experiment(method=method, **values | settings)


@pytest.fixture
def finished(tmp_path):
    """Return a function that finishes the one run of an experiment with two snapshots."""

    def finished(asked, mistakes=(4, 2), **options):
        (run,) = plan.runs(asked)
        return finish(run, tmp_path, [wrong(LABELS, m) for m in mistakes], LABELS, **options)

    return finished


def test_a_cell_has_its_members_in_order_and_the_ensembles_of_the_last(finished, tmp_path):
    finished(experiment())
    scored = score_cell(plan.cell(experiment()), tmp_path, {"digits": HASH})
    assert [(m.run, m.snapshot) for m in scored.members] == [(plan.runs(experiment())[0], k) for k in (1, 2)]
    assert [s.top1_error for s in scored.evaluation.members] == [20.0, 10.0]
    # examples 2 and 3: one member says the label, the other the next class; of equals the lower number is taken,
    # and the label is the lower one.
    assert [s.top1_error for s in scored.evaluation.ensembles] == [10.0, 10.0]
    assert (scored.error, scored.examples, scored.experiment, scored.replicate) == (10.0, 20, experiment(), 0)


def test_a_single_model_is_the_last_snapshot(finished, tmp_path):
    finished(experiment("single"))
    assert score_cell(plan.cell(experiment("single")), tmp_path, {}).error == 10.0


def test_replicates_are_counted(tmp_path):
    run = plan.cell(experiment(replicates=2), replicate=1).runs[0]
    finish(run, tmp_path, [wrong(LABELS, 1)] * 2, LABELS)
    scored = score_cell(plan.cell(experiment(replicates=2), replicate=1), tmp_path, {})
    assert (scored.replicate, scored.members[0].run.seed, scored.error) == (1, 1, 5.0)


def test_nan_stays_nan(tmp_path):
    (run,) = plan.runs(experiment())
    finish(run, tmp_path, [np.full((20, 10), np.nan, np.float32), wrong(LABELS, 2)], LABELS)
    scored = score_cell(plan.cell(experiment()), tmp_path, {})
    assert scored.evaluation.ensembles[0].top1_error == 10.0
    for scores in (scored.evaluation.members[0], scored.evaluation.ensembles[1]):
        assert all(np.isnan([scores.top1_error, scores.top5_error, scores.nll, scores.brier, scores.ece]))


def test_missing_runs(tmp_path):
    cell = plan.cell(experiment("ensemble"))
    finish(cell.runs[0], tmp_path, [wrong(LABELS, 1)] * 2, LABELS)
    assert missing(cell.runs, tmp_path) == [cell.runs[1]]
    with pytest.raises(UserError) as raised:
        score_cell(cell, tmp_path, {})
    assert str(raised.value) == (
        f"{cell.runs[1].run_id}: not trained to its end below {tmp_path} (1 of 2 runs missing); "
        "snapshot train with the same --config trains them"
    )


def message(members, hashes=None, split="test"):
    with pytest.raises(UserError) as raised:
        score(members, hashes or {}, split=split)
    assert raised.value.exit_code == 1
    return str(raised.value)


def test_other_images_than_those_prepared_now(finished):
    directory = finished(experiment())
    assert message([(directory, 1)], {"digits": "other"}) == (
        f"{directory.path}: was trained on other images than those prepared as 'digits' now, or than the other runs; "
        f"prepare those, or delete the directory and train it again"
    )
    assert score([(directory, 1)], {"cifar10": "other"}).error == 20.0


def test_runs_on_different_images_of_one_name(finished):
    one, other = finished(experiment()), finished(experiment(seed=1), dataset_hash="other")
    assert message([(one, 1), (other, 1)]).startswith(f"{other.path}: was trained on other images")


def test_runs_on_different_datasets_though_their_labels_are_equal(finished):
    one, other = finished(experiment(dataset="cifar10")), finished(experiment(dataset="cifar10-16"))
    assert message([(one, 1), (other, 1)]) == (
        f"{other.path}: was trained on cifar10-16, but {one.path} on cifar10; an ensemble needs one dataset"
    )


def test_runs_with_different_labels(tmp_path, finished):
    one = finished(experiment())
    (run,) = plan.runs(experiment(seed=1))
    other = finish(run, tmp_path, [wrong(LABELS, 0)] * 2, LABELS[::-1])
    assert (
        message([(one, 1), (other, 1)])
        == f"{other.path}: its test images are not those of {one.path}; score them apart"
    )


def test_holdout(finished):
    one = finished(experiment(holdout=20), split="holdout")
    assert score([(one, 1)], {}, split="holdout").error == 20.0
    none = finished(experiment())
    assert message([(none, 1)], split="holdout") == (
        f"{none.path}: no training images were withheld; train with holdout: N to score on them"
    )
    other = finished(experiment(holdout=20, split_seed=1), split="holdout")
    assert message([(one, 1), (other, 1)], split="holdout") == (
        f"{other.path}: its holdout images are not those of {one.path}; score them apart"
    )


def test_changed_predictions_are_refused(finished):
    directory = finished(experiment())
    path = directory.path / "predictions/test-1.npy"
    np.save(path, logits_of(LABELS))
    assert message([(directory, 1)]) == (
        f"{path}: differs from what the run wrote; delete {directory.path} and train it again"
    )


@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        (LABELS, np.zeros((5, 10), np.float32)),
        (LABELS, np.zeros((20, 9), np.float32)),
        (LABELS, np.zeros((20, 0), np.float32)),
        (LABELS - 1, np.zeros((20, 10), np.float32)),
        (LABELS[:0], np.zeros((20, 10), np.float32)),
    ],
)
def test_predictions_that_do_not_fit_the_labels(tmp_path, labels, logits):
    (run,) = plan.runs(experiment())
    directory = finish(run, tmp_path, [logits] * 2, labels)
    assert message([(directory, 2)]) == (
        f"{directory.path}: the test predictions of snapshot 2 are {logits.shape[0]} of {logits.shape[1]} classes, "
        f"which does not fit its {len(labels)} labels; delete {directory.path} and train it again"
    )


def test_members_that_know_different_numbers_of_classes(tmp_path):
    (run,) = plan.runs(experiment())
    directory = finish(run, tmp_path, [np.zeros((20, 10), np.float32), np.zeros((20, 11), np.float32)], LABELS)
    assert message([(directory, 1), (directory, 2)]) == (
        f"{directory.path}: its members know different numbers of classes; an ensemble needs one dataset"
    )


def test_every_method_of_a_study_is_scored_from_shared_runs(tmp_path):
    methods = ["single", "dropout", "nocycle", "singlecycle", "snapshot", "ensemble"]
    for method in methods:
        finish_cells(experiment(method), tmp_path, lambda run, k: run.seed + k)
    found = {m: score_cell(plan.cell(experiment(m)), tmp_path, {}) for m in methods}
    assert {m: [s.top1_error for s in each.evaluation.members] for m, each in found.items()} == {
        "single": [10.0], "dropout": [10.0], "nocycle": [5.0, 10.0], "singlecycle": [5.0, 10.0],
        "snapshot": [5.0, 10.0], "ensemble": [15.0, 10.0],
    }  # fmt: skip
