import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CHECKOUT, STUDY, snapshot, write

from snapshot_cli.launch import signals
from snapshot_cli.launch.signals import stop_request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_a_wish_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_request() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
        assert stop.signal == number
    assert signal.getsignal(number) is before


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), stop_request():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_leaves_at_once():
    with stop_request() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT


def test_a_later_sigterm_does_not_change_the_first_signal():
    # Ctrl-C reaches a whole process group, and `reproduce` then sends SIGTERM to its trainings
    with stop_request() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal == signal.SIGINT


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)])
def test_reproduce_passes_a_signal_on_and_says_that_the_same_command_goes_on(tmp_path, monkeypatch, number, code):
    """The trainings are stand-ins that end as `snapshot train` does, and say by a file that they were asked to."""
    monkeypatch.chdir(tmp_path)
    script = (
        "import pathlib, signal, sys, time\n"
        "def asked(number, frame):\n    pathlib.Path('asked').write_text(str(number))\n    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, asked)\npathlib.Path('ready').touch()\ntime.sleep(60)"
    )
    real = subprocess.Popen

    def popen(command, **options):
        return real([sys.executable, "-c", script] if "snapshot_cli.fork_server" in command else command, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)

    sent = []

    def look(board):
        if Path("ready").exists() and not sent:  # a second Ctrl-C would leave at once
            sent.append(number)
            os.kill(os.getpid(), number)

    monkeypatch.setattr("snapshot_cli.launch.progress_table.ProgressTable.refresh", look)
    monkeypatch.setattr("snapshot_cli.training.hardware._git", lambda *arguments: None)
    write(tmp_path / "study.yaml", STUDY)
    found, _, errors = snapshot("reproduce", "study.yaml", "--jobs", "1", "--device", "cpu")
    assert found == code
    assert errors.splitlines()[-1] == "stopped; type the same command to resume"
    assert Path("asked").read_text() == str(int(signal.SIGTERM))


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_request() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_end_of_the_launcher_is_a_wish():
    with stop_request(os.getppid()) as stop:
        assert not stop()
    with stop_request(os.getpid()) as stop:  # not our parent: whoever was has gone
        assert stop()
        assert stop.signal is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGHUP, 75), (signal.SIGINT, 130)])
def test_a_signal_while_the_program_is_still_loading(tmp_path, number, code):
    """The click that it finds here is never done with loading."""
    (tmp_path / "click.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)")
    paths = os.pathsep.join([str(tmp_path), str(CHECKOUT)])
    process = subprocess.Popen(
        [sys.executable, "-m", "snapshot_cli", "train", "some.yaml"],
        env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "loading\n"
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("", "stopped; type the same command again\n")
    assert process.returncode == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_all_work_changes_no_exit_code_and_says_nothing(number, capfd):
    """`reproduce` repeats SIGTERM until a training has ended, and torch's handlers at exit take their time."""
    child = os.fork()
    if child == 0:
        signals.keep_exit_code(7)
        os.kill(os.getpid(), number)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert capfd.readouterr() == ("", "")
