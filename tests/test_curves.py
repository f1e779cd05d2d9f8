import pytest
from fabricated_runs import experiment, finish, wrong

from snapshot_cli.analysis import scoring
from snapshot_cli.config import plan
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.tracking import curves
from snapshot_cli.tracking.curves import Point

STARTED = 1767225600.0  # 2026-01-01
LABELS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
ROW = {"rate": 0.1, "train_loss": 2.5, "train_error": 80.0, "seconds": 3.0, "images_per_second": 50.0}


def rows(*steps):
    return [ROW | {"epoch": float(k), "iteration": each} for k, each in enumerate(steps, start=1)]


def run_of(results, *, mistakes=(4, 2), rows=(), **settings):
    (run,) = plan.cell(experiment(batch_size=64, **settings)).runs
    return finish(run, results, [wrong(LABELS, each) for each in mistakes], LABELS, rows=rows)


def test_rows_and_snapshots_at_the_end_of_an_epoch(tmp_path):
    directory = run_of(tmp_path, rows=rows(10, 20, 30, 40))
    points = list(curves.training_points(directory, 640))  # 10 steps an epoch, snapshots after 20 and 40
    trained = {"train/loss": 2.5, "train/error": 80.0, "train/lr": 0.1, "train/images_per_second": 50.0}
    assert points == [
        Point(step, STARTED + 3 * k, trained | {"snapshots/taken": taken})
        for k, (step, taken) in enumerate([(10, 0), (20, 1), (30, 1), (40, 2)], start=1)
    ]
    assert curves.start_time(directory) == STARTED


def test_a_snapshot_in_mid_epoch_has_a_point_of_its_own(tmp_path):
    directory = run_of(tmp_path, rows=rows(10, 20, 30), budget=3)  # snapshots after 15 and 30
    marks = [(point.step, point.values["snapshots/taken"]) for point in curves.training_points(directory, 640)]
    assert marks == [(10, 0), (15, 1), (20, 1), (30, 2)]


def test_errors_of_snapshots_and_of_ensembles(tmp_path):
    directory = run_of(tmp_path, rows=rows(10, 20, 30, 40))
    scores = scoring.score([(directory, 1), (directory, 2)])
    time = STARTED + 12
    assert list(curves.snapshot_points(scores)) == [
        Point(20, time, {"test_error/snapshot": 40.0}), Point(40, time, {"test_error/snapshot": 20.0})
    ]  # fmt: skip
    assert list(curves.member_points(scores)) == [
        Point(1, time, {"test_error/member": 40.0}), Point(2, time, {"test_error/member": 20.0})
    ]  # fmt: skip
    found = [(point.step, point.values) for point in curves.ensemble_points(scores)]
    assert found == [
        (m, {"test_error/last_m": each.error, "test_nll/last_m": each.nll, "test_ece/last_m": each.ece})
        for m, each in enumerate(scores.last, start=1)
    ]
    assert found[0][1]["test_error/last_m"] == 20.0


@pytest.mark.parametrize("lines", ["epoch,iteration\n1,10\n", "iteration,seconds\nnan,1\n", "iteration\n1,2\n"])
def test_metrics_that_are_none(tmp_path, lines):
    (run,) = plan.cell(experiment()).runs
    directory = RunDirectory.of(run, tmp_path)
    directory.start(run, {"started": "2026-01-01T00:00:00+00:00"})
    path = directory.path / "metrics.csv"
    path.write_text(lines)
    with pytest.raises(UserError, match=r"metrics\.csv: not (the metrics of a run|a table of numbers); delete"):
        list(curves.training_points(directory, 640))


@pytest.mark.parametrize("machine", [{}, {"started": None}, {"started": "yesterday"}])
def test_a_start_that_is_not_known(tmp_path, machine):
    (run,) = plan.cell(experiment()).runs
    directory = RunDirectory.of(run, tmp_path)
    directory.start(run, machine)
    with pytest.raises(UserError) as caught:
        curves.start_time(directory)
    path = directory.path
    assert str(caught.value) == (
        f"{path}/machine.json: does not state when the run started; delete {path} and train it again"
    )


def test_settings():
    found = curves.settings(experiment(drops=(0.25, 0.5), nesterov=True))
    assert found["drops"] == "(0.25, 0.5)"
    assert (found["nesterov"], found["cycles"], found["method"]) == (True, 2, "snapshot")
    assert "flip" not in found  # null, the dataset's own
