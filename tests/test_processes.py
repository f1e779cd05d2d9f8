import json

from fabricated_runs import experiment, finish_cells, study

from snapshot_cli import seal
from snapshot_cli.config import plan
from snapshot_cli.reporting import report
from snapshot_cli.run_directory import RunDirectory

CELLS = (experiment("single"), experiment(), experiment("ensemble"))
HOW = "Trained in differing numbers of processes, of which each has batch norm over its own images alone."


def drawn(folder, places, render="methods", cells=CELLS):
    """Return the sentences below a table whose runs, in order, were trained at some places."""
    asked = study(*cells, render={"table": render})
    finish_cells(asked, folder, lambda run, k: k)
    for run, place in zip(plan.runs(asked), places, strict=True):
        path = RunDirectory.of(run, folder).path
        machine = json.loads((path / "machine.json").read_text()) | place
        (path / "machine.json").write_text(json.dumps(machine))
        seal.add(path, ["machine.json"])
    (table,) = report.draw(asked, folder, {}).drawn
    return [note for note in table.notes if "processes" in note]


def test_one_number_for_all_is_not_worth_a_word(tmp_path):
    assert drawn(tmp_path / "1", [{}, {"ranks": 1}, {}]) == []
    assert drawn(tmp_path / "2", [{"ranks": 2}] * 3) == []


def test_differing_numbers_are_listed(tmp_path):
    group = "ResNet-8 on Digits"
    assert drawn(tmp_path / "1", [{}, {"ranks": 4}, {"ranks": 1}]) == [
        f"{HOW} Single model, {group}: 1 with 64 images; Snapshot (α₀ = 0.1), {group}: 4 with 16 images; "
        f"True ensemble, {group}: 1 with 64 images."
    ]
    changed = {"ranks": 2, "resumed": [{"threads": 3}, {"ranks": 3}]}
    assert drawn(tmp_path / "2", [changed, {}, {"ranks": 2}]) == [
        f"{HOW} Single model, {group}: 2 with 32 images, then 3 with 21.3333 images; "
        f"Snapshot (α₀ = 0.1), {group}: 1 with 64 images; "
        f"True ensemble, {group}: 2 with 32 images and 2 with 32 images, then 3 with 21.3333 images."
    ]
    cycles = (experiment(cycles=2), experiment(cycles=3))
    assert drawn(tmp_path / "3", [{"ranks": 2}, {}], "cycles", cycles) == [
        f"{HOW} Snapshot (α₀ = 0.1), M = 2, {group}: 2 with 32 images; "
        f"Snapshot (α₀ = 0.1), M = 3, {group}: 1 with 64 images."
    ]
