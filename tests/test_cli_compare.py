import re

import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.config.load import load
from snapshot_cli.reporting import terminal


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def finish(tmp_path, name, mistakes, **settings):
    file = write(tmp_path / name, EXPERIMENT | settings)
    return finish_cells(load(file), tmp_path / "results/own", mistakes)


def cells(out):
    """Return the cells of the tables' rows, by line; lines of one cell are titles and notes."""
    return [re.split(r"\s{2,}", line.strip()) for line in out.splitlines() if line and "─" not in line]


def test_two_run_directories_are_not_one_ensemble(tmp_path):
    (one,) = finish(tmp_path, "a.yaml", lambda run, k: 4)
    (other,) = finish(tmp_path, "b.yaml", lambda run, k: 9, alpha0=0.2)
    code, out, errors = snapshot("compare", one.path, other.path)
    assert (code, errors) == (0, "")
    assert cells(out) == [
        ["Errors on test images; ± is half the 95 % interval over seeds"],
        ["method", "error (%)", "seeds"],
        ["Snapshot (α₀ = 0.1)", "20.00", "1 of 1"],
        ["Snapshot (α₀ = 0.2)", "45.00", "1 of 1"],
        ["ResNet-8 on Digits"],
        ["A", "B", "B − A", "95 % interval", "p"],
        ["Snapshot (α₀ = 0.1)", "Snapshot (α₀ = 0.2)", "+25.00", "1 seed", "0.062"],
        [terminal.DIFFERENCE],
        [terminal.MCNEMAR],
    ]


def test_experiments_of_three_seeds_have_an_interval(tmp_path):
    finish(tmp_path, "a.yaml", lambda run, k: 1 + run.seed, replicates=3)
    finish(tmp_path, "b.yaml", lambda run, k: 5 + run.seed, alpha0=0.2, replicates=3)
    code, out, _ = snapshot("compare", "a.yaml", "b.yaml")
    assert code == 0
    rows = cells(out)
    assert [row[1:] for row in rows[2:4]] == [["10.00 ± 12.42", "3 of 3"], ["30.00 ± 12.42", "3 of 3"]]
    # 4 of 20 images differ: each seed's difference has a standard deviation of 10 points from the images alone
    assert rows[-3][2:] == ["+20.00", "[−4.84, 44.84]", "0.074"]
    assert rows[-2:] == [[terminal.DIFFERENCE], [terminal.T_TEST]]


def test_a_study_compares_its_methods(tmp_path):
    file = write(tmp_path / "study.yaml", STUDY)
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    code, out, _ = snapshot("compare", "study.yaml")
    assert (code, [len(row) for row in cells(out)].count(5)) == (0, 1 + 3)


def test_networks_have_sections_and_pairs_across_them_come_last(tmp_path):
    for name, settings in {"a": {}, "b": {"alpha0": 0.2}, "c": {"network": "resnet-14"}}.items():
        finish(tmp_path, f"{name}.yaml", lambda run, k: 1, **settings)
    _, out, _ = snapshot("compare", "a.yaml", "b.yaml", "c.yaml")
    rows = cells(out)
    assert [row[:2] for row in rows[2:5]] == [
        ["ResNet-8 on Digits", "Snapshot (α₀ = 0.1)"], ["ResNet-8 on Digits", "Snapshot (α₀ = 0.2)"],
        ["ResNet-14 on Digits", "Snapshot (α₀ = 0.1)"],
    ]  # fmt: skip
    assert [rows[5], rows[8]] == [["ResNet-8 on Digits"], ["Across networks or datasets"]]
    assert [row[1] for row in rows[10:12]] == ["Snapshot (α₀ = 0.1), ResNet-14 on Digits"] * 2


def test_two_seeds_decide_nothing(tmp_path):
    finish(tmp_path, "a.yaml", lambda run, k: 1, replicates=2)
    finish(tmp_path, "b.yaml", lambda run, k: 5, alpha0=0.2, replicates=2)
    rows = cells(snapshot("compare", "a.yaml", "b.yaml")[1])
    assert (rows[-3][2:], rows[-1]) == (["+20.00", "2 seeds"], [terminal.NOT_JUDGED])


def test_what_cannot_be_compared(tmp_path):
    write(tmp_path / "a.yaml", EXPERIMENT)
    assert snapshot("compare", "a.yaml")[:2] == (1, "")
    finish(tmp_path, "a.yaml", lambda run, k: 1)
    code, _, errors = snapshot("compare", "a.yaml")
    assert (code, errors) == (2, "a.yaml: has one finished experiment; give another one to compare it with\n")
    assert snapshot("compare")[0] == 2
    assert snapshot("compare", "nowhere.yaml", "a.yaml")[0] == 2


def test_test_images_and_withheld_ones_are_not_compared(tmp_path):
    finish(tmp_path, "a.yaml", lambda run, k: 1)
    base = STUDY["base"] | {"holdout": 20}
    file = write(tmp_path / "s.yaml", {"title": "S", "base": base, "methods": ["snapshot"], "split": "holdout"})
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: 2, split="holdout")
    assert snapshot("compare", "a.yaml", "s.yaml") == (
        2, "", "a.yaml, s.yaml: some are scored on test images, others on withheld training images; give --split\n"
    )  # fmt: skip


def test_set_goes_with_a_file(tmp_path):
    (one,) = finish(tmp_path, "a.yaml", lambda run, k: 4)
    (other,) = finish(tmp_path, "b.yaml", lambda run, k: 9, alpha0=0.2)
    message = "snapshot compare: --set seed=1 goes with a FILE, and none is given\n"
    assert snapshot("compare", one.path, other.path, "--set", "seed=1") == (2, "", message)
