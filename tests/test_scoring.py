import shutil

import numpy as np
import pytest
from fabricated_runs import HASH, experiment, finish, finish_cells, logits_of, wrong
from scipy.special import softmax

from snapshot_cli import scores as files
from snapshot_cli.analysis import scoring
from snapshot_cli.analysis.scoring import check_same_images, find, missing_runs, score
from snapshot_cli.config import plan
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import terminal
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.scores import differences

LABELS = np.arange(20) % 10


@pytest.fixture
def finished(tmp_path):
    """Return a function that finishes the one run of an experiment with two snapshots."""

    def finished(asked, mistakes=(4, 2), **options):
        (run,) = plan.runs(asked)
        return finish(run, tmp_path, [wrong(LABELS, m) for m in mistakes], LABELS, **options)

    return finished


def of(asked, results, replicate=0):
    return find(plan.cell(asked, replicate=replicate), results, "test")


def errors(metrics):
    return [each.error for each in metrics]


def test_a_cell_has_its_members_in_order_and_the_ensembles_of_the_last(finished, tmp_path):
    finished(experiment())
    scores = of(experiment(), tmp_path)
    assert [(m.run, m.snapshot) for m in scores.members] == [(plan.runs(experiment())[0].run_id, k) for k in (1, 2)]
    assert errors(scores.alone) == [20.0, 10.0]
    # examples 2 and 3: one member says the label, the other the next class; of equals the lower number is taken,
    # and the label is the lower one.
    assert errors(scores.last) == [10.0, 10.0]
    assert errors(scores.first) == [20.0, 10.0]
    assert (scores.images, scores.experiment, scores.classes, scores.cost) == (20, experiment(), 10, 1.0)
    assert scores.right(scores.ensemble).tolist() == [False] * 2 + [True] * 18
    assert scores.right(scores.alone[0]).tolist() == [False] * 4 + [True] * 16


def test_a_single_model_is_the_last_snapshot(finished, tmp_path):
    finished(experiment("single"))
    scores = of(experiment("single"), tmp_path)
    assert (errors(scores.last), errors(scores.first), scores.ensemble.error) == ([10.0], [10.0], 10.0)


def test_replicates_are_experiments_of_their_own(tmp_path):
    """So a third replicate, or a study of one, finds the scores that are there."""
    asked = experiment(replicates=2)
    finish(plan.cell(asked, replicate=1).runs[0], tmp_path, [wrong(LABELS, 1)] * 2, LABELS)
    scores = of(asked, tmp_path, 1)
    assert (scores.experiment, scores.ensemble.error) == (experiment(seed=1), 5.0)
    assert not differences(of(experiment(replicates=5), tmp_path, 1), scores)
    assert not differences(of(experiment(seed=1), tmp_path), scores)


def test_nan_stays_nan_also_in_the_file(tmp_path):
    (run,) = plan.runs(experiment())
    finish(run, tmp_path, [np.full((20, 10), np.nan, np.float32), wrong(LABELS, 2)], LABELS)
    for scores in (of(experiment(), tmp_path), of(experiment(), tmp_path)):
        assert scores.last[0].error == 10.0
        for metrics in (scores.alone[0], scores.last[1]):
            numbers = [
                metrics.error,
                metrics.top5_error,
                metrics.nll,
                metrics.brier,
                metrics.ece,
                *metrics.temperatures,
            ]
            assert all(np.isnan(numbers))
            assert not scores.right(metrics).any()


def test_missing_runs(tmp_path):
    cell = plan.cell(experiment("ensemble"))
    finish(cell.runs[0], tmp_path, [wrong(LABELS, 1)] * 2, LABELS)
    assert missing_runs([cell], tmp_path, "test") == [cell.runs[1]]
    assert find(cell, tmp_path, "test") is None
    finish(cell.runs[1], tmp_path, [wrong(LABELS, 1)] * 2, LABELS)
    assert find(cell, tmp_path, "test").ensemble.error == 5.0


def test_scores_alone_serve_where_the_run_is_gone(finished, tmp_path):
    directory = finished(experiment())
    scores = of(experiment(), tmp_path)
    shutil.rmtree(directory.path)
    assert not differences(of(experiment(), tmp_path), scores)
    assert missing_runs([plan.cell(experiment())], tmp_path, "test") == []


