import json

import pytest

from snapshot_cli import seal
from snapshot_cli.errors import UserError


def message(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    names = ["config.yaml", "snapshots/1.safetensors", "predictions/test-1.npy", "predictions/test-labels.npy"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"the content of {name}")
    seal.seal(
        tmp_path, {name: seal.sha256(tmp_path / name) for name in names}, {"loss": 0.1 + 0.2, "nan": float("nan")}
    )
    return tmp_path


def test_what_was_sealed_comes_back(folder):
    summary = seal.read_summary(folder)
    assert summary["loss"] == 0.1 + 0.2
    assert summary["nan"] != summary["nan"]
    assert summary["manifest"] == [seal.sha256(folder / "manifest.json")]
    assert list(seal.read_hashes(folder)) == [
        "config.yaml", "snapshots/1.safetensors", "predictions/test-1.npy", "predictions/test-labels.npy",
    ]  # fmt: skip
    assert seal.verify(folder) == ([], [])


def test_every_changed_bit_of_done_json_and_of_the_manifest_is_noticed(folder):
    seal.seal(folder, seal.read_hashes(folder), {"iterations": 18, "loss": 0.25})
    for name, read in (("done.json", seal.read_summary), ("manifest.json", seal.read_hashes)):
        path = folder / name
        content = path.read_bytes()
        for place in range(len(content) - 1):  # the last is the end of the line, which says nothing
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert str(path) in message(read, folder)
        path.write_bytes(content)
        read(folder)


DONE = [
    (b"", "not JSON"), (b"{", "not JSON"), (b"[1]", "expected a mapping"), (b"[" * 10**5, "not JSON"),
    (b"{}", "differs from what the run wrote"), (b'{"sha256": 3}', "differs from what the run wrote"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), DONE)
def test_a_done_json_that_is_not_the_runs(folder, content, words):
    (folder / "done.json").write_bytes(content)
    expected = f"{folder}/done.json: {words}; delete {folder} and train it again"
    assert message(seal.read_summary, folder) == message(seal.read_hashes, folder) == expected
    assert seal.verify(folder) == ([expected], [])


def test_files_that_are_no_files(folder):
    remedy = f"delete {folder} and train it again"
    path = folder / "manifest.json"
    path.unlink()
    assert message(seal.read_hashes, folder) == f"{path}: not there; {remedy}"
    path.mkdir()
    assert message(seal.read_hashes, folder) == f"{path}: not a file; {remedy}"
    path.rmdir()
    path.symlink_to(path)
    assert message(seal.read_hashes, folder) == f"{path}: not a file; {remedy}"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert message(seal.read_hashes, folder) == f"{path}: not a file; {remedy}"
    path.unlink()
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole: a terabyte that takes no room
    assert message(seal.read_hashes, folder) == f"{path}: too large to be what a run writes; {remedy}"


def test_what_is_not_kept_and_what_is_lost(folder):
    (folder / "snapshots/1.safetensors").unlink()
    assert seal.verify(folder) == ([], ["snapshots/1.safetensors"])
    (folder / "predictions/test-1.npy").unlink()
    assert seal.verify(folder) == ([f"{folder}/predictions/test-1.npy: not there"], ["snapshots/1.safetensors"])
    (folder / "predictions/test-labels.npy").unlink()
    assert seal.verify(folder) == (
        [], ["snapshots/1.safetensors", "predictions/test-1.npy", "predictions/test-labels.npy"],
    )  # fmt: skip
    (folder / "config.yaml").write_text("another")
    assert seal.verify(folder)[0] == [f"{folder}/config.yaml: differs from what the run wrote"]
    (folder / "config.yaml").unlink()
    assert seal.verify(folder)[0] == [f"{folder}/config.yaml: not there"]


def test_the_predictions_of_one_split_may_be_kept_alone(folder):
    for name in ("holdout-1.npy", "holdout-2.npy", "holdout-labels.npy"):
        (folder / "predictions" / name).write_text(name)
        seal.add(folder, [f"predictions/{name}"])
    tests = ["predictions/test-1.npy", "predictions/test-labels.npy"]
    for name in tests:
        (folder / name).unlink()
    assert seal.verify(folder) == ([], tests)
    (folder / "predictions/holdout-2.npy").unlink()
    assert seal.verify(folder) == ([f"{folder}/predictions/holdout-2.npy: not there"], tests)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_file_is_added_or_it_is_not_whatever_fails(folder, monkeypatch, failing):
    """After each of the three writes the run is still sealed, with the old manifest or the new one."""
    (folder / "interpolation.csv").write_text("added")
    old, real, times = seal.read_hashes(folder), seal.write_atomically, []

    def fails(path, write):
        times.append(path.name)
        if len(times) == failing:
            raise OSError("disk full")
        real(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(seal, "write_atomically", fails)
        with pytest.raises(OSError, match="disk full"):
            seal.add(folder, ["interpolation.csv"])
    assert set(seal.read_hashes(folder)) - set(old) == ({"interpolation.csv"} if failing == 3 else set())
    seal.add(folder, ["interpolation.csv"])
    assert seal.verify(folder) == ([], [])
    assert set(seal.read_hashes(folder)) - set(old) == {"interpolation.csv"}
    assert len(json.loads((folder / "done.json").read_text())["manifest"]) == 1 or failing == 3


def test_adding_the_same_again_writes_nothing(folder, monkeypatch):
    monkeypatch.setattr(seal, "write_atomically", None)
    seal.add(folder, ["config.yaml"])


@pytest.mark.parametrize(
    ("key", "value"), [("train_examples", "x"), ("seconds", []), ("threads", True), ("versions", 3), ("commit", 5)]
)
def test_what_is_read_again_is_of_its_kind(folder, key, value):
    seal.write_json(folder / "machine.json", {key: value})
    assert message(lambda place: seal.read_json(place, "machine.json"), folder) == (
        f"{folder}/machine.json: {key} is not what a run writes; delete {folder} and train it again"
    )


def test_predictions_of_the_holdout_that_were_all_deleted_are_not_kept(folder):
    names = ["predictions/holdout-1.npy", "predictions/holdout-labels.npy"]
    for name in names:
        (folder / name).write_text(name)
        seal.add(folder, [name])
    for name in names:
        (folder / name).unlink()
    wrong, not_kept = seal.verify(folder)
    assert (wrong, sorted(not_kept)) == ([], names)


@pytest.mark.parametrize("name", ["machine.json", "metrics.csv", "interpolation.csv"])
def test_no_other_file_may_be_missing(folder, name):
    (folder / name).write_text(name)
    seal.add(folder, [name])
    (folder / name).unlink()
    assert seal.verify(folder) == ([f"{folder / name}: not there"], [])


@pytest.mark.parametrize("failing", ["manifest.json", "done.json"])
def test_what_is_sealed_in_part_is_not_sealed(tmp_path, monkeypatch, failing):
    real = seal.write_atomically

    def fails(path, content):
        if path.name == failing:
            raise OSError("disk full")
        real(path, content)

    monkeypatch.setattr(seal, "write_atomically", fails)
    with pytest.raises(OSError, match="disk full"):
        seal.seal(tmp_path, {}, {})
    assert not seal.is_sealed(tmp_path)
