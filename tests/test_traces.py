import numpy as np
import pytest
from fabricated_runs import experiment, finish, finish_cells, study, wrong

from snapshot_cli.config import plan
from snapshot_cli.errors import UserError
from snapshot_cli.reporting import figures, report

LABELS = np.arange(20) % 10
ROWS = [{"epoch": e, "iteration": 10 * e, "rate": 0.1, "train_loss": 2.0 / e, "train_error": 9.0} for e in range(1, 5)]


@pytest.fixture
def calls(monkeypatch):
    """Record what each figure is drawn from, by the name of its function."""
    found = {}

    def recording(name, original):
        def record(*data, **options):
            found.setdefault(name, []).append((*data, options))
            return original(*data, **options)

        return record

    for name in ("training_loss", "schedule", "interpolation", "correlation", "calibration"):
        monkeypatch.setattr(figures, name, recording(name, getattr(figures, name)))
    return found


def trained(results, asked, mistakes=(1, 2), rows=ROWS):
    """Finish the only run of an experiment: 640 images, 10 iterations an epoch, 4 epochs, M = 2."""
    (run,) = plan.runs(asked)
    logits = [wrong(LABELS, each) for each in mistakes]
    return finish(run, results, logits, LABELS, rows=rows, train_examples=640)


def draw(results, kind, *experiments):
    return report.draw(study(*experiments, render={"figure": kind}), results, {}).drawn


def test_loss_with_the_rate_below(tmp_path, calls):
    trained(tmp_path, experiment())
    trained(tmp_path, experiment("single"))
    draw(tmp_path, "loss", experiment("single"), experiment(), experiment("ensemble"))
    ((losses, rates, options),) = calls["training_loss"]
    assert [curve.label for curve in losses] == ["Single model", "Snapshot (α₀ = 0.1)"]
    assert (losses[0].epochs, losses[0].losses) == ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 2 / 3, 0.5])
    assert options == {"restarts": [2.0, 4.0], "title": "ResNet-8 on Digits"}
    step, cosine = (dict(zip(curve.epochs, curve.rates, strict=True)) for curve in rates)
    # The step falls after half and three quarters of 40 iterations; the cosine restarts after 20.
    assert [step[e] for e in (0.1, 2.0, 2.1, 3.0, 3.1, 4.0)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert [cosine[e] for e in (0.1, 1.1, 2.1)] == pytest.approx([0.1, 0.05, 0.1])
    # A snapshot is taken at the low rate that ends its cycle, not at the restart.
    assert cosine[rates[1].snapshots[0]] == pytest.approx(0.05 * (1 + np.cos(np.pi * 19 / 20)))
    assert rates[1].snapshots == [2.0, 4.0]


@pytest.mark.parametrize(
    ("rows", "examples", "words"),
    [
        ([{"a": 1.0}], 640, "{0}/metrics.csv: has no iterations or losses; delete {0} and train it again"),
        ([{"iteration": 1}], None, "{0}: does not say how many images it was trained on; delete it and train it again"),
    ],
)
def test_runs_that_do_not_say_what_is_drawn(tmp_path, rows, examples, words):
    (run,) = plan.runs(experiment())
    directory = finish(run, tmp_path, [wrong(LABELS, 1)] * 2, LABELS, rows=rows, train_examples=examples)
    with pytest.raises(UserError) as caught:
        draw(tmp_path, "loss", experiment())
    assert str(caught.value) == words.format(directory.path)


def test_schedule(tmp_path, calls):
    trained(tmp_path, experiment())
    draw(tmp_path, "schedule", experiment(), experiment("single"))
    (((curve,), options),) = calls["schedule"]
    assert (curve.label, curve.snapshots, options) == (
        "Snapshot (α₀ = 0.1)", [2.0, 4.0], {"title": "ResNet-8 on Digits"}
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "shift"), [("interpolation", 0.0), ("interpolation-final", 50.0)])
def test_interpolation(tmp_path, calls, kind, shift):
    directory = trained(tmp_path, experiment())
    directory.write_interpolation(
        {"snapshot": k, "lambda": weight, "statistics": statistics, "test_error": error}
        for k in (1, 2)
        for weight, e in ((0.0, 30.0), (0.5, 40.0), (1.0, 20.0))
        for statistics, error in (("final", e + k + 50), ("reestimated", e + k))
    )
    trained(tmp_path, experiment("nocycle"))  # nothing is stored for it
    (drawn,) = draw(tmp_path, kind, experiment(), experiment("nocycle"))
    (((panel,), _),) = calls["interpolation"]
    assert (panel.title, panel.lambdas) == ("ResNet-8 on Digits, Snapshot (α₀ = 0.1)", [0.0, 0.5, 1.0])
    assert panel.errors == [[31.0 + shift, 41.0 + shift, 21.0 + shift], [32.0 + shift, 42.0 + shift, 22.0 + shift]]
    assert drawn.notes[0].startswith("Weights are λ × last snapshot + (1 − λ) × earlier snapshot. Batch-norm")
    assert ("the running ones" if shift else "estimated anew") in drawn.notes[0]


