import hashlib
import io
import json
import math
import os
import pickle

import numpy as np
import pytest

from snapshot_cli import seal
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory


def message(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.fixture
def directory(tmp_path, tiny_run):
    found = RunDirectory.of(tiny_run(), tmp_path)
    found.start(tiny_run(), {"dataset_hash": "abc"})
    found.write_metrics([{"epoch": 1, "train_loss": 0.1}])
    found.write_predictions("test", 1, np.arange(6, dtype=np.float32).reshape(3, 2))
    found.write_labels("test", np.array([0, 1, 0]))
    found.resume_path.write_bytes(b"state")
    return found


def test_statuses(tmp_path, tiny_run):
    directory = RunDirectory.of(tiny_run(), tmp_path)
    assert directory.path == tmp_path / "runs" / tiny_run().run_id
    assert directory.status == "absent"
    directory.path.mkdir(parents=True)
    assert directory.status == "absent"
    directory.start(tiny_run(), {})
    assert directory.status == "partial"
    directory.finish({"seconds": 1})
    assert directory.status == "done"
    assert directory.summary["seconds"] == 1


def test_config_and_machine_come_back(directory, tiny_run):
    again = RunDirectory(directory.path)
    assert again.run == tiny_run()
    assert again.machine == {"dataset_hash": "abc"}


def test_metrics_come_back_to_the_last_bit(tmp_path):
    directory = RunDirectory(tmp_path)
    assert directory.metrics() == []
    rows = [{"epoch": 1, "rate": 0.1 + 0.2, "train_loss": 1 / 3}, {"epoch": 2, "rate": 1e-300, "train_loss": math.inf}]
    directory.write_metrics(rows)
    assert directory.metrics() == rows
    directory.write_metrics([{"epoch": 1, "train_loss": math.nan}])
    assert math.isnan(directory.metrics()[0]["train_loss"])
    assert (tmp_path / "metrics.csv").read_bytes() == b"epoch,train_loss\n1,nan\n"


def test_arrays_come_back(directory):
    logits = directory.predictions("test", 1)
    assert logits.dtype == np.float32
    assert logits.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert directory.labels("test").tolist() == [0, 1, 0]


def test_done_is_written_last_and_the_state_goes_only_then(directory, monkeypatch):
    written = []
    real = seal.write_atomically

    def watched(path, write):
        assert directory.resume_path.is_file()
        written.append(path.name)
        real(path, write)

    monkeypatch.setattr(seal, "write_atomically", watched)
    (directory.path / "log.txt").write_text("still open\n")
    directory.finish({})
    assert written == ["manifest.json", "done.json"]
    assert not directory.resume_path.exists()
    assert sorted(json.loads((directory.path / "manifest.json").read_text())) == [
        "config.yaml",
        "machine.json",
        "metrics.csv",
        "predictions/test-1.npy",
        "predictions/test-labels.npy",
    ]


@pytest.mark.parametrize("name", ["config.yaml", "machine.json"])
def test_a_run_whose_folder_was_deleted_during_training_is_not_sealed_without_what_it_is(directory, name):
    (directory.path / name).unlink()
    assert message(directory.finish, {}) == (
        f"{directory.path / name}: not there; delete {directory.path} and train it again"
    )
    assert not (directory.path / "done.json").exists()
    assert directory.resume_path.is_file()


@pytest.mark.parametrize("failing", ["manifest.json", "done.json"])
def test_a_finish_that_fails_can_be_done_again(directory, monkeypatch, failing):
    real = seal.write_atomically

    def fails(path, write):
        if path.name == failing:
            raise OSError("disk full")
        real(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(seal, "write_atomically", fails)
        with pytest.raises(OSError, match="disk full"):
            directory.finish({})
    assert directory.status == "partial"
    assert directory.resume_path.read_bytes() == b"state"
    directory.finish({})
    assert directory.status == "done"
    assert directory.predictions("test", 1).shape == (3, 2)


READERS = {
    "predictions/test-1.npy": lambda directory: directory.predictions("test", 1),
    "predictions/test-labels.npy": lambda directory: directory.labels("test"),
    "metrics.csv": lambda directory: directory.metrics(),
}


@pytest.mark.parametrize("name", READERS)
def test_one_changed_bit_is_noticed_in_a_finished_run(directory, name):
    directory.finish({})
    path = directory.path / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert message(READERS[name], directory) == (
        f"{path}: differs from what the run wrote; delete {directory.path} and train it again"
    )


@pytest.mark.parametrize("name", ["predictions/test-1.npy", "predictions/test-labels.npy"])
def test_missing_arrays(directory, name):
    (directory.path / name).unlink()
    assert message(READERS[name], directory) == (
        f"{directory.path / name}: not there; delete {directory.path} and train it again"
    )
    directory.finish({})
    assert message(READERS[name], directory) == (
        f"{directory.path / name}: not there; delete {directory.path} and train it again"
    )


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


BAD_ARRAYS = {
    "empty": b"",
    "truncated": saved(np.zeros((3, 2), np.float32))[:-3],
    "header only": saved(np.zeros((3, 2), np.float32))[:9],
    "words": b"3.14, 2.72\n",
    "a pickle": pickle.dumps(Trap()),
    "objects": saved(np.array([Trap()], dtype=object)),
    "a zip": b"PK\x03\x04" + bytes(40),
    "a lying header": saved(np.zeros((3, 2), np.float32)).replace(b"(3, 2), }       ", b"(10**15, 2), }  "),
    "a huge header": saved(np.zeros((3, 2), np.float32)).replace(b"(3, 2), }           ", b"(9999999999999, 2), "),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_broken_and_hostile_arrays(directory, monkeypatch, tmp_path, kind):
    monkeypatch.chdir(tmp_path)
    path = directory.path / "predictions/test-1.npy"
    path.write_bytes(BAD_ARRAYS[kind])
    assert message(directory.predictions, "test", 1) == (
        f"{path}: not an array of numbers; delete {directory.path} and train it again"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("array", "held"),
    [
        (np.zeros((3, 2)), "float64 in 2"),
        (np.zeros(3, np.float32), "float32 in 1"),
        (np.array([["a"]]), "<U1 in 2"),
    ],
)
def test_arrays_of_another_kind(directory, array, held):
    directory.write_predictions("test", 1, array)
    assert message(directory.predictions, "test", 1) == (
        f"{directory.path}/predictions/test-1.npy: expected float32 in 2 dimensions, it holds {held}; "
        f"delete {directory.path} and train it again"
    )
    directory.write_labels("test", np.zeros((3, 1), np.int64))
    assert message(directory.labels, "test") == (
        f"{directory.path}/predictions/test-labels.npy: expected int64 in 1 dimension, it holds int64 in 2; "
        f"delete {directory.path} and train it again"
    )


@pytest.mark.parametrize("text", [b"epoch\nx\n", b"epoch\n1,2\n", b"epoch,loss\n1\n", b'epoch\n"1', b"\xff\xfe\n\x00"])
def test_broken_metrics(directory, text):
    path = directory.path / "metrics.csv"
    path.write_bytes(text)
    assert message(directory.metrics) == f"{path}: not a table of numbers; delete {directory.path} and train it again"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not there"),
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "expected a mapping"),
    ],
)
def test_broken_json(directory, content, words):
    path = directory.path / "machine.json"
    path.unlink() if content is None else path.write_bytes(content)
    assert message(lambda: directory.machine) == f"{path}: {words}; delete {directory.path} and train it again"


