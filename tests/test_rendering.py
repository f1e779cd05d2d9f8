"""Figures rendered in several processes are those that one process renders."""

import os
import signal

import pytest
from matplotlib.figure import Figure

from snapshot_cli.reporting import rendering
from snapshot_cli.reporting.drawn import Picture, Request


def picture(name, end=1.0):
    def draw():
        figure = Figure(figsize=(1, 1))
        figure.add_axes((0, 0, 1, 1)).plot([0, end])
        return figure

    return Picture(Request(name, "T"), "", draw, "", 1)


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(rendering, "processors", lambda: 2)


@pytest.mark.skipif("sys.platform != 'linux'", reason="processes are forked on Linux alone")
def test_pictures_have_the_bytes_of_one_process(tmp_path):
    pictures, folders = [picture("a"), picture("b"), picture("c")], [tmp_path, tmp_path, None]
    picture("a").write(tmp_path)
    rendering.render([([one], folder) for one, folder in zip(pictures, folders, strict=True)])
    assert all("figure" not in one.__dict__ for one in pictures)  # drawn elsewhere
    assert [("svg" in one.__dict__, "png" in one.__dict__) for one in pictures] == [
        (True, False), (True, True), (True, False)
    ]  # fmt: skip
    assert (pictures[1].svg, pictures[1].png) == (picture("b").svg, picture("b").png)


def test_a_picture_renders_itself_where_a_process_is_killed():
    parent = os.getpid()

    def draw():
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return picture("a").figure

    pictures = [Picture(Request(name, "T"), "", draw, "", 1) for name in "ab"]
    rendering.render([(pictures, None)])
    assert pictures[0].svg == picture("a").svg
