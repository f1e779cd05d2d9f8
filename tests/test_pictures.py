import pytest
from fabricated_runs import experiment, finish_cells, study

from snapshot_cli.reporting import figures, report


@pytest.fixture
def panels(monkeypatch):
    """Record what each figure is drawn from, by the name of its function."""
    calls = {}

    def recording(name, original):
        def record(data, **options):
            calls.setdefault(name, []).append((data, options))
            return original(data, **options)

        return record

    for name in ("ensemble_size", "budget", "over_time", "cost"):
        monkeypatch.setattr(figures, name, recording(name, getattr(figures, name)))
    return calls


def draw(results, kind, *experiments, **drawing):
    asked = study(*experiments, render={"figure": {"kind": kind, **drawing}})
    return [path.name for path in report.draw(asked, results, {}).write(results)]


FULL = {"dataset": "cifar100", "network": "densenet-40-12", "budget": 300, "cycles": 6}


def test_the_papers_points_stand_at_their_sizes(tmp_path, panels):
    experiments = [experiment("single", **FULL), experiment(alpha0=0.2, **FULL), experiment("ensemble", **FULL)]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 1)
    draw(tmp_path, "ensemble-size", *experiments)
    (((panel,), _),) = panels["ensemble_size"]
    assert (panel.title, panel.single) == ("DenseNet-40-12 on CIFAR-100", 5.0)
    points = {curve.label: [(p.x, p.error, p.uncertainty) for p in curve.paper] for curve in panel.curves}
    assert points == {
        "Snapshot (α₀ = 0.2)": [
            (1, 24.95, 0.1), (2, 23.9, 0.1), (3, 23.05, 0.1), (4, 22.5, 0.1), (5, 22.4, 0.1), (6, 21.93, None),
        ],
        "True ensemble": [(m, e, 0.1) for m, e in enumerate((25.9, 22.8, 21.25, 20.4, 19.8, 19.35), start=1)],
    }  # fmt: skip


def test_seeds_have_bands(tmp_path, panels):
    asked = experiment(replicates=3)
    finish_cells(asked, tmp_path, lambda run, k: run.seed + 1 if k == 2 else 0)
    draw(tmp_path, "ensemble-size", asked)
    (((panel,), _),) = panels["ensemble_size"]
    assert panel.curves[0].spreads == pytest.approx([12.4207, 0.0], abs=1e-4)


def test_a_drawing_shows_the_experiments_that_match_with_labels_of_their_own(tmp_path, panels):
    experiments = [experiment(budget=b) for b in (4, 8)]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 2)
    draw(tmp_path, "ensemble-size", *experiments, match={"budget": 8})
    (((panel,), _),) = panels["ensemble_size"]
    assert [curve.label for curve in panel.curves] == ["Snapshot (α₀ = 0.1)"]


