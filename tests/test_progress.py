import io

import pytest
from rich.console import Console

from snapshot_cli.launch.progress import Bar, Lines, progress_callback

ROW = {
    "epoch": 1, "iteration": 6, "rate": 0.05, "train_loss": 1.23456, "train_error": 45.678, "seconds": 2.0,
    "images_per_second": 1234.5,
}  # fmt: skip


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=120)


def look_on(callback, done):
    with callback:
        callback.on_start(done, 18, 6)
        for step in range(done + 1, 19):
            callback.on_step(step, 0.1)
            if step % 6 == 0:
                callback.on_epoch(ROW | {"epoch": step // 6, "iteration": step})


def test_lines_off_a_terminal():
    out = console(terminal=False)
    callback = progress_callback(out, 16)
    assert isinstance(callback, Lines)
    look_on(callback, 9)
    assert out.file.getvalue() == (
        "resuming after step 9 of 18\n"
        "epoch 2/3  lr 0.0500  loss 1.2346  error 45.68 %  1,234 images/s\n"
        "epoch 3/3  lr 0.0500  loss 1.2346  error 45.68 %  1,234 images/s\n"
    )


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, ""), (0.04, ""), (0.05, "  data wait 5%"),
     (0.57, "  data wait 57%")],
)  # fmt: skip
def test_waiting_for_images_is_said_where_it_is_worth_a_word(share, words):
    out = console(terminal=False)
    with progress_callback(out, 16) as callback:
        callback.on_start(0, 18, 6)
        callback.on_epoch(ROW | {"data_wait": share})
    assert out.file.getvalue().endswith(f"1,234 images/s{words}\n")


@pytest.mark.parametrize("done", [0, 9, 18])
def test_a_bar_on_a_terminal(done):
    out = console(terminal=True)
    callback = progress_callback(out, 16)
    assert isinstance(callback, Bar)
    look_on(callback, done)
    text = out.file.getvalue()
    assert "100%" in text
    if done < 18:
        assert "lr 0.1000" in text
        assert f"epoch {done // 6 + 1}/3" in text


def test_a_bar_that_never_begins():
    with Bar(console(terminal=True), 16):
        pass


def test_the_bar_says_images_per_second_before_the_first_epoch_ends(monkeypatch):
    out = console(terminal=True)
    now = [100.0]
    monkeypatch.setattr("snapshot_cli.launch.progress.time.monotonic", lambda: now[0])
    with progress_callback(out, 16) as bar:
        bar.on_start(10, 1000, 100)
        now[0] = 102.0
        bar.on_step(20, 0.1)
        bar._progress.refresh()
        assert "epoch 1/10  lr 0.1000  80 images/s" in out.file.getvalue()


def test_the_bar_is_one_line_of_78_columns():
    out = Console(file=io.StringIO(), force_terminal=True, force_interactive=True, width=80)
    with progress_callback(out, 16) as bar:
        bar.on_start(0, 240, 6)
        bar.on_epoch(ROW)
        bar.on_step(7, 0.1)
        lines = out.render_lines(bar._progress.get_renderable(), pad=False)
        assert [sum(part.cell_length for part in line) <= 78 for line in lines] == [True]
