import json
import subprocess
import sys

from command_line import CHECKOUT

SCRIPT = CHECKOUT / "scripts/demo_pilot.py"
METHODS = [(name, 0.1) for name in ("single", "dropout", "nocycle", "singlecycle", "snapshot")] + [("snapshot", 0.2)]


def choose(errors, split="holdout"):
    """Return what the script does with the errors of two replicates of the six methods for every network and budget."""
    cells = [
        {"method": method, "alpha0": alpha0, "network": network, "budget": budget, "split": split,
         "ensembles": [{"top1_error": 90.0}, {"top1_error": error + spread}]}
        for (network, budget), row in errors.items()
        for (method, alpha0), error in zip(METHODS, row, strict=True)
        for spread in (-1.0, 1.0)
    ]  # fmt: skip
    text = json.dumps({"cells": cells})
    return subprocess.run([sys.executable, SCRIPT], input=text, capture_output=True, text=True)


def test_the_largest_margin_over_the_best_other_method_is_chosen():
    lines = choose(
        {("wide", 32): [5, 8, 6, 7, 3, 5], ("dense", 32): [9, 5, 9, 9, 2, 4], ("dense", 48): [9, 9, 2, 9, 1, 1]}
    ).stdout.splitlines()
    assert lines[0] == (
        "wide, B = 32: single 5.00  dropout 8.00  nocycle 6.00  singlecycle 7.00  snapshot 0.1 3.00  snapshot 0.2 5.00"
        "  margin +1.00"
    )
    assert [line.split()[-1] for line in lines] == ["+1.00", "+2.00", "+1.00", "32"]
    assert lines[3] == "chosen: dense, B = 32"


def test_nothing_is_chosen_on_test_images():
    done = choose({("wide", 24): [5, 8, 6, 7, 3, 5]}, split="test")
    assert done.returncode == 2
    assert "expected errors on withheld images, given test" in done.stderr


def test_other_input_is_refused_in_a_line():
    done = subprocess.run([sys.executable, SCRIPT], input="epoch 1", capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: standard input: expected the output of snapshot eval --json (" in done.stderr.splitlines()[-1]
