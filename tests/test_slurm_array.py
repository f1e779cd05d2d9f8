import os
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/slurm-array.sh"


@pytest.fixture
def array(tmp_path):
    """A function that runs the script with stand-ins for snapshot and scontrol and returns its process."""

    def start(snapshot, **changes):
        for name, text in (("snapshot", snapshot), ("scontrol", f'echo "scontrol $@" >> {tmp_path}/said')):
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "7"}
        variables |= {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "8"} | changes
        with (tmp_path / "errors").open("w") as errors:
            return subprocess.Popen(["bash", SCRIPT, "table1", "table3"], env=variables, stderr=errors)

    return start


@pytest.mark.parametrize(("code", "requeued"), [(0, ""), (1, ""), (2, ""), (75, "scontrol requeue 7_4\n")])
def test_what_was_stopped_is_queued_again(array, tmp_path, code, requeued):
    said = tmp_path / "said"
    assert array(f'echo "snapshot $@" >> {said}; exit {code}').wait(20) == code
    assert said.read_text() == f"snapshot reproduce table1 table3 --shard 4/8\n{requeued}"


SLOW = '() { builtin kill "$@" && if [ "$1" = -TERM ]; then sleep 1; fi; }'  # a kill after which the training has ended


@pytest.mark.parametrize("changes", [{}, {"BASH_FUNC_kill%%": SLOW}])
def test_a_warning_is_passed_on_and_the_end_awaited(array, tmp_path, changes):
    ready = tmp_path / "ready"
    script = f"trap 'sleep 0.3; exit 75' TERM; touch {ready}; while true; do sleep 0.05; done"
    process = array(script, **changes)
    while not ready.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 75
    assert (tmp_path / "said").read_text() == "scontrol requeue 7_4\n"


def test_a_single_task_of_a_larger_array(array, tmp_path):
    changes = {"SHARDS": "8", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1"}
    assert array(f'echo "snapshot $@" >> {tmp_path}/said', **changes).wait(20) == 0
    assert (tmp_path / "said").read_text() == "snapshot reproduce table1 table3 --shard 3/8\n"


@pytest.mark.parametrize(("task", "shards"), [("0", "8"), ("9", "8"), ("3", ""), ("", "8"), ("3", "x"), ("08", "8")])
def test_a_task_that_is_no_shard_is_refused(array, tmp_path, task, shards):
    changes = {"SHARDS": shards, "SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": "1"}
    assert array(f"touch {tmp_path}/said", **changes).wait(20) == 2
    assert (tmp_path / "errors").read_text() == (
        f"slurm-array.sh: task '{task}' is not a shard from 1 to '{shards or 1}'; "
        "give --array=1-N, or SHARDS=N to submit only some tasks\n"
    )
    assert not (tmp_path / "said").exists()


def test_each_task_of_the_array_is_one_process():
    assert "#SBATCH --ntasks=1" in SCRIPT.read_text().splitlines()
