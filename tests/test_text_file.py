import os
import threading
import time

import pytest

from snapshot_cli.config import text_file
from snapshot_cli.errors import ConfigError


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "PIPE_TIMEOUT", 0.2)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def later(seconds, path, text):
    threading.Timer(seconds, path.write_text, [text]).start()


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(pipe):
    with pytest.raises(ConfigError) as caught:
        text_file.read(pipe)
    assert str(caught.value) == f"{pipe}: a pipe without a writer; give a file, or start the writer first"


def test_a_writer_may_come_a_little_later(pipe):
    text_file.PIPE_TIMEOUT = 20.0
    later(0.2, pipe, "dataset: digits")
    assert text_file.read(pipe) == "dataset: digits"


def test_a_writer_that_is_there_may_take_its_time(pipe):
    opened = threading.Event()

    def write():
        with pipe.open("w") as file:
            opened.set()
            time.sleep(0.8)
            file.write("dataset: digits")

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer need not wait for the one below
    writer = threading.Thread(target=write)
    writer.start()
    opened.wait()
    assert text_file.read(pipe) == "dataset: digits"
    os.close(reader)
    writer.join()


def test_what_a_command_has_written_and_left_is_read():
    reading, writing = os.pipe()
    os.write(writing, b"dataset: digits")
    os.close(writing)
    assert text_file.read(f"/dev/fd/{reading}") == "dataset: digits"
    os.close(reading)