def test_scores_are_computed_again_only_where_the_predictions_differ(finished, tmp_path, monkeypatch):
    finished(experiment())
    before = of(experiment(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "store", None)  # a second scoring would not get past this
        assert not differences(of(experiment(), tmp_path), before)
    finished(experiment(), mistakes=(4, 3))
    assert of(experiment(), tmp_path).ensemble.error == 15.0
    path = files.path(plan.cell(experiment()), tmp_path, "test")
    path.write_text(path.read_text().replace('"version":1', '"version":0'))
    assert of(experiment(), tmp_path).version == files.VERSION


def test_runs_without_lines_even_if_their_scores_are_damaged(finished, tmp_path):
    directory, cell = finished(experiment()), plan.cell(experiment())
    of(experiment(), tmp_path)
    assert scoring.runs_without_lines([cell], tmp_path, "test") == [directory.run]
    files.path(cell, tmp_path, "test").write_text("damaged")
    assert scoring.runs_without_lines([cell], tmp_path, "test") == [directory.run]
    directory.write_interpolation([{"snapshot": 1, "lambda": 0.5, "statistics": "final", "test_error": 40.0}])
    assert scoring.runs_without_lines([cell], tmp_path, "test") == []


def test_predictions_that_were_not_kept(finished, tmp_path):
    directory = finished(experiment())
    shutil.rmtree(directory.path / "predictions")
    path = files.path(plan.cell(experiment()), tmp_path, "test")
    with pytest.raises(UserError, match=r"nor the test predictions of .*; delete") as raised:
        of(experiment(), tmp_path)
    assert str(raised.value).startswith(f"{path}: not there")


def test_deleted_predictions_can_be_computed_again_while_there_are_weights(finished, tmp_path):
    directory = finished(experiment())
    shutil.rmtree(directory.path / "predictions")
    (directory.path / "snapshots").mkdir()
    directory.snapshot_path(1).write_bytes(b"")
    with pytest.raises(UserError) as raised:
        of(experiment(), tmp_path)
    assert str(raised.value).endswith(
        f"type snapshot train {directory.path}, which computes them again from the snapshots"
    )


def test_scores_of_other_members_are_refused(finished, tmp_path):
    directory = finished(experiment())
    scores = of(experiment(), tmp_path)
    shutil.rmtree(directory.path)
    other = files.path(plan.cell(experiment(seed=1)), tmp_path, "test")
    files.write(scores, other)
    with pytest.raises(UserError, match="has other members than planned"):
        of(experiment(seed=1), tmp_path)


def test_numbers_by_hand_from_random_logits(tmp_path):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(3, 200, 10)).astype(np.float32)
    labels = generator.integers(0, 10, 200)
    asked = experiment(cycles=3)
    (run,) = plan.runs(asked)
    finish(run, tmp_path, list(logits), labels)
    scores, probabilities = of(asked, tmp_path), softmax(logits.astype(float), axis=2)
    for m in (1, 2, 3):
        for metrics, members in ((scores.last[m - 1], probabilities[-m:]), (scores.first[m - 1], probabilities[:m])):
            mean = members.mean(0)
            assert metrics.error == pytest.approx(100 * (mean.argmax(1) != labels).mean())
            assert metrics.nll == pytest.approx(-np.log(mean[np.arange(200), labels]).mean(), rel=1e-8)
            assert (scores.right(metrics) == (mean.argmax(1) == labels)).all()
            assert sum(metrics.reliability.count) == 200
    assert scores.correlation[0][2] == pytest.approx(
        np.corrcoef(probabilities[0].ravel(), probabilities[2].ravel())[0, 1]
    )
    differing = (probabilities[0].argmax(1) != probabilities[1].argmax(1)).mean()
    assert scores.disagreement[0][1] == pytest.approx(100 * differing)


def test_subsets_chosen_on_withheld_images_are_scored_on_test_images(tmp_path):
    (run,) = plan.runs(experiment(holdout=20))
    directory = RunDirectory.of(run, tmp_path)
    finish(run, tmp_path, [wrong(LABELS, 1), wrong(LABELS, 6)], LABELS, split="holdout")
    (directory.path / "done.json").unlink()
    for snapshot, mistakes in ((1, 4), (2, 2)):
        directory.write_predictions("test", snapshot, wrong(LABELS, mistakes))
    directory.write_labels("test", LABELS)
    directory.finish({"run": run.run_id, "dataset_hash": HASH, "train_examples": 640})
    chosen = of(experiment(holdout=20), tmp_path).chosen
    assert [(choice.rule, sorted({*choice.members}), choice.withheld_error, choice.error) for choice in chosen] == [
        ("best", [1], 5.0, 20.0), ("best", [1, 2], 5.0, 10.0), ("last 2", [1, 2], 5.0, 10.0), ("greedy", [1], 5.0, 20.0)
    ]  # fmt: skip
    *_, _ensembles, _, last, greedy = terminal.members_and_ensembles(of(experiment(holdout=20), tmp_path))
    assert last == "chosen on the withheld images, last 2: members 1, 2; 5.00 % there, 10.00 % on test images"
    assert greedy.startswith("chosen on the withheld images, greedy: members 1 (x")


def message(members, split="test"):
    with pytest.raises(UserError) as raised:
        score(members, split=split)
    assert raised.value.exit_code == 1
    return str(raised.value)


def test_other_images_than_those_prepared_now(finished, tmp_path):
    finished(experiment())
    scores = of(experiment(), tmp_path)
    with pytest.raises(UserError, match="was trained on other images than those prepared as 'digits' now"):
        check_same_images([scores], {"digits": "other"})
    check_same_images([scores], {"digits": HASH, "cifar10": "other"})


def test_runs_on_different_images_of_one_name(finished, tmp_path):
    one, other = finished(experiment()), finished(experiment(seed=1), dataset_hash="other")
    assert message([(one, 1), (other, 1)]) == (
        f"{other.path}: was trained on other images than {one.path}; score them apart"
    )
    with pytest.raises(UserError, match="or than the other runs"):
        check_same_images([of(experiment(), tmp_path), of(experiment(seed=1), tmp_path)], {})


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
    assert score([(one, 1)], split="holdout").ensemble.error == 20.0
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
        f"{directory.path}: its members have different numbers of classes; an ensemble needs one dataset"
    )


def test_every_method_of_a_study_is_scored_from_shared_runs(tmp_path):
    methods = ["single", "dropout", "nocycle", "singlecycle", "snapshot", "ensemble"]
    for method in methods:
        finish_cells(experiment(method), tmp_path, lambda run, k: run.seed // 1000 + k)
    assert {method: errors(of(experiment(method), tmp_path).alone) for method in methods} == {
        "single": [10.0], "dropout": [10.0], "nocycle": [5.0, 10.0], "singlecycle": [5.0, 10.0],
        "snapshot": [5.0, 10.0], "ensemble": [15.0, 10.0],
    }  # fmt: skip
