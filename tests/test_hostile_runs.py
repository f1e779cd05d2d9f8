"""Run directories that nobody wrote: whatever lies in them, a reader answers or raises UserError, and runs no code."""

import contextlib
import hashlib
import json
import os
import pickle
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshot_cli import seal
from snapshot_cli.analysis import scoring
from snapshot_cli.errors import UserError
from snapshot_cli.run_directory import RunDirectory

NAMES = [
    "config.yaml", "machine.json", "metrics.csv", "interpolation.csv", "manifest.json", "done.json",
    "predictions/test-1.npy", "predictions/test-labels.npy", "snapshots/1.safetensors",
]  # fmt: skip


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


@pytest.fixture(scope="module")
def run_folder(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    directory, run = RunDirectory(folder), tiny_run(cycles=1)
    directory.start(run, {"dataset_hash": "abc", "threads": 1})
    row = {"iteration": 2, "train_error": 9.0, "seconds": 1.0}
    directory.write_metrics([row | {"epoch": 1, "train_loss": 0.5}, row | {"epoch": 2, "train_loss": float("nan")}])
    directory.write_predictions("test", 1, np.arange(12, dtype=np.float32).reshape(6, 2))
    directory.write_labels("test", np.array([0, 1, 0, 1, 1, 1]))
    (folder / "snapshots").mkdir()
    (folder / "snapshots/1.safetensors").write_bytes(b"weights")
    directory.finish({"run": run.run_id, "dataset_hash": "abc", "train_examples": 6})
    directory.write_interpolation([{"snapshot": 1, "lambda": 0.5, "statistics": "final", "test_error": 3.0}])
    return folder


READERS = {
    "run": lambda d: d.run,
    "machine": lambda d: (d.machine, d.environments, d.uncommitted_changes),
    "summary": lambda d: d.summary,
    "metrics": lambda d: d.metrics(),
    "interpolation": lambda d: d.has_interpolation and d.interpolation(),
    "predictions": lambda d: d.predictions("test", 1),
    "labels": lambda d: d.labels("test"),
    "weights": lambda d: d.weights(1, "of a state"),
    "missing_predictions": lambda d: d.missing_predictions("test") + d.missing_predictions("holdout"),
    "verify": lambda d: d.verify(),
    "score": lambda d: scoring.score([(d, 1)]),
}


def read_everything(folder):
    """Read all there is; return what the readers say about what is wrong."""
    said = {}
    for name, reader in READERS.items():
        try:
            reader(RunDirectory(folder))
        except UserError as error:
            said[name] = str(error)
            assert "\n" not in said[name]
            assert str(folder) in said[name]
    return said


def reseal(folder):
    """Let the seal vouch for what lies there, so that readers get to see it."""
    names = [name for name in NAMES if (folder / name).is_file() and name not in ("manifest.json", "done.json")]
    summary = {"run": "x", "dataset_hash": "abc", "train_examples": 6}
    seal.seal(folder, {name: seal.sha256(folder / name) for name in names}, summary)


def test_a_whole_run_is_read(run_folder):
    assert read_everything(run_folder) == {}
    assert np.isnan(RunDirectory(run_folder).metrics()[1]["train_loss"])


def fifo(path):
    os.mkfifo(path)


def hole(path):
    with path.open("wb") as file:
        file.truncate(2**40)


HOSTILE = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(CONTENT[path.name][: len(CONTENT[path.name]) // 2]),
    "a flipped bit": lambda path: path.write_bytes(flipped(CONTENT[path.name])),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Trap())),
    "another file of the run": lambda path: path.write_bytes(
        CONTENT["machine.json" if path.name != "machine.json" else "config.yaml"]
    ),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "a folder": lambda path: path.mkdir(),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to another file": lambda path: path.symlink_to("/etc/hostname"),
    "a pipe": fifo,
    "not there": lambda path: None,
}
CONTENT = {}


def flipped(content):
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_files_that_nobody_wrote(run_folder, tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    CONTENT.update({Path(each).name: (folder / each).read_bytes() for each in NAMES})
    (folder / name).unlink()
    HOSTILE[kind](folder / name)
    said = read_everything(folder)
    if name not in ("done.json", "interpolation.csv") and (kind, name) != ("not there", "snapshots/1.safetensors"):
        named = (str(folder / name), f"no {name} in it")
        assert any(each in words for words in said.values() for each in named)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_file_of_a_terabyte_is_not_read_into_memory(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "done.json").unlink()
    for name in ("config.yaml", "machine.json", "metrics.csv"):
        hole(folder / name)
    said = {name: read_everything_of(folder, name) for name in ("machine", "metrics", "run")}
    remedy = f"too large to be what a run writes; delete {folder} and train it again"
    assert said == {
        "machine": f"{folder}/machine.json: {remedy}",
        "metrics": f"{folder}/metrics.csv: {remedy}",
        "run": f"{folder}/config.yaml: {remedy}",
    }


def read_everything_of(folder, name):
    with pytest.raises(UserError) as caught:
        READERS[name](RunDirectory(folder))
    return str(caught.value)


text = st.text(max_size=40).map(lambda words: words.encode("utf-8", "surrogatepass"))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
)
contents = st.binary(max_size=200) | text | values.map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(NAMES), content=contents, part=st.floats(0, 1), vouched=st.booleans(), finished=st.booleans(),
    how=st.sampled_from(["replaced", "cut", "inserted"]),
)  # fmt: skip
def test_no_content_of_any_file_is_a_traceback(run_folder, name, content, part, vouched, finished, how):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        shutil.copytree(run_folder, folder)
        was = (folder / name).read_bytes()
        place = int(part * len(was))
        changed = {"replaced": content, "cut": was[:place], "inserted": was[:place] + content + was[place:]}[how]
        (folder / name).write_bytes(changed)
        if vouched and name not in ("manifest.json", "done.json"):
            reseal(folder)
        if not finished:
            (folder / "done.json").unlink()
        said = read_everything(folder)
        if changed != was and finished and not vouched and name not in ("done.json", "snapshots/1.safetensors"):
            assert said


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hashes=st.dictionaries(st.text(max_size=10), values, max_size=3),
    summary=st.dictionaries(st.text(max_size=8), values, max_size=3),
)
def test_no_manifest_that_is_vouched_for_is_a_traceback(run_folder, hashes, summary):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        shutil.copytree(run_folder, folder)
        with contextlib.suppress(UnicodeEncodeError):
            seal.seal(folder, hashes, summary)
            read_everything(folder)
        done = {"manifest": summary}
        digest = hashlib.sha256((json.dumps(done, indent=2) + "\n").encode()).hexdigest()
        (folder / "done.json").write_text(json.dumps({**done, "sha256": digest}))
        read_everything(folder)
