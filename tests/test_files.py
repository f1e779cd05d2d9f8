import errno
import os
import stat

import pytest

from snapshot_cli import files
from snapshot_cli.files import make_folder, remove_leftovers, sha256, write_atomically


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("held", [b"old", None])
def test_a_flush_or_rename_that_fails_leaves_what_was_there_and_nothing_beside(tmp_path, monkeypatch, failing, held):
    path = tmp_path / "folder/file"
    path.parent.mkdir()
    if held is not None:
        path.write_bytes(held)
    before = list(path.parent.iterdir())

    def fail(*arguments):
        raise OSError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="broken"):
            write_atomically(path, b"new")
    assert list(path.parent.iterdir()) == before
    assert held is None or path.read_bytes() == held
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_temporary_name_that_is_taken_is_another_writers_and_stays(tmp_path, monkeypatch):
    """Two containers with equal process ids may write one file of a shared folder at once."""
    names = iter(["00" * 8, "11" * 8])
    monkeypatch.setattr("snapshot_cli.files.secrets.token_hex", lambda size: next(names))
    other = tmp_path / f".file.{'00' * 8}.tmp"
    other.write_bytes(b"half of another")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "file", b"mine")
    assert other.read_bytes() == b"half of another"
    write_atomically(tmp_path / "file", b"mine")
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert other.read_bytes() == b"half of another"


def test_writers_with_one_process_id_do_not_disturb_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)
    real = os.replace

    def interrupted(beside, path):
        monkeypatch.setattr(os, "replace", real)
        write_atomically(path, b"of the other")
        real(beside, path)

    monkeypatch.setattr(os, "replace", interrupted)
    write_atomically(tmp_path / "file", b"of this one")
    assert (tmp_path / "file").read_bytes() == b"of this one"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_file_is_flushed_before_its_rename_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a)))
    write_atomically(tmp_path / "file", b"x")
    assert calls == ["fsync", "replace", "fsync"]


def test_an_error_names_the_file(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "file", b"x")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError) as caught:
        write_atomically(tmp_path / "file/below", b"x")
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
    kept = ["file.tmp", ".file.tmp", ".hidden", "deep/.file.x1.tmp", "1.tmp", ".file.0123abcd.tmp"]
    for name in [*kept, ".file.123.tmp", "deep/.1.safetensors.7.tmp", "deep/.x.0123456789abcdef.tmp"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    remove_leftovers(tmp_path)
    found = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(found) == sorted(kept)


def test_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_files_are_found_behind_links_and_a_loop_ends(tmp_path):
    """As results/small is a link to a scratch disk."""
    for name in ("scratch/runs/a/config.yaml", "here/b/config.yaml", "here/b/other.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "here/small").symlink_to(tmp_path / "scratch")
    (tmp_path / "scratch/up").symlink_to(tmp_path / "scratch")
    (tmp_path / "here/nowhere").symlink_to(tmp_path / "nowhere")
    found = sorted(path.relative_to(tmp_path).as_posix() for path in files.find(tmp_path / "here", "config.yaml"))
    assert found == ["here/b/config.yaml", "here/small/runs/a/config.yaml"]
    assert len(list(files.find(tmp_path / "here", "*.yaml", "none"))) == 3
    assert list(files.find(tmp_path / "nowhere", "*")) == []


@pytest.mark.parametrize(("code", "written"), [(errno.EINVAL, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_flush_a_folder(tmp_path, monkeypatch, code, written):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    if written:
        write_atomically(tmp_path / "new/file", b"content")
        assert (tmp_path / "new/file").read_bytes() == b"content"
    else:
        with pytest.raises(OSError, match=os.strerror(code)):
            write_atomically(tmp_path / "new/file", b"content")


def test_links_are_followed_and_pipes_are_written_to(tmp_path):
    target, link, pipe = tmp_path / "folder/target", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    for content in (b"first", b"second"):
        write_atomically(link, content)
        assert (link.is_symlink(), target.read_bytes()) == (True, content)
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, memoryview(b"through"))
    assert (os.read(reader, 100), stat.S_ISFIFO(pipe.stat().st_mode)) == (b"through", True)
    os.close(reader)
