import json

import pytest
from jsonschema import Draft202012Validator

from snapshot_cli.config import schema, yaml_file
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.shipped import CHECKOUT
from snapshot_cli.config.study import Drawing, StudyFile, Where

CONFIGS = CHECKOUT / "configs"
SCHEMAS = {"experiment.json": schema.experiment(), "study.json": schema.study()}
EXPERIMENT = {"dataset": "digits", "network": "resnet-8", "method": "snapshot", "budget": 4, "cycles": 2}
UNKNOWN = "Additional properties are not allowed ('{}' was unexpected)"
STUDY = {"title": "A study", "methods": ["single"]}


def mistakes(name, value):
    return [error.message for error in Draft202012Validator(SCHEMAS[name]).iter_errors(value)]


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.yaml")), ids=str)
def test_every_shipped_config_fits_the_schema_that_its_first_line_names(file):
    text = file.read_text()
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    path = (file.parent / named).resolve()
    assert path == CONFIGS / "schema" / ("study.json" if "studies" in file.parts else "experiment.json"), "make docs"
    value = yaml_file.parse(text, str(file)).value
    assert list(Draft202012Validator(json.loads(path.read_text())).iter_errors(value)) == []


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("model", [Experiment, StudyFile, Where, Drawing])
def test_every_field_has_a_sentence(model):
    for name, field in model.model_json_schema()["properties"].items():
        assert field["description"].endswith("."), name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("experiment.json", EXPERIMENT | {"cycle": 2}, UNKNOWN.format("cycle")),
        ("experiment.json", EXPERIMENT | {"budget": 0}, "0 is less than the minimum of 1"),
        ("experiment.json", EXPERIMENT | {"alpha0": "0.1"}, "'0.1' is not of type 'number'"),
        ("experiment.json", {k: v for k, v in EXPERIMENT.items() if k != "budget"}, "'budget' is a required property"),
        ("study.json", STUDY | {"base": {"bugdet": 3}}, UNKNOWN.format("bugdet")),
        ("study.json", STUDY | {"axes": {"cycles": [0]}}, "0 is less than the minimum of 1"),
        ("study.json", STUDY | {"axes": {"cycles": 2}}, "2 is not of type 'array'"),
        ("study.json", STUDY | {"methods": []}, "[] should be non-empty"),
        ("study.json", STUDY | {"where": [{"match": {}}]}, "{} should be non-empty"),
        ("study.json", STUDY | {"where": [{"match": {"cycles": 2}, "set": {"seed": -1}}]},
         "-1 is less than the minimum of 0"),
    ],
)  # fmt: skip
def test_an_editor_marks_what_the_program_would_refuse(name, value, message):
    assert mistakes(name, value) == [message]


@pytest.mark.parametrize(
    "more",
    [
        {"render": {"table": "methods", "figure": {"kind": "cost", "match": {"cycles": [2, 3]}}}},
        {"methods": ["single", {"method": "snapshot", "alpha0": 0.2}]},
        {"where": [{"match": {"network": ["resnet-8", "resnet-14"], "cycles": 2}, "skip": True}]},
        {"split": "holdout", "base": {"holdout": 20}},
    ],
)
def test_an_editor_marks_nothing_that_is_right(more):
    assert mistakes("study.json", STUDY | more) == []
