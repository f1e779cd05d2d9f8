import errno
import os

import pytest

from snapshot_cli.files import make_folder, remove_leftovers, sha256, write_atomically


def test_a_writer_that_raises_leaves_the_old_file_and_nothing_beside(tmp_path):
    path = tmp_path / "folder/file"

    def half(file):
        file.write(b"ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert list(path.parent.iterdir()) == []
    write_atomically(path, lambda file: file.write(b"old"))
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
    write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_flush_or_rename_that_fails_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError("broken")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="broken"):
        write_atomically(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_flushed_before_its_rename_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a)))
    write_atomically(tmp_path / "file", lambda file: file.write(b"x"))
    assert calls == ["fsync", "replace", "fsync"]


def test_an_error_names_the_file(tmp_path):
    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "file", full)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as caught:
        write_atomically(tmp_path / "file/below", full)
    assert caught.value.filename == str(tmp_path / "file")


def test_new_folders_are_flushed_into_those_around_them(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr("snapshot_cli.files.flush_folder", flushed.append)
    make_folder(tmp_path / "a/b/c")
    assert (tmp_path / "a/b/c").is_dir()
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
    make_folder(tmp_path / "a/b/c")
    assert len(flushed) == 3


def test_what_killed_writers_left_goes_and_nothing_else(tmp_path):
    kept = ["file.tmp", ".file.tmp", ".hidden", "deep/.file.x1.tmp", "1.tmp"]
    for name in [*kept, ".file.123.tmp", "deep/.1.safetensors.7.tmp"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    found = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(found) == sorted(kept)


def test_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
