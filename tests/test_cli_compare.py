import pytest
from command_line import EXPERIMENT, STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.config.load import load


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def finish(tmp_path, name, mistakes, **settings):
    file = write(tmp_path / name, EXPERIMENT | settings)
    return finish_cells(load(file), tmp_path / "results/own", mistakes)


def cells(out):
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def test_two_run_directories_are_not_one_ensemble(tmp_path):
    (one,) = finish(tmp_path, "a.yaml", lambda run, k: 4)
    (other,) = finish(tmp_path, "b.yaml", lambda run, k: 9, alpha0=0.2)
    code, out, errors = snapshot("compare", one.path, other.path)
    assert (code, errors) == (0, "")
    assert cells(out) == [
        ["Snapshot (α₀ = 0.1)", "1 seed", "20.00", ""],
        ["Snapshot (α₀ = 0.2)", "1 seed", "45.00", ""],
        ["Snapshot (α₀ = 0.1) against Snapshot (α₀ = 0.2)", "+25.00", "McNemar's p = 0.062, these weights only"],
    ]


def test_experiments_of_three_seeds_have_an_interval(tmp_path):
    finish(tmp_path, "a.yaml", lambda run, k: 1 + run.seed, replicates=3)
    finish(tmp_path, "b.yaml", lambda run, k: 5 + run.seed, alpha0=0.2, replicates=3)
    code, out, _ = snapshot("compare", "a.yaml", "b.yaml")
    assert code == 0
    rows = cells(out)
    assert [row[1:3] for row in rows[:2]] == [["3 seeds", "10.00"], ["3 seeds", "30.00"]]
    # 4 of 20 images differ: each seed's difference has a standard deviation of 10 points from the images alone
    assert rows[2][1:] == ["+20.00", "[−4.84, 44.84], p = 0.074, 3 seeds"]


def test_a_study_compares_its_methods(tmp_path):
    file = write(tmp_path / "study.yaml", STUDY)
    finish_cells(load(file), tmp_path / "results/own", lambda run, k: k)
    code, out, _ = snapshot("compare", "study.yaml")
    assert (code, len(cells(out))) == (0, 3 + 3)


def test_networks_have_sections_and_pairs_across_them_come_last(tmp_path):
    for name, settings in {"a": {}, "b": {"alpha0": 0.2}, "c": {"network": "resnet-14"}}.items():
        finish(tmp_path, f"{name}.yaml", lambda run, k: 1, **settings)
    _, out, _ = snapshot("compare", "a.yaml", "b.yaml", "c.yaml")
    first = [row[0] for row in cells(out)]
    assert first[:5] == ["ResNet-8 on Digits", "Snapshot (α₀ = 0.1)", "Snapshot (α₀ = 0.2)", "ResNet-14 on Digits",
                         "Snapshot (α₀ = 0.1)"]  # fmt: skip
    assert first[5:8] == ["ResNet-8 on Digits", "Snapshot (α₀ = 0.1) against Snapshot (α₀ = 0.2)", "Across"]
    assert len(first) == 10


def test_two_seeds_decide_nothing(tmp_path):
    finish(tmp_path, "a.yaml", lambda run, k: 1, replicates=2)
    finish(tmp_path, "b.yaml", lambda run, k: 5, alpha0=0.2, replicates=2)
    assert "2 seeds: judged with three or more" in snapshot("compare", "a.yaml", "b.yaml")[1]


def test_what_cannot_be_compared(tmp_path):
    write(tmp_path / "a.yaml", EXPERIMENT)
    assert snapshot("compare", "a.yaml")[:2] == (1, "")
    finish(tmp_path, "a.yaml", lambda run, k: 1)
    code, _, errors = snapshot("compare", "a.yaml")
    assert (code, errors) == (2, "a.yaml: has one finished experiment; give another one to compare it with\n")
    assert snapshot("compare")[0] == 2
    assert snapshot("compare", "nowhere.yaml", "a.yaml")[0] == 2
