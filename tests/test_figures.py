"""Each kind of figure on made-up scores: what is drawn, from the axes' data; and what all of them have in common."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from drawn_figures import cut, lines, names, texts
from fabricated_scores import metrics, scores
from matplotlib.colors import to_rgba

from snapshot_cli.analysis import paper
from snapshot_cli.analysis.outcomes import Outcome, relabel
from snapshot_cli.config import kinds, plan
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.reporting import save
from snapshot_cli.reporting.drawn import Request
from snapshot_cli.reporting.style import LOOKS, TEXT_WIDTH
from snapshot_cli.scores import Curve, Line, Reliability

EXAMPLES = 640
STATISTICS = ("reestimated", "final", "mixed")


def experiment(method="snapshot", **settings):
    values = {"dataset": "cifar10-16", "network": "resnet-8", "budget": 20, "cycles": 3}
    return Experiment(method=method, **values | settings)


def outcome(asked, *seeds, alone=(), curve=None, statistics=()):
    """Return an experiment of which some replicates are finished, given the mistakes of their ensembles of all.

    The last m of M members make M - m more mistakes of 1,000 images, the first m twice as many more. Each snapshot
    alone makes as many more as `alone` says.
    """
    found = {}
    for replicate, mistakes in enumerate(seeds):
        cell = plan.cell(asked, replicate=replicate)
        size = len(cell.members)
        more = alone or [2 * (size - k) for k in range(1, size + 1)]
        one = scores(cell, mistakes, alone=[mistakes + extra for extra in more])
        fewer = range(2, size)
        one = one.model_copy(
            update={
                "later": [*(metrics(mistakes + size - m) for m in fewer), *one.later[-1:]],
                "earlier": [metrics(mistakes + 2 * (size - m)) for m in fewer],
                "runs": {name: _trained(run, curve or [1.0], statistics) for name, run in one.runs.items()},
            }
        )
        found[replicate] = one
    return Outcome(asked, plan.label(asked), found)


def _trained(run, losses, statistics):
    epochs = range(1, len(losses) + 1)
    curve = Curve(step=[10 * k for k in epochs], train_loss=losses, train_error=losses, seconds=losses)
    drawn = [
        Line(snapshot=k, statistics=name, lambdas=[0, 0.5, 1], errors=[30 + k, 35 + place, 30])
        for place, name in enumerate(statistics)
        for k in range(1, run.config.snapshots)
    ]
    return run.model_copy(update={"curve": curve, "lines": drawn, "train_examples": EXAMPLES})


def draw(kind, *outcomes):
    return import_module(kinds.modules()[kind]).draw(relabel(list(outcomes)), Request("stem", "Title"))


def axes_of(kind, *outcomes):
    (picture,) = draw(kind, *outcomes)
    return picture.figure.axes


@pytest.fixture
def study():
    """A study that every kind can draw: two budgets, all methods, two networks, one of which is not finished yet."""
    return [
        outcome(experiment("single", replicates=3), 300, 310, 320, curve=[2.0, 1.0]),
        outcome(experiment("dropout", replicates=3), 330, 330, 330),
        outcome(experiment("nocycle", replicates=3), 290, 295, 300, curve=[2.0, 0.5], statistics=STATISTICS),
        outcome(experiment("singlecycle", replicates=3), 299, 299),
        outcome(experiment(replicates=3), 280, 290, 300, curve=[2.0, 0.4], statistics=STATISTICS),
        outcome(experiment(alpha0=0.2, replicates=3), 270, 275, curve=[3.0, 0.4]),
        outcome(experiment("ensemble"), 250),
        outcome(experiment(budget=40, replicates=3), 260),
        outcome(experiment("single", network="densenet-13-12"), 320),
        outcome(experiment(alpha0=0.2, network="densenet-13-12"), 310),
        outcome(experiment(alpha0=0.1, network="densenet-13-12")),
    ]


@pytest.mark.parametrize("kind", kinds.figures())
def test_of_nothing_finished_nothing_is_drawn(kind):
    assert draw(kind) == []
    assert draw(kind, outcome(experiment()), outcome(experiment("single"))) == []


@pytest.mark.parametrize("kind", kinds.figures())
def test_every_kind_names_what_it_shows_and_cuts_nothing(study, kind):
    drawn = draw(kind, *study)
    assert drawn
    for picture in drawn:
        written = " ".join(" ".join([*texts(picture.figure), *names(axes)]) for axes in picture.figure.axes)
        assert "CIFAR-10, 16×16" in written
        assert "ResNet-8" in written or "DenseNet-13-12" in written
        assert "seed" in written
        assert ("test images" in written) == (kind not in ("loss", "schedule"))
        assert cut(picture.figure) == []
        assert picture.figure.get_figwidth() <= TEXT_WIDTH
        assert 0 < picture.cells <= sum(len(each.scores) for each in study)
        assert picture.caption
        assert picture.alt_text
    both = [[save.inline_svg(picture.svg, "p") for picture in draw(kind, *study)] for _ in range(2)]
    assert both[0] == both[1]


@pytest.mark.parametrize("kind", ["ensemble-size", "over-time", "story", "cost", "budget"])
def test_other_images_are_told(study, kind):
    withheld = [replace(each, split="holdout") for each in study]
    (picture,) = draw(kind, *withheld)
    assert any("withheld training images" in text for text in texts(picture.figure))


def test_the_single_model_has_one_error_in_all_figures(study):
    pair = [each for each in study if each.experiment.network == "resnet-8" and each.experiment.budget == 20]
    (size,) = axes_of("ensemble-size", *pair)
    assert lines(size)["Single model, 3 seeds"][1] == [31.0, 31.0]
    (cost,) = axes_of("cost", *pair)
    assert lines(cost)["Single model, 3 seeds"][1] == [31.0]
    assert lines(axes_of("story", *pair)[1])["Single model"][1] == [31.0, 31.0]
    assert lines(axes_of("over-time", *pair)[0])["Single model"][1] == [31.0, 31.0]


def test_ensemble_size():
    snapshot = outcome(experiment(replicates=2), 280, 290)
    (axes,) = axes_of("ensemble-size", outcome(experiment("single", replicates=2), 300, 310), snapshot)
    drawn = lines(axes)
    assert drawn["Snapshot (α₀ = 0.1)"] == [[1, 2, 3], [28.5, 28.6, 28.5]]
    assert drawn["_Snapshot (α₀ = 0.1): seeds"][1] == [28.0, 29.0, 28.1, 29.1, 28.0, 29.0]
    assert drawn["Single model"][1] == [30.5, 30.5]
    assert names(axes) == ["Single model", "Snapshot (α₀ = 0.1)"]


def test_names_have_their_seeds_where_these_differ():
    one = outcome(experiment("single", replicates=3), 300, 310, 320)
    (axes,) = axes_of("ensemble-size", one, outcome(experiment(replicates=3), 280))
    assert names(axes) == ["Single model, 3 seeds", "Snapshot (α₀ = 0.1), 1 of 3 seeds"]


def test_several_networks_are_small_multiples_with_one_range(study):
    (picture,) = draw("ensemble-size", *study)
    one, two = picture.figure.axes
    assert one.get_ylim() == two.get_ylim()
    assert (one.get_ylabel(), two.get_ylabel()) == ("Error (%)", "")
    assert {"ResNet-8", "DenseNet-13-12", "True ensemble"} <= set(texts(picture.figure))
    other = [outcome(replace_dataset(each.experiment), 100) for each in study[-3:-1]]
    (picture,) = draw("ensemble-size", *study, *other)
    assert picture.figure.axes[2].get_ylim() != one.get_ylim()


def replace_dataset(asked):
    return asked.model_copy(update={"dataset": "svhn"})


def test_the_papers_numbers_stand_beside_ours():
    asked = experiment(dataset="cifar100", network="densenet-40-12", alpha0=0.2, budget=300, cycles=6)
    (picture,) = draw("ensemble-size", outcome(asked, 220))
    (axes,) = picture.figure.axes
    (theirs,) = (container for container in axes.containers if container.get_label() == "_paper")
    assert theirs[0].get_ydata().tolist() == [*paper.FIGURE4_SNAPSHOT[:5], 21.93]
    assert "the paper's" in texts(picture.figure)
    assert any("22.00, the paper's 21.93 (rerun by the authors), difference +0.07" in note for note in picture.notes)


def test_budget():
    three = [outcome(experiment(budget=budget, replicates=2), *seeds) for budget, *seeds in ((20, 300), (10, 400, 410))]
    (axes,) = axes_of("budget", *three, outcome(experiment("singlecycle", budget=20), 350))
    drawn = lines(axes)
    assert drawn["Snapshot (α₀ = 0.1)"] == [[10, 20], [40.5, 30.0]]
    assert drawn["_Snapshot (α₀ = 0.1): seeds"][1] == [40.0, 41.0]
    assert drawn["SingleCycle"] == [[20], [35.0]]
    assert axes.get_xticks().tolist() == [10, 20]


def test_one_budget_or_one_method_is_nothing_to_compare():
    assert draw("budget", outcome(experiment(), 300), outcome(experiment("single"), 310)) == []
    assert draw("cost", outcome(experiment(), 300)) == []
    assert len(draw("cost", outcome(experiment("ensemble"), 300))) == 1


def test_cost_is_in_full_budgets_at_every_number_of_runs():
    snapshots = outcome(experiment(independent_runs=2), 280)
    (axes,) = axes_of("cost", outcome(experiment("ensemble"), 250), snapshots, outcome(experiment(budget=10), 300))
    drawn = lines(axes)
    assert drawn["True ensemble"] == [[1, 2, 3], pytest.approx([25.0, 25.1, 25.0])]
    assert drawn["2 × Snapshot (α₀ = 0.1)"] == [[1, 2], pytest.approx([28.3, 28.0])]
    assert drawn["Snapshot (α₀ = 0.1)"] == [[0.5], [30.0]]


def test_methods_of_the_same_cost_stand_side_by_side():
    (axes,) = axes_of("cost", *(outcome(experiment(method), 300) for method in ("single", "dropout", "snapshot")))
    places = [x for (x,), _ in lines(axes).values()]
    assert len(set(places)) == 3
    assert np.mean(places) == pytest.approx(1)


def test_over_time():
    two = outcome(experiment(replicates=2), 280, 290, alone=[20, 10, 15])
    (axes,) = axes_of("over-time", two, outcome(experiment("ensemble"), 200), outcome(experiment("single"), 300))
    drawn = lines(axes)
    assert drawn["Snapshot k alone"] == [[1, 2, 3], pytest.approx([30.5, 29.5, 30.0])]
    assert drawn["Ensemble of the first k"] == [[1, 2, 3], pytest.approx([30.5, 28.7, 28.5])]
    assert drawn["Single model"][1] == [30.0, 30.0]


def test_loss():
    curves = [[2.0, 1.0, 0.5], [4.0, 2.0, 1.5]]
    one = outcome(experiment(replicates=2, budget=3), 280, 290)
    of_seeds = {
        r: found.model_copy(update={"runs": {name: _trained(run, curves[r], ()) for name, run in found.runs.items()}})
        for r, found in one.scores.items()
    }
    above, below = axes_of("loss", replace(one, scores=of_seeds))
    drawn = lines(above)
    assert drawn["Snapshot (α₀ = 0.1)"] == [[1, 2, 3], [3.0, 1.5, 1.0]]
    assert above.get_yscale() == "log"
    assert below.get_xticks().tolist() == [0, 1, 2, 3]
    assert lines(below)["_Snapshot (α₀ = 0.1): snapshots"][0] == [1, 2, 3]


def test_ticks_stand_at_the_ends_of_cycles_and_of_many_at_some():
    (axes,) = axes_of("schedule", outcome(experiment(cycles=4), 300))
    assert axes.get_xticks().tolist() == [0, 5, 10, 15, 20]
    (axes,) = axes_of("schedule", outcome(experiment(cycles=20), 300))
    assert axes.get_xticks().tolist() == [0, *range(2, 21, 2)]


def test_methods_that_share_their_run_have_one_curve():
    (axes,) = axes_of("schedule", outcome(experiment("single"), 300), outcome(experiment("nocycle"), 300))
    assert [name for name in lines(axes) if not name.startswith("_")] == ["Single model"]


@pytest.mark.parametrize("stored", [("reestimated",), ("reestimated", "final"), STATISTICS])
def test_interpolation_has_a_panel_for_every_kind_of_statistics_that_is_stored(stored):
    (picture,) = draw("interpolation", outcome(experiment(), 280, statistics=stored), outcome(experiment("nocycle"), 1))
    assert len(picture.figure.axes) == len(stored)
    highest = [lines(axes)["Snapshot 2"][1][1] for axes in picture.figure.axes]
    order = [name for name in ("reestimated", "mixed", "final") if name in stored]
    assert highest == [35 + stored.index(name) for name in order]
    assert lines(picture.figure.axes[0])["Snapshot 1"] == [[0, 0.5, 1], [31, 35, 30]]
    assert "1 seed, test images" in texts(picture.figure)


def test_correlation_is_the_mean_over_seeds():
    one = outcome(experiment(replicates=2), 280, 290)
    values = [[[1, a, a], [a, 1, a], [a, a, 1]] for a in (0.5, 0.7)]
    found = {r: each.model_copy(update={"correlation": values[r]}) for r, each in one.scores.items()}
    axes, bar = axes_of("correlation", replace(one, scores=found))
    (cells,) = axes.collections
    assert cells.get_array().reshape(3, 3)[0].tolist() == pytest.approx([1, 0.6, 0.6])
    assert names(axes)[:3] == ["1.00", "0.60", "0.60"]
    assert bar.get_ylabel() == "Correlation"


def test_calibration_pools_seeds_and_draws_bins_of_few_images_faint():
    one = outcome(experiment("single", replicates=2), 280, 290)
    tables = [
        Reliability(count=[9, 0, 91], confidence=[0.2, float("nan"), 0.9], accuracy=[0.1, float("nan"), 0.8]),
        Reliability(count=[9, 10, 81], confidence=[0.3, 0.5, 0.9], accuracy=[0.3, 0.5, 0.7]),
    ]
    found = {
        r: each.model_copy(update={"alone": [each.alone[0].model_copy(update={"reliability": tables[r]})]})
        for r, each in one.scores.items()
    }
    (picture,) = draw("calibration", replace(one, scores=found))
    above, below = picture.figure.axes
    bars = {each.get_label(): each for each in above.collections}
    tops = [path.vertices[:, 1].max() for path in bars["accuracy"].get_paths()]
    assert tops == pytest.approx([(91 * 0.8 + 81 * 0.7) / 172])
    assert [path.vertices[:, 1].max() for path in bars["accuracy of few images"].get_paths()] == pytest.approx(
        [0.2, 0.5]
    )
    assert bars["accuracy of few images"].get_facecolor()[0, 3] < bars["accuracy"].get_facecolor()[0, 3]
    assert [path.vertices[:, 1].max() for path in below.collections[0].get_paths()] == pytest.approx([9, 5, 86])
    mean = (9 * 0.1 + 91 * 0.1 + 81 * 0.2) / 2
    assert f"ECE {mean:.2f} %, 2 seeds, test images" in texts(picture.figure)
    assert {"accuracy", "gap to the mean confidence", "accuracy = confidence"} <= set(texts(picture.figure))


def test_story():
    two = outcome(experiment(alpha0=0.2, replicates=2), 280, 290, alone=[40, 30, 20])
    above, below = axes_of("story", outcome(experiment(), 260), two, outcome(experiment("single"), 310))
    assert max(lines(above)["Snapshot (α₀ = 0.2)"][1]) == 0.2
    epochs = [6.7, 13.4, 20]
    drawn = lines(below)
    assert drawn["Snapshot alone"] == [epochs, pytest.approx([32.5, 31.5, 30.5])]
    assert drawn["Ensemble so far"][1] == pytest.approx([32.5, 28.7, 28.5])
    assert len(drawn["_Ensemble so far: seeds"][1]) == 6
    assert drawn["Single model"][1] == [31.0, 31.0]
    assert below.get_xticks().tolist() == pytest.approx([0, *drawn["Snapshot alone"][0]])
    line = next(line for line in below.get_lines() if line.get_label() == "Ensemble so far")
    assert to_rgba(line.get_color()) == to_rgba(LOOKS["snapshot 0.2"].colour)


def test_a_story_of_the_only_learning_rate_for_every_network(study):
    (picture,) = draw("story", outcome(experiment(), 260), study[-2])
    assert len(picture.figure.axes) == 4
    assert {"ResNet-8, Snapshot (α₀ = 0.1)", "DenseNet-13-12, Snapshot (α₀ = 0.2)"} <= {
        text.replace("\xa0", " ").replace("\n", " ") for text in texts(picture.figure)
    }
