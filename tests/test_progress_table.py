import io
import json
import os
import re

import pytest
from rich.console import Console

from snapshot_cli.config.plan import run_label
from snapshot_cli.launch import failure, progress_table
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.progress_table import ProgressTable
from snapshot_cli.launch.run_status import RunStatus
from snapshot_cli.run_directory import RunDirectory

ROW = {"epoch": 1, "iteration": 6, "rate": 0.05, "train_error": 45.678, "images_per_second": 87.0}


def console(*, terminal, height=40):
    return Console(file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=150, height=height)


def drawn(renderable):
    out = Console(file=io.StringIO(), width=150)
    out.print(renderable)
    return [re.sub("  +", "  ", line.rstrip()) for line in out.file.getvalue().splitlines()]


def test_a_line_for_every_event_off_a_terminal(tmp_path, tiny_run):
    out = console(terminal=False)
    runs = {tiny_run(seed=seed): 270 for seed in (0, 1, 2)}
    with ProgressTable(out, runs, tmp_path) as callback:
        for run, outcome in zip(runs, ("done", "failed", "stopped"), strict=True):
            callback.started(run)
            callback.refresh()
            callback.ended(run, outcome)
    first, second, third = (run.run_id for run in runs)
    assert out.file.getvalue() == (
        f"training {first}\ndone: {first} (1 of 3)\ntraining {second}\nfailed: {second} (2 of 3)\n"
        f"training {third}\nstopped: {third} (3 of 3)\n"
    )


def test_a_table_on_a_terminal(tmp_path, tiny_run, monkeypatch):
    monkeypatch.setattr(progress_table, "REFRESH_SECONDS", 0.0)
    out = console(terminal=True)
    runs = [tiny_run(seed=seed) for seed in range(4)]
    (place := RunDirectory.of(runs[1], tmp_path)).write_metrics([ROW])
    (place.path / ".lock").write_text(json.dumps({"pid": os.getpid(), "host": "far", "since": "now"}))
    (RunDirectory.of(runs[2], tmp_path).path).mkdir(parents=True)
    (RunDirectory.of(runs[2], tmp_path).path / failure.FAILURE).write_text("of an earlier try")
    with ProgressTable(out, dict.fromkeys(runs, 270), tmp_path) as callback:
        callback.started(runs[0])
        callback.started(runs[1])
        callback.ended(runs[0], "failed", "no room")
        callback.refresh()
    assert "far, process" in out.file.getvalue()
    assert drawn(progress_table.screen(callback._statuses.values(), 150, 40)) == [
        "run  state  done  lr  error  images/s  left  where, or why not",
        f"{run_label(runs[1])}  running  35.6 %  0.0500  45.68 %  87  2 s  far, process {os.getpid()}",
        f"{run_label(runs[0])}  failed  0.0 %  -  -  -  -  no room",
        f"{run_label(runs[2])}  waiting  0.0 %  -  -  -  -",
        f"{run_label(runs[3])}  waiting  0.0 %  -  -  -  -",
        "4 runs: 2 waiting, 1 failed, 1 running; 8.9 % done, 11 s left at 87 images/s",
    ]


class Noted:
    def __init__(self):
        self.told = []

    def ended(self, run, outcome, note=""):
        self.told.append((outcome, note))


@pytest.mark.parametrize(
    ("result", "stopped", "told", "reason"),
    [
        (0, False, ("done", ""), None),
        (0, True, ("done", ""), None),
        (75, True, ("stopped", ""), None),
        (1, False, ("failed", "no [room]"), "no [room]"),
        (-9, False, ("failed", "killed by signal 9"), "killed by signal 9"),
        ("the node is gone", False, ("failed", "the node is gone"), "the node is gone"),
        ("the node is gone", True, ("stopped", ""), None),
    ],
)
def test_how_a_run_ended(tmp_path, tiny_run, result, stopped, told, reason):
    (tmp_path / failure.LOG).write_text("epoch 1\nno [room]\n")
    noted = Noted()
    failures = progress_table.record_end(noted, tiny_run(), result, tmp_path, stopped=stopped)
    assert noted.told == [told]
    assert failures == ([] if reason is None else [Failure(tiny_run().run_id, reason, tmp_path)])
    assert failure.read(tmp_path) == (told[1] or None)


@pytest.mark.parametrize(("height", "rows", "more"), [(40, 9, []), (11, 6, ["and 3 more"]), (1, 1, ["and 8 more"])])
def test_what_does_not_fit_is_counted(height, rows, more):
    statuses = [RunStatus(f"run-{number}", "waiting", 10) for number in range(8)] + [RunStatus("last", "running", 10)]
    lines = drawn(progress_table.screen(statuses, 80, height))
    assert lines[1].startswith("last ")
    assert lines[1 + rows :] == [*more, "9 runs: 8 waiting, 1 running; 0.0 % done"]


LONG = "wide-resnet-32-4 tiny-imagenet cosine M6 cycle 2 alpha0 0.2 seed 1000 1d6cf9c8"
SHORT = "resnet-8 digits step M4 alpha0 0.1 seed 0 9cd3c6df"
RUNS = [
    RunStatus("a", "running", 1000, 500, 0.05, 45.678, 87.0, "a-host-with-a-name, process 12345", SHORT),
    RunStatus("b", "failed", 1000, name=LONG, note="the loss is not finite at step 7, where the rate is 0.1;"
              " try a smaller alpha0"),
]  # fmt: skip


def lines(runs, width):
    return [line.plain for row in progress_table.table(runs, width) for line in row]


@pytest.mark.parametrize("width", [None, 200, 130, 100, 80, 60, 40])
def test_no_line_is_wider_than_the_terminal(width):
    for runs in (RUNS, RUNS[:1], RUNS[1:], []):
        assert max(map(len, lines(runs, width))) <= (width or 300)
        text = " ".join(" ".join(lines(runs, width)).split())
        for status in runs:
            words = status.name.rpartition(" ")[0]
            assert [word for word in (*words.split(), status.state, *status.note.split()) if word not in text] == []


def test_a_table_of_80_columns():
    assert lines(RUNS[:1], 80) == [
        "run                                              state       done    error  left",
        "resnet-8 digits step M4 alpha0 0.1 seed 0 9cd3c  running   50.0 %  45.68 %   6 s",
    ]
    assert lines(RUNS, 80) == [
        "run                                                             state       done",
        "resnet-8 digits step M4 alpha0 0.1 seed 0                       running   50.0 %",
        "wide-resnet-32-4 tiny-imagenet cosine M6 cycle 2 alpha0 0.2     failed     0.0 %",
        "  seed 1000",
        "    the loss is not finite at step 7, where the rate is 0.1; try a smaller",
        "    alpha0",
    ]


def test_why_a_run_failed_commands_no_terminal():
    assert lines([RunStatus("a", "failed", 10, note="\x1b[2J gone")], None)[1].endswith("\\x1b[2J gone")