@pytest.mark.parametrize("resumed", [{}, "far", [1], [{}, None]])
def test_what_no_run_writes_of_where_it_went_on(directory, resumed):
    seal.write_json(directory.path / "machine.json", {"resumed": resumed})
    expected = f"{directory.path}/machine.json: not what a run writes; delete {directory.path} and train it again"
    assert message(lambda: directory.environments) == expected


def test_a_folder_that_is_no_run(tmp_path):
    assert (
        message(lambda: RunDirectory(tmp_path).run)
        == f"{tmp_path}: not a run directory: no config.yaml in it; those lie in results/SIZE/runs"
    )


@pytest.mark.parametrize("content", [b"", b"budget: 3\n", b"[1]\n", b"\xff\xfe\n"])
def test_a_config_that_is_no_run(directory, content):
    path = directory.path / "config.yaml"
    path.write_bytes(content)
    assert message(lambda: directory.run) == (
        f"{path}: not the configuration of a run; delete {directory.path} and train it again"
    )


@pytest.mark.parametrize("finished", [False, True])
def test_weights_may_be_large(tmp_path, tiny_run, finished):
    """A snapshot of Wide-ResNet-32-4 has 30 MB, one of DenseNet-100-24 109 MB."""
    directory, content = RunDirectory(tmp_path), bytes(17_000_000)
    directory.start(tiny_run(), {})
    directory.snapshot_path(1).parent.mkdir()
    directory.snapshot_path(1).write_bytes(content)
    if finished:
        directory.finish({})
    assert directory.weights(1, None if finished else hashlib.sha256(content).hexdigest()) == content


