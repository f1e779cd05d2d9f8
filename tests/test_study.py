import pytest
from pydantic import ValidationError

from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.study import Drawing, Setting, StudyFile, Where, combinations, idle_rules, spell_out, values


def study(**parts):
    return StudyFile(**{"title": "t", "methods": ["single"]} | parts)


def spelled(file, **overrides):
    return [values(cell) for cell in spell_out(file, {key: Setting(value, None) for key, value in overrides.items()})]


def test_every_combination_of_axes_and_methods_with_the_methods_innermost():
    file = study(
        base={"budget": 4},
        axes={"network": ["resnet-8", "resnet-14"], "seed": [0, 1]},
        methods=["single", {"method": "snapshot", "alpha0": 0.2}],
    )
    assert combinations(file) == 8
    assert [(c["network"], c["seed"], c["method"], c.get("alpha0"), c["budget"]) for c in spelled(file)] == [
        ("resnet-8", 0, "single", None, 4),
        ("resnet-8", 0, "snapshot", 0.2, 4),
        ("resnet-8", 1, "single", None, 4),
        ("resnet-8", 1, "snapshot", 0.2, 4),
        ("resnet-14", 0, "single", None, 4),
        ("resnet-14", 0, "snapshot", 0.2, 4),
        ("resnet-14", 1, "single", None, 4),
        ("resnet-14", 1, "snapshot", 0.2, 4),
    ]


RULE = {"match": {"method": "single"}, "set": {"seed": 3}}


@pytest.mark.parametrize(
    ("parts", "overrides", "seed"),
    [
        ({"base": {"seed": 1}}, {}, 1),
        ({"base": {"seed": 1}, "axes": {"seed": [2]}}, {}, 2),
        ({"base": {"seed": 1}, "axes": {"seed": [2]}, "where": [RULE]}, {}, 3),
        ({"axes": {"seed": [2]}, "where": [RULE, RULE | {"set": {"seed": 33}}]}, {}, 33),
        ({"axes": {"seed": [2]}, "where": [RULE], "methods": [{"method": "single", "seed": 4}]}, {}, 4),
        ({"axes": {"seed": [2]}, "where": [RULE], "methods": [{"method": "single", "seed": 4}]}, {"seed": 5}, 5),
    ],
)
def test_layers(parts, overrides, seed):
    assert [cell["seed"] for cell in spelled(study(**parts), **overrides)] == [seed]


def test_places_follow_the_layer_that_won():
    file = study(
        base={"budget": 1, "seed": 1},
        axes={"network": ["a", "b"], "cycles": [2]},
        methods=[{"method": "single", "alpha0": 0.3}, "ensemble"],
        where=[{"match": {"network": "b"}, "set": {"seed": 2}}],
    )
    cells = list(spell_out(file, {"flip": Setting(True, None)}))
    assert {key: setting.place for key, setting in cells[2].items()} == {
        "budget": ("base", "budget"),
        "seed": ("where", 0, "set", "seed"),
        "network": ("axes", "network", 1),
        "cycles": ("axes", "cycles", 0),
        "method": ("methods", 0, "method"),
        "alpha0": ("methods", 0, "alpha0"),
        "flip": None,
    }
    assert cells[0]["seed"].place == ("base", "seed")
    assert cells[1]["method"].place == ("methods", 1)


def test_skip_leaves_experiments_out():
    file = study(
        axes={"network": ["a", "b"]},
        methods=["single", "dropout"],
        where=[{"match": {"network": "a", "method": "dropout"}, "skip": True}],
    )
    assert [(cell["network"], cell["method"]) for cell in spelled(file)] == [
        ("a", "single"),
        ("b", "single"),
        ("b", "dropout"),
    ]


@pytest.mark.parametrize(
    ("match", "settings", "fits"),
    [
        ({"network": "a"}, {"network": "a"}, True),
        ({"network": "a"}, {"network": "b"}, False),
        ({"network": "a"}, {}, False),
        ({"network": ["a", "b"]}, {"network": "b"}, True),
        ({"network": ["a", "b"]}, {"network": "c"}, False),
        ({"network": "a", "seed": 1}, {"network": "a", "seed": 1}, True),
        ({"network": "a", "seed": 1}, {"network": "a", "seed": 2}, False),
        ({"drops": [[0.5], [0.3, 0.6]]}, {"drops": [0.3, 0.6]}, True),
        ({"drops": [0.3, 0.6]}, {"drops": [0.3, 0.6]}, False),
        ({"alpha0": 0.2}, {"alpha0": 0.2}, True),
    ],
)
def test_match(match, settings, fits):
    assert Where(match=match, skip=True).matches(settings) is fits


def test_rules_that_match_nothing():
    file = study(
        axes={"network": ["a", "b"]},
        where=[
            {"match": {"network": "b"}, "skip": True},
            {"match": {"network": "c"}, "skip": True},
            {"match": {"network": ["c", "a"]}, "skip": True},
            {"match": {"method": "ensemble"}, "skip": True},
        ],
    )
    assert idle_rules(file) == [1, 3]


@pytest.mark.parametrize("stem", ["", "../table", "a/b", ".hidden", "-x", "a b", "x" * 101, "a\n"])
def test_what_is_drawn_stays_in_the_folder_of_results(stem):
    with pytest.raises(ValidationError, match="expected file names of letters"):
        study(render={stem: "methods"})


@pytest.mark.parametrize("stem", ["table1", "table1-ensemble-size", "figure_4.left", "x" * 100])
def test_names_of_what_is_drawn(stem):
    assert study(render={stem: "methods"}).render == {stem: Drawing(kind="methods")}


def test_a_drawing_shows_the_experiments_that_match_defaults_included():
    single, snapshot = (
        Experiment(dataset="digits", network="resnet-8", budget=4, cycles=2, method=method, alpha0=alpha0)
        for method, alpha0 in [("single", 0.1), ("snapshot", 0.2)]
    )
    for match, shown in [
        (None, [True, True]),
        ({"method": "single"}, [True, False]),
        ({"alpha0": [0.2, 0.3]}, [False, True]),
        ({"drops": [[0.5, 0.75]], "seed": 0}, [True, True]),
        ({"drops": [[0.5]]}, [False, False]),
    ]:
        assert [Drawing(kind="methods", match=match).shows(each) for each in (single, snapshot)] == shown


def test_a_drawing_is_a_kind_or_a_kind_and_what_to_match():
    methods = ["single", {"method": "snapshot", "alpha0": 0.2}]
    file = StudyFile(title="T", methods=methods, render={"a": "cost", "b": {"kind": "cost", "match": {"alpha0": 0.1}}})
    assert (file.render["a"].kind, file.render["a"].match, file.split) == ("cost", None, "test")
    base = {"dataset": "digits", "network": "resnet-8", "budget": 4, "cycles": 2}
    single, snapshot = (Experiment(**base, method=m, alpha0=a) for m, a in (("single", 0.1), ("snapshot", 0.2)))
    assert [file.render["a"].shows(each) for each in (single, snapshot)] == [True, True]
    assert [file.render["b"].shows(each) for each in (single, snapshot)] == [True, False]  # 0.1 is a default


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ({"alpha": 1}, "expected fields of an experiment, given alpha"),
        ({}, "expected fields of an experiment, given none"),
    ],
)
def test_a_drawing_matches_fields_of_an_experiment(match, message):
    with pytest.raises(ValueError, match=message):
        StudyFile(title="T", methods=["single"], render={"a": {"kind": "cost", "match": match}})