def test_correlation(tmp_path, calls):
    trained(tmp_path, experiment(), mistakes=(0, 10))
    trained(tmp_path, experiment("single"))
    (drawn,) = draw(tmp_path, "correlation", experiment("single"), experiment())
    (((panel,), _),) = calls["correlation"]
    # Half of the 20 rows agree. A row is 1/2 and nine of 1/18: their mean is 1/10, their squared deviation 8/45. Where
    # the choices differ the product of deviations is 2 (2/5) (-2/45) + 8 (2/45)^2 = -8/405, -1/9 of it.
    assert panel.values == pytest.approx(np.array([[1, 4 / 9], [4 / 9, 1]]))
    assert panel.title == "ResNet-8 on Digits, Snapshot (α₀ = 0.1)"
    assert drawn.notes == [
        "Pearson correlation over all softmax entries, examples and classes together; the paper states none."
    ]


def test_calibration(tmp_path, calls):
    trained(tmp_path, experiment(), mistakes=(5, 5))
    finish_cells(experiment(dataset="cifar10"), tmp_path, lambda run, k: 0)
    drawn = draw(tmp_path, "calibration", experiment(), experiment("single"), experiment(dataset="cifar10"))
    assert [each.request.stem for each in drawn] == ["figure-resnet-8-digits", "figure-resnet-8-cifar10"]
    ((panel,), _) = calls["calibration"][0]
    assert (panel.title, panel.method, panel.alpha0) == ("Snapshot (α₀ = 0.1)", "snapshot", 0.1)
    assert panel.reliability.count[7] == 20  # a confidence of 1/2 is in the eighth of 15 bins
    assert (panel.reliability.accuracy[7], panel.reliability.confidence[7]) == pytest.approx((0.75, 0.5))


@pytest.mark.parametrize(
    "kind", ["loss", "schedule", "interpolation", "interpolation-final", "correlation", "calibration"]
)
def test_nothing_finished_draws_nothing(tmp_path, kind):
    assert draw(tmp_path, kind, experiment("single"), experiment()) == []


def test_a_run_without_rows_or_lines_draws_neither(tmp_path):
    trained(tmp_path, experiment(), rows=())
    assert draw(tmp_path, "interpolation", experiment()) == []


def test_the_papers_losses_stand_beside_ours(tmp_path, calls):
    asked = experiment(dataset="cifar10", network="densenet-100-24", budget=300, cycles=6)
    trained(tmp_path, asked, mistakes=[1] * 6)
    (drawn,) = draw(tmp_path, "loss", asked)
    (((curve,), _, _),) = calls["training_loss"]
    assert [(point.x, point.error, round(point.uncertainty, 5)) for point in curve.paper[:2]] == [
        (50, 2.8e-3, 0.00042), (51, 0.33, 0.0495)
    ]  # fmt: skip
    assert drawn.notes[0] == "The paper's losses were read off its Figure 2, give or take 15 %."


def test_what_shares_a_run_is_drawn_once(tmp_path, calls):
    for asked in (experiment("single"), experiment()):
        trained(tmp_path, asked)
    draw(tmp_path, "schedule", experiment("single"), experiment(), experiment("nocycle"))
    ((curves, _),) = calls["schedule"]
    assert [curve.label for curve in curves] == ["Single model", "Snapshot (α₀ = 0.1)"]