def test_budget(tmp_path, panels):
    experiments = [
        experiment("singlecycle", budget=4), experiment(budget=8, replicates=2), experiment(budget=4),
        experiment(budget=16), experiment(budget=4, alpha0=0.2), experiment(budget=4, dataset="cifar10"),
    ]  # fmt: skip
    for each in experiments[:3] + experiments[4:]:
        finish_cells(each, tmp_path, lambda run, k: 64 // run.budget - 2 * run.seed if k == run.snapshots else 0)
    assert draw(tmp_path, "budget", *experiments) == ["figure.svg", "figure.png"]
    (((digits, cifar10), _),) = panels["budget"]
    assert (digits.title, cifar10.title) == ("ResNet-8 on Digits", "ResNet-8 on CIFAR-10")
    found = {curve.label: (curve.budgets, curve.errors) for curve in digits.curves}
    # Budget 4: 16 of 20 wrong with one member; of the label and another class the lower number wins.
    assert found.keys() == {"SingleCycle", "Snapshot (α₀ = 0.1)", "Snapshot (α₀ = 0.2)"}
    assert found["Snapshot (α₀ = 0.1)"][0] == [4, 8]
    assert [len(curve.spreads) for curve in digits.curves] == [0, 2, 0]


def test_a_line_of_budgets_is_of_one_kind_of_training(tmp_path, panels):
    kinds = [
        {}, {"dropout": 0.2}, {"stochastic_depth": 0.5}, {"replicas": 2}, {"batch_size": 32}, {"method": "singlecycle"}
    ]  # fmt: skip
    experiments = [experiment(budget=b, replicates=1 + (b == 8), **kind) for kind in kinds for b in (4, 8)]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 1)
    draw(tmp_path, "budget", *experiments)
    (((panel,), _),) = panels["budget"]
    assert [(curve.label, curve.method, curve.budgets) for curve in panel.curves] == [
        ("Snapshot (α₀ = 0.1), batch_size 64", "snapshot", [4, 8]),
        ("Snapshot (α₀ = 0.1) with dropout 0.2", "snapshot with dropout", [4, 8]),
        ("Snapshot (α₀ = 0.1) with stochastic depth 0.5", "snapshot with stochastic depth", [4, 8]),
        ("2 × Snapshot (α₀ = 0.1)", "snapshot", [4, 8]),
        ("Snapshot (α₀ = 0.1), batch_size 32", "snapshot", [4, 8]),
        ("SingleCycle", "singlecycle", [4, 8]),
    ]


def test_the_papers_points_stand_at_their_budgets(tmp_path, panels):
    experiments = [experiment(**FULL | {"budget": b}) for b in (60, 100, 300)]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 1)
    draw(tmp_path, "budget", *experiments)
    (((panel,), _),) = panels["budget"]
    assert [(p.x, p.error, p.uncertainty) for p in panel.curves[0].paper] == [(60, 27.04, 0.1), (300, 23.34, None)]


def test_over_time_is_the_first_k(tmp_path, panels):
    experiments = [experiment("single", cycles=3), experiment(cycles=3), experiment(cycles=3, alpha0=0.2)]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: {1: 8, 2: 6, 3: 0}[k] if run.schedule == "cosine" else 5)
    draw(tmp_path, "over-time", *experiments)
    ((found, _),) = panels["over_time"]
    assert [panel.title for panel in found] == [
        "ResNet-8 on Digits, Snapshot (α₀ = 0.1)", "ResNet-8 on Digits, Snapshot (α₀ = 0.2)"
    ]  # fmt: skip
    assert {(tuple(p.members), tuple(p.ensembles), p.single) for p in found} == {
        ((40.0, 30.0, 0.0), (40.0, 30.0, 30.0), 25.0)
    }


def test_over_time_each_has_the_single_model_of_its_settings(tmp_path, panels):
    plain = [experiment("single", budget=b) for b in (8, 4)]
    others = [experiment("single", budget=4, dropout=0.2), experiment(budget=4), experiment(budget=4, dropout=0.2)]
    others += [experiment(budget=16)]
    for each in plain + others:
        finish_cells(each, tmp_path, lambda run, k: 16 if run.dropout else run.budget)
    draw(tmp_path, "over-time", *others[:1], *plain, *others[1:])
    ((found, _),) = panels["over_time"]
    assert [panel.single for panel in found] == [20.0, 20.0, None]


def test_of_several_single_models_each_is_named(tmp_path, panels):
    experiments = [experiment(method, budget=b) for b in (4, 8) for method in ("single", "snapshot")]
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: run.budget)
    draw(tmp_path, "ensemble-size", *experiments)
    (((panel,), _),) = panels["ensemble_size"]
    assert panel.single is None
    assert [(curve.label, curve.errors) for curve in panel.curves if len(curve.errors) == 1] == [
        ("Single model, budget 4", [20.0]), ("Single model, budget 8", [40.0])
    ]  # fmt: skip


