import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/slurm-array.sh"


@pytest.fixture
def array(tmp_path):
    """A function that runs the script with stand-ins for snapshot and scontrol and returns its process."""

    def start(snapshot):
        for name, text in (("snapshot", snapshot), ("scontrol", f'echo "scontrol $@" >> {tmp_path}/said')):
            (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
            (tmp_path / name).chmod(0o755)
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_MIN": "3"}
        variables |= {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_COUNT": "8"}
        return subprocess.Popen(["bash", SCRIPT, "table1", "table3"], env=variables)

    return start


@pytest.mark.parametrize(("code", "requeued"), [(0, ""), (1, ""), (2, ""), (75, "scontrol requeue 7_4\n")])
def test_what_was_stopped_is_queued_again(array, tmp_path, code, requeued):
    said = tmp_path / "said"
    assert array(f'echo "snapshot $@" >> {said}; exit {code}').wait(20) == code
    assert said.read_text() == f"snapshot reproduce table1 table3 --shard 2/8\n{requeued}"


def test_a_warning_is_passed_on_and_the_end_awaited(array, tmp_path):
    ready = tmp_path / "ready"
    script = f"trap 'sleep 0.3; exit 75' TERM; touch {ready}; while true; do sleep 0.05; done"
    process = array(script)
    while not ready.exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 75
    assert (tmp_path / "said").read_text() == "scontrol requeue 7_4\n"