@pytest.mark.parametrize("name", ["1e3", "0o17", "25921e05", "0x1F", "1_000", "-1"])
def test_a_dataset_whose_name_looks_like_a_number_is_read_back(tmp_path, tiny_run, name):
    run = tiny_run(dataset=name)
    RunDirectory(tmp_path).start(run, {})
    assert RunDirectory(tmp_path).run == run


def test_what_is_added_to_a_finished_run_is_in_the_manifest_at_once(tmp_path, tiny_run):
    directory = RunDirectory(tmp_path / "run")
    directory.start(tiny_run(), {})
    directory.finish({"train_examples": 1})
    assert (directory.hashes.keys(), directory.has_interpolation) == ({"config.yaml", "machine.json"}, False)
    before = directory.summary
    directory.write_interpolation([{"snapshot": 1, "lambda": 0.5, "statistics": "final", "test_error": 1.0}])
    assert directory.has_interpolation
    assert directory.summary["manifest"] != before["manifest"]
    assert directory.interpolation() == [(1, 0.5, "final", 1.0)]


@pytest.fixture
def finished(tmp_path, tiny_run):
    """A finished run of two snapshots with a holdout, and a function that opens it anew."""
    run = tiny_run(train_size=50, holdout=4)
    directory = RunDirectory.of(run, tmp_path)
    directory.start(run, {"dataset_hash": "abc"})
    directory.write_metrics([{"epoch": 1, "train_loss": 0.1}])
    directory.snapshot_path(1).parent.mkdir()
    for snapshot in (1, 2):
        directory.snapshot_path(snapshot).write_bytes(b"weights %d" % snapshot)
        for split in ("test", "holdout"):
            directory.write_predictions(split, snapshot, np.zeros((4, 2), np.float32))
    for split in ("test", "holdout"):
        directory.write_labels(split, np.zeros(4, np.int64))
    directory.finish({})
    return lambda: RunDirectory.of(run, tmp_path)


def test_a_directory_that_holds_another_run_is_refused(finished, tiny_run):
    other = RunDirectory(finished().path, tiny_run(train_size=50, holdout=4, seed=7, alpha0=0.2))
    expected = f"{other.path}: holds another run: alpha0, seed differ; delete it and train it again"
    assert message(lambda: other.run) == expected
    moved = RunDirectory.of(other.expected, finished().path.parents[2])
    finished().path.rename(moved.path)
    assert "holds another run" in message(lambda: moved.run)


