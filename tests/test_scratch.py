import json
import os
import socket

import pytest

from snapshot_cli import lock
from snapshot_cli.datasets.scratch import scratch_folder
from snapshot_cli.errors import UserError


def leftover(folder, pid):
    folder.mkdir()
    (folder / "images").write_bytes(b"")
    (folder / ".lock").write_text(json.dumps({"pid": pid, "host": socket.gethostname(), "since": "then"}))


def test_it_is_deleted_at_the_end_with_what_is_in_it(tmp_path):
    with scratch_folder(tmp_path / "data") as folder:
        (folder / "images").write_bytes(b"")
        assert folder.parent == tmp_path / "data"
    assert list((tmp_path / "data").iterdir()) == []


def test_folders_of_killed_processes_are_deleted_and_no_others(tmp_path):
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    leftover(tmp_path / ".prepare-killed", process)
    leftover(tmp_path / ".prepare-alive", os.getppid())
    (tmp_path / ".prepare-starting").mkdir()  # not locked yet
    with scratch_folder(tmp_path):
        assert not (tmp_path / ".prepare-killed").exists()
    assert {path.name for path in tmp_path.iterdir()} == {".prepare-alive", ".prepare-starting"}


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(UserError) as caught, scratch_folder(tmp_path):
        pass
    assert str(caught.value) == f"{tmp_path}: cannot be written to; give another --data-dir"


def test_a_folder_that_another_container_of_the_same_name_holds_is_not_deleted(tmp_path):
    """Its process has an id that no process has here."""
    process = os.fork()
    if not process:
        os._exit(0)
    os.waitpid(process, 0)
    held = tmp_path / ".prepare-held"
    with lock.hold(held):
        facts = json.loads((held / ".lock").read_text())
        (held / ".lock").write_text(json.dumps(facts | {"pid": process}))
        with scratch_folder(tmp_path):
            assert held.exists()


def test_a_file_in_its_place(tmp_path):
    (tmp_path / "data").write_text("")
    with (
        pytest.raises(UserError, match=r"/data: not a folder; give another --data-dir$"),
        scratch_folder(tmp_path / "data"),
    ):
        pass
