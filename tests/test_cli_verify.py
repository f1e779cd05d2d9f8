import pytest
from command_line import STUDY, snapshot, write
from fabricated_runs import finish_cells

from snapshot_cli.config.load import load


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The directories of three finished runs below results/own, as they are named from their folder."""
    monkeypatch.chdir(tmp_path)
    found = finish_cells(load(write(tmp_path / "study.yaml", STUDY)), tmp_path / "results/own", lambda run, k: k)
    return sorted(each.path.relative_to(tmp_path) for each in found)


def test_runs_that_are_as_they_were(runs):
    lines = "3 finished runs: all files as written\n"
    assert snapshot("verify", *runs) == (0, lines, "")
    assert snapshot("verify", "--all") == snapshot("verify", "--all", "--results-dir", "results/own")
    assert snapshot("verify", "--all") == (0, lines, "")


def test_every_file_that_is_wrong_is_named_and_weights_may_be_missing(runs):
    (runs[0] / "predictions/test-1.npy").write_bytes(b"x")
    (runs[0] / "config.yaml").unlink()
    (runs[2] / "done.json").write_text("{}")
    code, out, errors = snapshot("verify", *runs)
    assert (code, out) == (
        1, "2 finished runs: different from what was written\n1 finished run: all files as written\n",
    )  # fmt: skip
    assert errors == (
        f"{runs[0]}/config.yaml: not there\n"
        f"{runs[0]}/predictions/test-1.npy: differs from what the run wrote\n"
        f"{runs[2]}/done.json: differs from what the run wrote; delete {runs[2]} and train it again\n"
    )


def test_all_finds_a_run_that_lost_its_config_and_manifest(runs):
    for name in ("config.yaml", "manifest.json"):
        (runs[0] / name).unlink()
    code, _, errors = snapshot("verify", "--all")
    assert code == 1
    assert errors.startswith(f"{runs[0]}")
    assert errors.count("\n") == 1


def test_all_names_a_config_that_was_lost(runs):
    (runs[0] / "config.yaml").unlink()
    assert snapshot("verify", "--all") == snapshot("verify", *runs)
    assert snapshot("verify", "--all")[2] == f"{runs[0]}/config.yaml: not there\n"


def test_what_is_not_finished_and_what_is_no_run(runs, tmp_path):
    (runs[0] / "done.json").unlink()
    assert snapshot("verify", runs[0]) == (0, "1 unfinished run: not checked\n", "")
    (runs[0] / "config.yaml").write_text("seed: none")
    assert snapshot("verify", runs[0]) == (
        1,
        "",
        f"{runs[0]}/config.yaml: not the configuration of a run; delete {runs[0]} and train it again\n",
    )
    assert snapshot("verify", "results") == (
        1,
        "",
        "results: not a run directory: no config.yaml in it; those lie in results/SIZE/runs\n",
    )
    assert snapshot("verify", "--all", "--results-dir", "nowhere") == (
        1,
        "",
        "nowhere: no run in it; snapshot train FILE trains one, or give another --results-dir\n",
    )


@pytest.mark.parametrize(("words", "given"), [((), "neither"), (("--all", "x"), "both")])
def test_one_way_or_the_other(words, given):
    assert snapshot("verify", *words) == (
        2, "", f"snapshot verify: expected either run directories or --all, given {given}\n",
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["eval", "report"])
def test_what_differs_is_refused_with_the_way_out(runs, verb):
    path = runs[0] / "predictions/test-1.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    words = ["report", "study.yaml"] if verb == "report" else ["eval", "study.yaml"]
    code, _, errors = snapshot(*words)
    assert code == 1
    assert errors.strip().endswith(f"{path}: differs from what the run wrote; delete {runs[0]} and train it again")


def test_a_run_under_the_name_of_another_is_refused(runs):
    """Whoever copies a directory must not get its numbers under the other's name."""
    import shutil

    shutil.rmtree(runs[0])
    shutil.copytree(runs[1], runs[0])
    code, _, errors = snapshot("eval", "study.yaml")
    assert code == 1
    assert errors.strip().startswith(f"{runs[0]}: holds another run: ")


def test_all_from_inside_a_folder_of_results(runs, monkeypatch):
    snapshot("report", "study.yaml")
    monkeypatch.chdir("results/own")
    assert snapshot("verify", "--all", "--results-dir", ".") == (
        0, "3 finished runs: all files as written\n3 score files: equal to those computed from the predictions\n", "",
    )  # fmt: skip