def test_a_file_that_the_manifest_does_not_have_is_not_the_runs(finished):
    """Predictions or weights that somebody puts into a finished run."""
    directory = finished()
    directory.write_predictions("test", 3, np.zeros((4, 2), np.float32))
    directory.snapshot_path(3).write_bytes(b"weights")
    for read in (lambda: directory.predictions("test", 3), lambda: directory.weights(3)):
        assert "differs from what the run wrote" in message(read)


def test_the_manifest_decides_which_weights_are_a_finished_runs(finished):
    directory, path = finished(), finished().snapshot_path(1)
    assert directory.weights(1) == b"weights 1"
    path.write_bytes(b"others")
    for digest in (None, hashlib.sha256(b"others").hexdigest()):
        assert "differs from what the run wrote" in message(directory.weights, 1, digest)
    (directory.path / "done.json").unlink()
    assert directory.weights(1, hashlib.sha256(b"others").hexdigest()) == b"others"
    assert "differs from what the run wrote" in message(directory.weights, 1, hashlib.sha256(b"weights 1").hexdigest())
    assert "differs from what the run wrote" in message(directory.weights, 1)


@pytest.mark.parametrize(
    ("deleted", "lacking"),
    [
        ([], {"test": [], "holdout": []}),
        (["predictions/test-2.npy"], {"test": [2], "holdout": []}),
        (["predictions/holdout-labels.npy"], {"test": [], "holdout": [1, 2]}),
        (["predictions/test-2.npy", "snapshots/2.safetensors"], {"test": [], "holdout": []}),
        (["predictions/test-labels.npy", "snapshots/1.safetensors"], {"test": [2], "holdout": []}),
    ],
)
def test_predictions_that_can_be_computed_again(finished, deleted, lacking):
    for name in deleted:
        (finished().path / name).unlink()
    assert {split: finished().missing_predictions(split) for split in ("test", "holdout")} == lacking


def test_a_run_without_a_holdout_lacks_none_of_it(directory):
    directory.finish({})
    assert directory.missing_predictions("holdout") == []


def test_predictions_of_an_unfinished_run_are_not_had(finished):
    directory = finished()
    assert directory.has_predictions("test")
    (directory.path / "predictions/test-labels.npy").unlink()
    assert (directory.has_predictions("test"), directory.has_predictions("holdout")) == (False, True)
    (directory.path / "done.json").unlink()
    assert not directory.has_predictions("holdout")


def test_predictions_that_are_computed_again_are_in_the_manifest_with_their_labels(finished):
    directory = finished()
    for name in ("test-1", "test-labels"):
        (directory.path / f"predictions/{name}.npy").unlink()
    directory.store_again("test", {1: np.ones((4, 2), np.float32)}, np.ones(4, np.int64))
    assert directory.labels("test").tolist() == [1, 1, 1, 1]
    assert directory.predictions("test", 1).tolist() == [[1, 1]] * 4
    assert finished().verify() == ([], [])


def test_metrics_that_a_finished_run_has_lost_are_not_taken_for_none(finished):
    (finished().path / "metrics.csv").unlink()
    assert message(finished().metrics).startswith(f"{finished().path}/metrics.csv: not there")
    assert finished().verify()[0] == [f"{finished().path}/metrics.csv: not there"]


def test_every_place_where_a_run_was_trained_is_kept(directory):
    directory.record_environment({"device": "cuda", "uncommitted_changes": True})
    assert [place["device"] for place in directory.environments[1:]] == ["cuda"]
    directory.record_environment({"device": "cpu"})
    again = RunDirectory(directory.path)
    assert [place["device"] for place in again.environments[1:]] == ["cuda", "cpu"]
    assert again.uncommitted_changes
    assert again.machine["dataset_hash"] == "abc"


def test_an_interpolation_that_was_not_sealed_is_none(finished):
    """As after a kill between the file and the manifest."""
    directory = finished()
    (directory.path / "interpolation.csv").write_text("snapshot,lambda,statistics,test_error\n")
    assert not directory.has_interpolation
    assert finished().verify() == ([], [])
