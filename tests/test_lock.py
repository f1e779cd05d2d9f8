import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from snapshot_cli import lock
from snapshot_cli.errors import UserError

HOLD = """
import pathlib, sys, time
from snapshot_cli import lock
with lock.hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


def refusal(folder):
    with pytest.raises(UserError) as caught, lock.hold(folder):
        pytest.fail("held twice")
    return str(caught.value)


def test_the_second_process_says_who_holds_it_and_writes_nothing(holder, tmp_path):
    before = (tmp_path / ".lock").read_bytes()
    assert re.fullmatch(
        rf"{tmp_path}: in use by process {holder.pid} on {re.escape(os.uname().nodename)} "
        r"since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00; wait for it, or stop it",
        refusal(tmp_path),
    )
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert (tmp_path / ".lock").read_bytes() == before


def test_a_share_that_lets_nobody_read_a_locked_file(holder, tmp_path, monkeypatch):
    def forbidden(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "pread", forbidden)
    assert refusal(tmp_path) == f"{tmp_path}: in use by another process; wait for it, or stop it"


def test_the_lock_ends_with_its_holder(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").is_file()
    with lock.hold(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"\xff", b"[]", b'{"pid": "x"}', b"{}", b"null"])
def test_a_holder_that_has_not_said_who_it_is(tmp_path, text):
    with lock.hold(tmp_path):
        (tmp_path / ".lock").write_bytes(text)
        assert refusal(tmp_path) == f"{tmp_path}: in use by another process; wait for it, or stop it"


def test_the_lock_is_let_go_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path):
        raise ZeroDivisionError
    with lock.hold(tmp_path):
        pass


def test_a_file_that_its_last_holder_deletes_meanwhile_is_not_held(tmp_path, monkeypatch):
    """Else two processes would hold two files of the same name."""
    real, times = fcntl.flock, []

    def late(descriptor, operation):
        if not times:
            (tmp_path / ".lock").unlink()
        times.append(descriptor)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with lock.hold(tmp_path):
        assert len(times) == 2
        refusal(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, code):
    def unsupported(descriptor, operation):
        raise OSError(code, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    told = []
    with lock.hold(tmp_path, note=told.append):
        pass
    assert told == [
        f"{tmp_path}: no lock on this file system (No locks available); see that no other process trains it"
    ]


def test_who_holds_it_is_read_from_the_file_alone(holder, tmp_path):
    found = lock.holder(tmp_path)
    assert (found.pid, found.host, found.gone) == (holder.pid, os.uname().nodename, False)
    refusal(tmp_path)
    holder.kill()
    holder.wait()
    assert lock.holder(tmp_path).gone
    (tmp_path / ".lock").write_text(json.dumps({"pid": holder.pid, "host": "elsewhere", "since": "then"}))
    assert not lock.holder(tmp_path).gone
    (tmp_path / ".lock").write_text("half")
    assert lock.holder(tmp_path) is None
    assert lock.holder(tmp_path / "nowhere") is None


def test_patience_waits_for_a_holder_that_is_about_to_end(holder, tmp_path):
    threading.Timer(0.3, holder.kill).start()
    with lock.hold(tmp_path, timeout=30):
        assert lock.holder(tmp_path).pid == os.getpid()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/nowhere")])
def test_a_lock_that_is_no_file_is_refused_and_nobody_waits(tmp_path, make):
    make(tmp_path / ".lock")
    assert refusal(tmp_path) == f"{tmp_path}/.lock: not a file; delete it"
    assert lock.holder(tmp_path) is None


def test_a_lock_that_is_a_link_writes_nothing_where_it_leads(tmp_path):
    (tmp_path / "precious").write_text("precious")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    refusal(tmp_path)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("text", ['{"pid": Infinity, "host": "a", "since": "b"}', "[" * 1000, '"' + "x" * 10**6])
def test_a_holder_that_nobody_wrote(tmp_path, text):
    (tmp_path / ".lock").write_text(text)
    assert lock.holder(tmp_path) is None


def test_a_holder_of_another_user_is_not_gone(monkeypatch):
    def forbidden(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    assert not lock.Holder(1, os.uname().nodename, "then").gone


def test_other_errors_of_the_lock_are_no_secret(tmp_path, monkeypatch):
    def broken(descriptor, operation):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match=f"Input/output error: '{tmp_path}/.lock'"), lock.hold(tmp_path):
        pytest.fail("not held")


def test_a_full_disk_names_the_lock_and_leaves_none(tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/.lock'"), lock.hold(tmp_path):
            pytest.fail("not held")
    with lock.hold(tmp_path):
        pass


def left_by(folder, pid, **changes):
    """What lies there after a process was killed, as `lock.holder` reads it."""
    with lock.hold(folder):
        facts = json.loads((folder / ".lock").read_text())
    (folder / ".lock").write_text(json.dumps(facts | {"pid": pid} | changes))
    return lock.holder(folder)


def test_another_process_with_the_same_id_is_not_the_holder(tmp_path):
    """A container that is started again gives the same ids in the same order, and its name stays."""
    mine = lock._birth(os.getpid())
    assert not left_by(tmp_path, os.getpid()).gone
    assert left_by(tmp_path, os.getpid(), birth=mine + "1").gone
    assert left_by(tmp_path, os.getpid(), birth="another-boot " + mine.split()[1]).gone
    assert not left_by(tmp_path, os.getpid(), birth="").gone  # of an earlier version, or where the system says nothing
    assert not left_by(tmp_path, os.getpid(), birth=mine + "1", host="elsewhere").gone


def test_a_holder_whose_parent_has_not_noticed_its_end_is_gone(tmp_path):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert left_by(tmp_path, child).gone
    os.waitpid(child, 0)


def test_a_lock_is_free_once_its_holder_has_ended(holder, tmp_path):
    """Whatever the file says: another container of the same name may have no process with that id."""
    assert not lock.is_free(tmp_path)
    holder.kill()
    holder.wait()
    assert lock.is_free(tmp_path)
    (tmp_path / ".lock").unlink()
    assert not lock.is_free(tmp_path)


@pytest.mark.parametrize("pid", [0, -1, 2**31, 10**30, "7"])
def test_no_process_has_such_an_id(tmp_path, pid):
    assert left_by(tmp_path, pid) is None


def test_a_forked_process_does_not_keep_the_lock_of_one_that_was_killed(tmp_path):
    """As decoders are forked by a training."""
    code = """
import os, pathlib, signal, sys, time
from snapshot_cli import lock
with lock.hold(pathlib.Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            holder.wait(60)
            with lock.hold(tmp_path, timeout=20):  # until the forked process has got so far
                pass
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def test_a_forked_process_that_leaves_takes_no_lock_with_it(tmp_path):
    with lock.hold(tmp_path):
        child = os.fork()
        if child == 0:
            os._exit(len(lock.HELD))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(UserError, match="in use by process"), lock.hold(tmp_path):
            pass
