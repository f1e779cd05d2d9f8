import pytest

from snapshot_cli.launch import failure
from snapshot_cli.launch.failure import Failure, describe


@pytest.mark.parametrize(
    ("log", "result", "reason"),
    [
        (b"epoch 1\nthe loss is not finite\n\n", 1, "the loss is not finite"),
        (b"half a line \xff", 1, "half a line \ufffd"),
        (b"", 1, "exited with code 1 and no output"),
        (None, 3, "exited with code 3 and no output"),
        (b"epoch 1\n", -9, "killed by signal 9"),
        (b"epoch 1\n", "of an earlier try: File exists", "of an earlier try: File exists"),
    ],
)
def test_why_a_run_failed(tmp_path, log, result, reason):
    if log is not None:
        (tmp_path / failure.LOG).write_bytes(log)
    assert failure.record(tmp_path, result) == reason
    assert failure.read(tmp_path) == reason


def test_a_reason_that_cannot_be_written_stops_no_other_run(tmp_path):
    assert failure.record(tmp_path / "nowhere", "no room") == "no room"
    assert failure.read(tmp_path / "nowhere") is None


def failures(folder, reasons):
    """Return failures of runs digits/0, digits/1, ... in directories of their own."""
    return [Failure(f"digits/{k}", reason, folder / f"runs/digits/{k}") for k, reason in enumerate(reasons)]


def test_runs_that_failed_for_reasons_of_their_own(tmp_path):
    log = tmp_path / "runs/digits/1" / failure.LOG
    log.parent.mkdir(parents=True)
    log.touch()
    one, two = failures(tmp_path, ["no room", "digits/1: the loss is not finite"])
    assert describe([one, two]) == ["digits/0: no room", f"digits/1: the loss is not finite (see {log})"]


@pytest.mark.parametrize(("count", "others"), [(2, [1]), (5, [1, 2, 3, 4]), (7, [1, 2, 3, 4])])
@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("no room", "no room"),
        ("{run.directory}/resume.pt: File too large", "resume.pt: File too large"),
        ("{run.run_id}: the loss is not finite", "the loss is not finite"),
    ],
)
def test_equal_reasons_are_printed_once(tmp_path, count, others, reason, shown):
    equal = [Failure(run.run_id, reason.format(run=run), run.directory) for run in failures(tmp_path, ["?"] * count)]
    equal[0].directory.mkdir(parents=True)
    (equal[0].directory / failure.FAILURE).write_text("no room\n")
    other = Failure("cifar10/9", "killed by signal 9", tmp_path)
    assert describe([equal[0], other, *equal[1:]]) == [
        f"{count} runs: {shown}",
        f"  digits/0 (see {equal[0].directory}/failure.txt)",
        *(f"  digits/{k}" for k in others),
        *(["  and 2 more"] if count == 7 else []),
        "cifar10/9: killed by signal 9",
    ]