def test_cost(tmp_path, panels):
    experiments = [
        experiment("single", budget=8), experiment(budget=8), experiment("ensemble", budget=8), experiment(budget=4)
    ]  # fmt: skip
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 5 if run.schedule == "step" else 2)
    draw(tmp_path, "cost", *experiments)
    ((curves, options),) = panels["cost"]
    assert options == {"title": "ResNet-8 on Digits"}
    assert [(curve.label, list(curve.costs), curve.errors, list(curve.names)) for curve in curves] == [
        ("Single model", [1.0], [25.0], []), ("Snapshot (α₀ = 0.1), budget 8", [1.0], [10.0], []),
        ("True ensemble", [1.0, 2.0], [25.0, 25.0], ["1", "2"]), ("Snapshot (α₀ = 0.1), budget 4", [0.5], [10.0], []),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["ensemble-size", "budget", "cost"])
def test_bands_are_explained(tmp_path, kind):
    asked = study(experiment("ensemble", replicates=2), render={"figure": kind})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    (picture,) = report.draw(asked, tmp_path, {}).drawn
    assert picture.notes == ["Bands: 95 % interval of the mean over seeds."]


def test_points_without_bands_need_no_explanation(tmp_path):
    asked = study(experiment(replicates=2), render={"figure": "cost"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    (picture,) = report.draw(asked, tmp_path, {}).drawn
    assert picture.notes == []


@pytest.mark.parametrize("kind", ["ensemble-size", "budget", "over-time", "cost"])
def test_nothing_finished_draws_nothing(tmp_path, kind):
    assert draw(tmp_path, kind, experiment("single"), experiment()) == []


@pytest.mark.parametrize("kind", ["ensemble-size", "budget", "over-time", "cost"])
def test_what_is_missing_is_left_out(tmp_path, kind):
    finish_cells(experiment(), tmp_path, lambda run, k: k)
    assert draw(tmp_path, kind, experiment("single"), experiment(), experiment("ensemble")) == [
        "figure.svg", "figure.png"
    ]  # fmt: skip


def test_replicas_stand_beside_true_ensembles_of_the_same_cost(tmp_path, panels):
    experiments = [experiment(replicas=3, cycles=3), experiment("ensemble", cycles=3)]
    right = {(1, 1), (1, 2), (1, 3), (0, 3)}  # seeds and snapshots; of the last run's three two are wrong on 6 of 20
    for each in experiments:
        finish_cells(each, tmp_path, lambda run, k: 0 if run.schedule == "cosine" and (run.seed, k) in right else 6)
    draw(tmp_path, "cost", *experiments)
    ((curves, _),) = panels["cost"]
    # Of the last two runs' six members two are wrong, of all nine five.
    assert [(curve.label, list(curve.costs), curve.errors, list(curve.names)) for curve in curves] == [
        ("3 × Snapshot (α₀ = 0.1)", [1.0, 2.0, 3.0], [30.0, 0.0, 30.0], ["1", "2", "3"]),
        ("True ensemble", [1.0, 2.0, 3.0], [30.0, 30.0, 30.0], ["1", "2", "3"]),
    ]
    assert draw(tmp_path, "over-time", *experiments[:1]) == []


def test_the_papers_numbers_and_their_status_stand_below(tmp_path):
    papers = {"dataset": "cifar10", "network": "densenet-40-12", "budget": 300, "cycles": 6}
    asked = study(experiment("single", **papers), experiment(**papers), render={"f": "ensemble-size", "g": "over-time"})
    finish_cells(asked, tmp_path, lambda run, k: 1)
    note = (
        "Error (%) beside the paper's:\n"
        "- DenseNet-40-12 on CIFAR-10, Single model: 5.00, the paper's 5.24 (copied from earlier work), "
        "difference −0.24\n"
        "- DenseNet-40-12 on CIFAR-10, Snapshot (α₀ = 0.1): 5.00, the paper's 4.99 (rerun by the authors), "
        "difference +0.01"
    )
    assert [each.notes[-1] for each in report.draw(asked, tmp_path, {}).drawn] == [note, note]
