import errno
import os
import signal
import time
from collections import namedtuple
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
from PIL import Image

from snapshot_cli.datasets import decode_files
from snapshot_cli.datasets.decode_files import decode_all
from snapshot_cli.errors import UserError


@pytest.fixture
def images(tmp_path):
    (tmp_path / "scratch").mkdir()
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "0.png")
    return tmp_path


def refusal(folder):
    with pytest.raises(UserError) as caught:
        decode_all(folder, ["0.png"], folder / "scratch/images", size=None)
    return str(caught.value).removeprefix(f"{folder}")


def test_a_disk_that_is_too_small_is_refused_before_anything_is_decoded(images, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: namedtuple("usage", "free")(95))
    assert refusal(images) == ": 96 bytes are needed, 95 are free; make room, or give another --data-dir"


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="macOS")
def test_a_disk_that_fills_up_does_not_kill_the_process(images, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    assert refusal(images) == ": no space left on the device; make room, or give another --data-dir"


def test_a_decoding_process_that_is_killed(images, monkeypatch):
    def killed(*arguments):
        raise BrokenProcessPool

    monkeypatch.setattr(decode_files.Decoder, "__call__", killed)
    assert refusal(images) == (
        ": a process that decodes images was killed, perhaps for lack of memory; close other programs and type the same"
        " command again"
    )


def test_decoding_processes_end_with_their_parent(monkeypatch):
    monkeypatch.setattr(decode_files, "processors", lambda: 2)
    read, write = os.pipe()
    parent = os.fork()
    if not parent:
        with decode_files._mapping(parallel=True) as map_:
            os.write(write, " ".join({str(pid) for pid in map_(_pid, range(4))}).encode())
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    workers = [int(pid) for pid in os.read(read, 100).split()]
    assert workers
    until = time.monotonic() + 10
    try:
        while any(map(_is_running, workers)):
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        for worker in filter(_is_running, workers):
            os.kill(worker, signal.SIGKILL)


def _pid(_):
    return os.getpid()


def _is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().split()[2] != "Z"
    except FileNotFoundError:
        return False
