import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snapshot_cli.config import kinds
from snapshot_cli.config.expected import EXPECTED, SYNONYMS
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.load import load
from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.errors import ConfigError

KNOWN = {"digits": 1437, "cifar10": 50_000, "photos": 100}
GOOD = "dataset: digits\nnetwork: resnet-8\nbudget: 4\ncycles: 2\nmethod: snapshot\n"
FIELDS = ", ".join(Experiment.model_fields)
METHODS = "'single', 'dropout', 'nocycle', 'singlecycle', 'snapshot' or 'ensemble'"
NO_DATASET = (
    "dataset: missing; digits, cifar10, cifar100, svhn, tiny-imagenet, imagenet, a smaller version (cifar10-16 is "
    "averaged to 16x16 pixels), or your own"
)
NO_METHOD = (
    "method: missing; which runs are trained and which snapshots are averaged: single, dropout, nocycle, singlecycle, "
    "snapshot or ensemble"
)
NO_MATCH = (
    "where.0.match: missing; settings that choose experiments, written as in the study: a value, or a list of allowed "
    "values"
)
NO_TITLE = "title: missing; what the study shows, in one sentence"
NAME = "expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.'"
EMPTY = "1:1: the file is empty; expected an experiment (dataset, network, method, ...) or a study"
OWN = "For images of your own: snapshot data prepare"
STUDY = """title: Two networks
base: {budget: 4, cycles: 2, dataset: digits}
axes:
  network: [resnet-8, resnet-14]
methods:
  - single
  - {method: snapshot, alpha0: 0.2}
where:
  - match: {network: resnet-14}
    set: {budget: 6}
render:
  table: methods
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def loaded(text, *sets, known=KNOWN):
    path = Path("a.yaml")
    path.write_text(text, encoding="utf-8")
    return load(path, sets, training_examples=known)


def refused(text, *sets):
    """Return the lines of the message, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, *sets)
    assert caught.value.exit_code == 2
    return [line.removeprefix("a.yaml:") for line in str(caught.value).split("\n")]


def changed(old, new, text=GOOD):
    assert text.count(old) == 1
    return text.replace(old, new)


def test_an_experiment():
    assert loaded(GOOD) == Experiment(dataset="digits", network="resnet-8", budget=4, cycles=2, method="snapshot")
    assert loaded("\ufeff" + GOOD) == loaded(GOOD)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("alpha0: 1e-1", "alpha0", 0.1),
        ("alpha0: 1", "alpha0", 1.0),
        ("seed: 010", "seed", 10),
        ("drops: [.25, 0.5]", "drops", (0.25, 0.5)),
        ("drops: []", "drops", ()),
        ("flip: False", "flip", False),
        ("padding:", "padding", None),
        ("train_size: 1437", "train_size", 1437),
        ("holdout: 1436", "holdout", 1436),
        ("precision: bfloat16", "precision", "bfloat16"),
    ],
)
def test_values(line, field, value):
    assert getattr(loaded(f"{GOOD}{line}\n"), field) == value


@pytest.mark.parametrize("name", ["photos", "cifar10"])
def test_a_dataset_that_is_known(name):
    assert loaded(changed("digits", name)).dataset == name


def test_without_known_datasets_any_name_and_any_number_of_cycles_go():
    asked = loaded(changed("digits", "anything").replace("cycles: 2", "cycles: 4000"), known=None)
    assert (asked.dataset, asked.cycles) == ("anything", 4000)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("budget: 4", "budget: four", "3:1: budget: expected a whole number, given 'four'"),
        ("budget: 4", "budget: 1.5", "3:1: budget: expected a whole number, given 1.5"),
        ("budget: 4", "budget: 4.0", "3:1: budget: expected a whole number, given 4.0"),
        ("budget: 4", "budget: true", "3:1: budget: expected a whole number, given true"),
        ("budget: 4", "budget: '4'", "3:1: budget: expected a whole number, given '4'"),
        ("budget: 4", "budget: 1e-1", "3:1: budget: expected a whole number, given 0.1"),
        ("budget: 4", "budget:", "3:1: budget: expected a whole number, given nothing"),
        ("budget: 4", "budget: {epochs: 4}", "3:1: budget: expected a whole number, given a mapping"),
        ("budget: 4", "budget: [4]", "3:1: budget: expected a whole number, given a list"),
        ("budget: 4", "budget: -4", "3:1: budget: expected a whole number of at least 1, given -4"),
        ("budget: 4", "budget: 0", "3:1: budget: expected a whole number of at least 1, given 0"),
        (
            "budget: 4",
            f"budget: {'x' * 3000}",
            f"3:1: budget: expected a whole number, given '{'x' * 59} ... (3002 characters)",
        ),
        ("budget: 4", 'budget: "a\\nb"', "3:1: budget: expected a whole number, given 'a\\nb'"),
        ("budget: 4", f"budget: {'9' * 5000}", "3:9: a whole number with more than 18 digits"),
        (
            "cycles: 2",
            "cycles: 60",
            "4:1: cycles: 60 cycles do not fit into 92 steps; the nearest number that works is 46",
        ),
        (
            "cycles: 2",
            "cycles: 93",
            "4:1: cycles: 93 cycles do not fit into 92 steps; the nearest number that works is 92",
        ),
        ("resnet-8", "rednet-8", "2:1: network: unknown network 'rednet-8'; did you mean 'resnet-8'?"),
        ("resnet-8", "resnet-9", "2:1: network: depth 9 is not 6n+2; the nearest are 8 and 14"),
        ("resnet-8", "110", "2:1: network: expected text, given 110"),
        (
            "resnet-8",
            "resnet-" + "9" * 5000,
            f"2:1: network: expected at most 100 characters, given 'resnet-{'9' * 52} ... (5009 characters)",
        ),
        ("digits", "digit", f"1:1: dataset: unknown dataset 'digit'; did you mean 'digits'? {OWN} digit --from FOLDER"),
        (
            "digits",
            "flowers",
            f"1:1: dataset: unknown dataset 'flowers'; snapshot list shows the datasets. {OWN} flowers --from FOLDER",
        ),
        ("digits", "../digits", f"1:1: dataset: {NAME}, given '../digits'"),
        ("digits", "a/b", f"1:1: dataset: {NAME}, given 'a/b'"),
        ("digits", "a\\b", f"1:1: dataset: {NAME}, given 'a\\\\b'"),
        ("digits", "''", f"1:1: dataset: {NAME}, given ''"),
        ("digits", "10", "1:1: dataset: expected text, given 10"),
        (
            "method: snapshot",
            "method: snapshots",
            f"5:1: method: expected {METHODS}, given 'snapshots'; did you mean 'snapshot'?",
        ),
        ("method: snapshot", "method: fge", f"5:1: method: expected {METHODS}, given 'fge'"),
        ("method: snapshot", "method: [single]", f"5:1: method: expected {METHODS}, given a list"),
        ("method: snapshot", "method: null", f"5:1: method: expected {METHODS}, given nothing"),
    ],
)
def test_a_wrong_value(old, new, message):
    assert refused(changed(old, new)) == [message]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("colour: red", f"1: colour: unknown key; expected one of {FIELDS}"),
        ("droput: 0.2", "1: droput: unknown key; did you mean 'dropout'?"),
        ("schedule: step", f"1: schedule: unknown key; expected one of {FIELDS}"),
        ("1: 2", f"1: 1: unknown key; expected one of {FIELDS}"),
        ("<<: {seed: 1}", "1: merge keys are not supported; write the keys themselves"),
        ("'{0}': 2", f"1: {{0}}: unknown key; expected one of {FIELDS}"),
        ('"a\\nb": 2', f"1: 'a\\nb': unknown key; expected one of {FIELDS}"),
        ("budget: 5", "1: budget: repeated key, first given in line 3"),
        ("nesterov: yes", "1: nesterov: expected true or false, given 'yes'"),
        ("flip: 1", "1: flip: expected true or false, given 1"),
        ("alpha0: true", "1: alpha0: expected a number, given true"),
        ("alpha0: '0.1'", "1: alpha0: expected a number, given '0.1'"),
        ("alpha0: 0", "1: alpha0: expected a number above 0, given 0"),
        ("alpha0: -1e-1", "1: alpha0: expected a number above 0, given -0.1"),
        ("alpha0: .inf", "1: alpha0: expected a finite number, given inf"),
        ("alpha0: .nan", "1: alpha0: expected a finite number, given nan"),
        ("alpha0: 1e400", "1: alpha0: expected a finite number, given inf"),
        ("weight_decay: -1e-4", "1: weight_decay: expected a number of at least 0, given -0.0001"),
        ("momentum: 1", "1: momentum: expected a number below 1, given 1"),
        ("dropout: 1.0", "1: dropout: expected a number below 1, given 1.0"),
        ("seed: -1", "1: seed: expected a whole number of at least 0, given -1"),
        ("padding: big", "1: padding: expected a whole number, given 'big'"),
        ("drops: 0.5", "1: drops: expected a list of numbers, given 0.5"),
        ("drops: [0.5, 1.5]", "14: drops.1: expected a number below 1, given 1.5"),
        ("drops: [0, 0.5]", "9: drops.0: expected a number above 0, given 0"),
        (
            "precision: float16",
            "1: precision: expected 'float32' or 'bfloat16', given 'float16'; did you mean 'bfloat16'?",
        ),
        ("train_size: 0", "1: train_size: expected a whole number of at least 1, given 0"),
        ("train_size: 2000", "1: train_size: expected at most 1437, the training images of digits, given 2000"),
        ("holdout: 1437", "1: holdout: expected at most 1436, the training images that are not trained on, given 1437"),
    ],
)
def test_a_wrong_line(line, message):
    assert refused(f"{GOOD}{line}\n") == [f"6:{message}"]


def test_holdout_is_what_training_leaves():
    assert loaded(GOOD + "train_size: 1000\nholdout: 437\n").holdout == 437
    assert refused(GOOD + "train_size: 1000\nholdout: 438\n") == [
        "7:1: holdout: expected at most 437, the training images that are not trained on, given 438"
    ]


def test_nesterov_without_momentum():
    assert loaded(GOOD + "momentum: 0\nnesterov: false\n").momentum == 0
    assert refused(GOOD + "momentum: 0\nnesterov: true\n") == [
        "7:1: nesterov: expected false, as momentum is 0, given true"
    ]


def test_no_dropout_in_imagenet_resnet():
    text = changed("resnet-8", "imagenet-resnet-50")
    assert loaded(text + "dropout: 0\n").network == "imagenet-resnet-50"
    assert refused(changed("snapshot", "dropout", text)) == [
        "5:1: method: expected another method, as imagenet-resnet-50 has no place for dropout"
    ]
    assert refused(text + "dropout: 0.5\n") == [
        "6:1: dropout: expected 0, as imagenet-resnet-50 has no place for dropout, given 0.5"
    ]


@pytest.mark.parametrize("network", ["imagenet-resnet-50", "densenet-7-4"])
def test_no_stochastic_depth_where_there_are_no_blocks(network):
    text = changed("resnet-8", network)
    assert loaded(text + "stochastic_depth: 0\n").network == network
    assert refused(text + "stochastic_depth: 0.5\n") == [
        f"6:1: stochastic_depth: expected 0, as {network} has no blocks to skip, given 0.5"
    ]


@pytest.mark.parametrize("value", ["1.0", "1.5"])
def test_a_last_block_that_is_never_trained_is_refused(value):
    assert refused(GOOD + f"stochastic_depth: {value}\n") == [
        f"6:1: stochastic_depth: expected a number below 1, given {value}"
    ]


def test_the_papers_letters_are_answered_with_our_words_and_nothing_is_missing():
    text = "dataset: digits\nnetwork: resnet-8\nM: 2\nB: 4\nlr: 0.1\nmethod: snapshot\n"
    assert refused(text) == [
        "3:1: M: unknown key; did you mean 'cycles'?",
        "4:1: B: unknown key; did you mean 'budget'?",
        "5:1: lr: unknown key; did you mean 'alpha0'?",
    ]


@pytest.mark.parametrize("key", SYNONYMS)
def test_other_names_are_no_fields_and_mean_one(key):
    assert key not in Experiment.model_fields
    assert refused(f"{GOOD}{key}: 1\n") == [f"6:1: {key}: unknown key; did you mean '{SYNONYMS[key]}'?"]


def test_missing_keys():
    assert refused("method: snapshot\n") == [
        f"1:1: {NO_DATASET}",
        "1:1: network: missing; family and sizes as in the paper (resnet-110, wide-resnet-32-4, densenet-40-12), or "
        "torchvision:NAME, timm:NAME, plugin:NAME",
        "1:1: budget: missing; B, the budget of one full training, in epochs",
        "1:1: cycles: missing; M, the number of cycles and of snapshots",
    ]


def test_all_mistakes_at_once_in_the_files_order():
    text = (
        "cycles: 0\nbudget: -2\nnetwork: resnet-9\ndataset: a/b\nmethod: snap\nlr: 3\nnesterov: yes\ndrops: [a, 0.5, 2]"
    )
    assert refused(text, "seed=-1", "flips=true") == [
        "1:1: cycles: expected a whole number of at least 1, given 0",
        "2:1: budget: expected a whole number of at least 1, given -2",
        "3:1: network: depth 9 is not 6n+2; the nearest are 8 and 14",
        f"4:1: dataset: {NAME}, given 'a/b'",
        f"5:1: method: expected {METHODS}, given 'snap'; did you mean 'snapshot'?",
        "6:1: lr: unknown key; did you mean 'alpha0'?",
        "7:1: nesterov: expected true or false, given 'yes'",
        "8:9: drops.0: expected a number, given 'a'",
        "8:17: drops.2: expected a number below 1, given 2",
        "--set: seed: expected a whole number of at least 0, given -1",
        "--set: flips: unknown key; did you mean 'flip'?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", EMPTY),
        ("# nothing\n", EMPTY),
        ("---\n", EMPTY),
        ("null\n", EMPTY),
        ("- a\n- b\n", "1:1: expected a mapping (key: value), given a list"),
        ("[]", "1:1: expected a mapping (key: value), given an empty list"),
        ("hello", "1:1: expected a mapping (key: value), given 'hello'"),
        ("3", "1:1: expected a mapping (key: value), given 3"),
        ("dataset: [digits\n", "2:1: not YAML: expected ',' or ']', but got the end of the text"),
        (GOOD + "---\n" + GOOD, "6:1: not YAML: expected one document, given another"),
    ],
)
def test_a_file_that_is_no_mapping(text, message):
    assert refused(text) == [message]


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", GOOD.encode("utf-16"), b"\x89PNG\r\n\x1a\n"])
def test_a_binary_file(data):
    Path("a.yaml").write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(Path("a.yaml"))
    assert str(caught.value) == "a.yaml: not YAML: expected text in UTF-8"


def test_a_file_without_an_end():
    with pytest.raises(ConfigError) as caught:
        load(Path("/dev/zero"))
    assert str(caught.value) == "/dev/zero: too long for a configuration: more than 1000000 characters"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder", "folder: expected a YAML file, given a folder that is no run directory"),
        ("tabel1.yaml", "tabel1.yaml: no such file; did you mean 'table1.yaml'?"),
        ("folder/snapshots.yaml", "folder/snapshots.yaml: no such file; did you mean 'folder/snapshot.yaml'?"),
        ("xyz.yaml", "xyz.yaml: no such file"),
        ("nowhere/table1.yaml", "nowhere/table1.yaml: no such file"),
        ("table1.yaml/x", "table1.yaml/x: cannot be read: Not a directory"),
    ],
)
def test_a_file_that_is_not_there(path, message):
    Path("folder").mkdir()
    for name in ("table1.yaml", "folder/snapshot.yaml"):
        Path(name).write_text(GOOD)
    with pytest.raises(ConfigError) as caught:
        load(Path(path))
    assert str(caught.value) == message


def test_set_replaces_what_the_file_says_and_the_last_one_wins():
    asked = loaded(GOOD, "cycles=3", "alpha0=1e-2", "drops=[0.3, 0.6]", "padding=", " cycles = 4")
    assert (asked.cycles, asked.alpha0, asked.drops, asked.padding) == (4, 0.01, (0.3, 0.6), None)


def test_set_mends_a_mistake_of_the_file():
    assert loaded(changed("budget: 4", "budget: four"), "budget=4") == loaded(GOOD)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("cycles", "--set cycles: expected KEY=VALUE, such as --set cycles=3"),
        ("=3", "--set =3: expected KEY=VALUE, such as --set cycles=3"),
        ("", "--set : expected KEY=VALUE, such as --set cycles=3"),
        ("cycles: 3", "--set cycles: 3: expected KEY=VALUE, such as --set cycles=3"),
        ("cycles=three", "--set: cycles: expected a whole number, given 'three'"),
        ("cycles=", "--set: cycles: expected a whole number, given nothing"),
        ("cycles=0", "--set: cycles: expected a whole number of at least 1, given 0"),
        (
            "cycles=60",
            "--set: cycles: 60 cycles do not fit into 92 steps; the nearest number that works is 46",
        ),
        ("cycles=[1", "--set cycles=[1: not YAML: expected ',' or ']', but got the end of the text"),
        ("cycles=*x", "--set cycles=*x: anchors and aliases are not supported; write the value itself"),
        ("cycles=\x07", "--set 'cycles=\\x07': not YAML: the control character '\\x07'"),
        ("cycels=3", "--set: cycels: unknown key; did you mean 'cycles'?"),
        ("M=3", "--set: M: unknown key; did you mean 'cycles'?"),
        ("title=x", f"--set: title: unknown key; expected one of {FIELDS}"),
        ("dataset=a=b", f"--set: dataset: {NAME}, given 'a=b'"),
        ("nesterov=yes", "--set: nesterov: expected true or false, given 'yes'"),
        ("drops=[a]", "--set: drops.0: expected a number, given 'a'"),
    ],
)
def test_a_wrong_set(item, message):
    assert refused(GOOD, item) == [message]


RUN = changed("method: snapshot", "schedule: cosine")


def test_a_run():
    asked = loaded(RUN + "cycle: 2\n", "seed=3")
    assert asked == Run(dataset="digits", network="resnet-8", budget=4, cycles=2, schedule="cosine", cycle=2, seed=3)


def test_a_run_as_its_directory_holds_it():
    run = Run(dataset="digits", network="resnet-8", budget=4, cycles=2, schedule="step", drops=(0.25,), flip=True)
    text = yaml.safe_dump(run.model_dump(mode="json"))
    assert loaded(text) == run


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cosine", "stp", "5:1: schedule: expected 'step' or 'cosine', given 'stp'; did you mean 'step'?"),
        ("cosine", "cosine\ncycle: 3", "6:1: cycle: expected at most 2, the number of cycles, given 3"),
        ("cosine", "cosine\ncycle: 0", "6:1: cycle: expected a whole number of at least 1, given 0"),
        (
            "cosine",
            "step\ncycle: 1",
            "6:1: cycle: expected none, as a step schedule has no cycles to train alone, given 1",
        ),
    ],
)
def test_a_wrong_run(old, new, message):
    assert refused(changed(old, new, RUN)) == [message]


def test_a_study():
    asked = loaded(STUDY)
    assert isinstance(asked, Study)
    assert (asked.name, asked.title, asked.split) == ("a", "Two networks", "test")
    assert asked.render == {"table": Drawing(kind="methods")}
    assert [(e.network, e.method, e.alpha0, e.budget) for e in asked.experiments] == [
        ("resnet-8", "single", 0.1, 4),
        ("resnet-8", "snapshot", 0.2, 4),
        ("resnet-14", "single", 0.1, 6),
        ("resnet-14", "snapshot", 0.2, 6),
    ]


def test_set_reaches_every_experiment_of_a_study_and_its_own_keys():
    asked = loaded(STUDY, "replicates=3", "title=Short", "budget=2", "alpha0=0.3", "seed=7")
    assert asked.title == "Short"
    assert {(e.budget, e.alpha0, e.seed, e.replicates) for e in asked.experiments} == {(2, 0.3, 7, 3)}
    assert [e.network for e in loaded(STUDY, "network=resnet-20").experiments] == ["resnet-20"] * 4
    assert len(loaded(STUDY, "network=resnet-20", "budget=4", "alpha0=0.1").experiments) == 2


@pytest.mark.parametrize(
    ("sets", "lines"),
    [
        (("cycles=three",), ["--set: cycles: expected a whole number, given 'three'"]),
        (("M=3",), ["--set: M: unknown key; did you mean 'cycles'?"]),
        (
            ("replicates=0", "cycels=3", "split=train"),
            [
                "--set: split: expected 'test' or 'holdout', given 'train'",
                "--set: replicates: expected a whole number of at least 1, given 0",
                "--set: cycels: unknown key; did you mean 'cycles'?",
            ],
        ),
    ],
)
def test_a_wrong_set_of_a_study_is_said_once(sets, lines):
    assert refused(STUDY, *sets) == lines


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("budget: 4", "B: 4", ["2:8: B: unknown key; did you mean 'budget'?"]),
        ("budget: 4", "budget: four", ["2:8: budget: expected a whole number, given 'four'"]),
        (", dataset: digits", "", [f"1:1: {NO_DATASET}"]),
        (
            "{budget: 4, cycles: 2, dataset: digits}",
            "[a]",
            ["2:1: base: expected a mapping (key: value), given a list"],
        ),
        (
            "cycles: 2",
            "cycles: 60",
            [
                "2:19: cycles: 60 cycles do not fit into 92 steps; the nearest number that works is 46",
                "2:19: cycles: 60 cycles do not fit into 138 steps; the nearest number that works is 69",
            ],
        ),
        (
            "  network: [",
            "  net: [",
            ["4:3: net: unknown key; did you mean 'network'?", "9:5: where: matches no experiment"],
        ),
        (
            "resnet-8,",
            "resnet-9,",
            ["4:13: network: depth 9 is not 6n+2; the nearest are 8 and 14"],
        ),
        (
            "[resnet-8, resnet-14]",
            "[]",
            ["4:3: axes.network: expected at least one value, given an empty list"],
        ),
        ("[resnet-8, resnet-14]", "resnet-8", ["4:3: axes.network: expected a list, given 'resnet-8'"]),
        (
            "axes:\n",
            "axes:\n  seed: [" + "1, " * 5000 + "]\n",
            ["3:1: axes: expected at most 10000 experiments, given 20000"],
        ),
        ("- single", "- singel", [f"6:5: method: expected {METHODS}, given 'singel'; did you mean 'single'?"]),
        ("- single", "- 3", [f"6:5: method: expected {METHODS}, given 3"]),
        ("- single", "- [single]", [f"6:5: method: expected {METHODS}, given a list"]),
        ("method: snapshot, ", "", [f"7:5: {NO_METHOD}"]),
        ("alpha0: 0.2", "lr: 0.2", ["7:24: lr: unknown key; did you mean 'alpha0'?"]),
        ("alpha0: 0.2", "alpha0: high", ["7:24: alpha0: expected a number, given 'high'"]),
        ("{network: resnet-14}", "{network: resnet-20}", ["9:5: where: matches no experiment"]),
        (
            "{network: resnet-14}",
            "{net: resnet-14}",
            ["9:5: where.0.match: expected fields of an experiment, given net"],
        ),
        ("{network: resnet-14}", "{}", ["9:5: where.0.match: expected fields of an experiment, given none"]),
        ("{network: resnet-14}", "", ["9:5: where.0.match: expected a mapping (key: value), given nothing"]),
        ("match: {network: resnet-14}", "skip: true", [f"9:5: {NO_MATCH}"]),
        ("    set:", "    sett:", ["10:5: where.0.sett: unknown key; did you mean 'set'?"]),
        ("    set:", "    then:", ["10:5: where.0.then: unknown key; expected one of match, set, skip"]),
        ("set: {budget: 6}", "skip: false", ["9:5: where.0: has no effect; write set, or skip: true"]),
        (
            "{budget: 6}",
            "{method: dropout}",
            ["10:5: where.0.set: method belongs under methods, which override it here"],
        ),
        (
            "budget: 4, cycles",
            "method: single, cycles",
            ["2:1: base: method belongs under methods, which override it here"],
        ),
        ("  network: [", "  method: [", ["3:1: axes: method belongs under methods, which override it here"]),
        ("{budget: 6}", "{B: 6}", ["10:11: B: unknown key; did you mean 'budget'?"]),
        ("{budget: 6}", "{budget: six}", ["10:11: budget: expected a whole number, given 'six'"]),
        ("set: {budget: 6}", "skip: yes", ["10:5: where.0.skip: expected true or false, given 'yes'"]),
        (
            "{network: resnet-14}\n    set: {budget: 6}",
            "{cycles: 2}\n    skip: true",
            ["8:1: where: skips every experiment"],
        ),
        (
            "table: methods",
            "table: method",
            ["12:3: render.table.kind: unknown kind of table or figure 'method'; did you mean 'methods'?"],
        ),
        (
            "table: methods",
            "table: {kind: methods, only: {seed: 0}}",
            ["12:26: render.table.only: unknown key; expected one of kind, match"],
        ),
        (
            "table: methods",
            "table: {kind: methods, match: {net: resnet-8}}",
            ["12:26: render.table.match: expected fields of an experiment, given net"],
        ),
        (
            "table: methods",
            "table: {kind: methods, match: {network: resnet-20}}",
            ["12:26: render.table.match: matches no experiment"],
        ),
        (
            "table: methods",
            "table: [methods]",
            ["12:3: render.table: expected a mapping (key: value), given a list"],
        ),
        (
            "table: methods",
            "../table: methods",
            ["11:1: render: expected file names of letters, digits, '.', '_' and '-', given '../table'"],
        ),
        ("title: Two networks\n", "", [f"1:1: {NO_TITLE}"]),
        ("Two networks", "3", ["1:1: title: expected text, given 3"]),
        ("Two networks", '"\\e[31m"', ["1:1: title: expected text without control characters"]),
        (
            "render:",
            "replicate: 2\nrender:",
            ["11:1: replicate: unknown key of a study; write replicates under base or axes"],
        ),
        (
            "render:",
            "dataset: digits\nrender:",
            ["11:1: dataset: unknown key of a study; write dataset under base or axes"],
        ),
        ("render:", "M: 3\nrender:", ["11:1: M: unknown key of a study; write cycles under base or axes"]),
        (
            "render:",
            "colour: red\nrender:",
            ["11:1: colour: unknown key; expected one of title, base, axes, methods, where, split, render"],
        ),
        ("render:", "split: train\nrender:", ["11:1: split: expected 'test' or 'holdout', given 'train'"]),
    ],
)
def test_a_mistake_of_a_study_is_said_once_where_it_stands(old, new, lines):
    assert refused(changed(old, new, STUDY)) == lines


def test_all_mistakes_of_a_study_at_once_in_the_files_order():
    text = STUDY
    for old, new in [
        ("Two networks", "2"),
        ("budget: 4", "budget: four"),
        ("resnet-8,", "resnet-9,"),
        ("alpha0: 0.2", "lr: 0.2"),
        ("{network: resnet-14}", "{network: resnet-20}"),
        ("table: methods", "table: tables"),
    ]:
        text = changed(old, new, text)
    assert refused(text, "flip=yes") == [
        "1:1: title: expected text, given 2",
        "2:8: budget: expected a whole number, given 'four'",
        "4:13: network: depth 9 is not 6n+2; the nearest are 8 and 14",
        "7:24: lr: unknown key; did you mean 'alpha0'?",
        "9:5: where: matches no experiment",
        f"12:3: render.table.kind: unknown kind of table or figure 'tables'; expected {', '.join(kinds.modules())}",
        "--set: flip: expected true or false, given 'yes'",
    ]


def test_a_drawing_of_a_cell_with_a_mistake_is_no_second_mistake():
    drawing = changed("table: methods", "table: {kind: methods, match: {network: resnet-20}}", STUDY)
    text = changed("resnet-14]", "resnet-9]", drawing).replace("network: resnet-14", "network: resnet-8")
    assert refused(text) == ["4:23: network: depth 9 is not 6n+2; the nearest are 8 and 14"]
    assert {each.network for each in loaded(text, "network=resnet-14").experiments} == {"resnet-14"}


def test_missing_parts_of_a_study():
    assert refused("base: {}\n") == [
        f"1:1: {NO_TITLE}",
        "1:1: methods: missing; methods, or mappings with a method and settings for it",
    ]
    assert refused("title: x\nmethods: single\n") == ["2:1: methods: expected a list, given 'single'"]
    assert refused("title: x\nmethods: []\n") == ["2:1: methods: expected at least one value, given an empty list"]


def test_every_kind_of_mistake_of_our_models_has_words():
    assert all("pydantic" not in words and "input" not in words.lower() for words in EXPECTED.values())


def answer(text, *sets):
    """Return what load returns or the words in which it refuses; any other exception is a bug."""
    path = Path("a.yaml")
    path.write_text(text, encoding="utf-8", newline="")
    try:
        return load(path, sets, training_examples=KNOWN)
    except ConfigError as error:
        return str(error)


def loads_or_says_why(text, *sets):
    said = answer(text, *sets)
    if isinstance(said, str):
        assert all(line.startswith(("a.yaml:", "--set")) for line in said.split("\n"))
        assert "Input should" not in said
        assert said.encode()
    else:
        assert repr(said)


KEYS = st.sampled_from(
    [*Run.model_fields, *Experiment.model_fields, "title", "base", "axes", "methods", "where", "split", "render"]
) | st.sampled_from(["match", "set", "skip", "kind", "M", "B"])
WORDS = st.sampled_from(["digits", "resnet-8", "densenet-40-12", "single", "snapshot", "step", "methods", "yes"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 5) | st.integers() | st.floats() | WORDS | st.text(max_size=5)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
QUIET = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@QUIET
@given(TEXT | st.text("ab:-[]{}&*!|>'\"%@#?,.~ \n\t01e\\", max_size=40), TEXT)
@example(GOOD, "cycles=\ud7ff")
def test_any_text_loads_or_is_refused(text, item):
    loads_or_says_why(text)
    loads_or_says_why(GOOD, item)
    loads_or_says_why(GOOD, f"cycles={item}")


@QUIET
@given(DATA)
def test_any_data_loads_or_is_refused(data):
    loads_or_says_why(yaml.safe_dump(data, allow_unicode=True))


@QUIET
@given(st.sampled_from([GOOD, RUN, STUDY]), st.dictionaries(KEYS, DATA, max_size=3))
def test_any_values_of_known_keys_load_or_are_refused(text, change):
    loads_or_says_why(yaml.safe_dump(yaml.safe_load(text) | change))


def test_a_mistake_is_said_without_loading_numbers_libraries():
    Path("a.yaml").write_text(changed("cycles: 2", "cycels: 2"))
    code = (
        "import sys; from pathlib import Path; from snapshot_cli.config.load import load\n"
        "from snapshot_cli.errors import ConfigError\n"
        "try: load(Path('a.yaml'), training_examples={'digits': 1437})\n"
        "except ConfigError as error: print(error)\n"
        "import snapshot_cli.config.plan, snapshot_cli.config.shipped\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'PIL', 'rich'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a.yaml:4:1: cycels: unknown key; did you mean 'cycles'?\n[]\n"


def test_a_control_character_of_a_key_is_written_out():
    assert answer(RUN + 'network_options: {"\\n": null}\n').endswith("given \\n")


def test_a_study_of_withheld_images_withholds_some():
    text = "title: x\nbase: {dataset: digits, network: resnet-8, budget: 4, cycles: 2}\nmethods: [single]\n"
    words = "split: holdout needs holdout: N in every experiment, the number of training images to withhold"
    assert refused(text + "split: holdout\n") == [f"4:1: {words}"]
    assert refused(text, "split=holdout") == [f"--set: {words}"]
    assert answer(text + "split: holdout\n", "holdout=20").split == "holdout"


def test_seeds_that_are_counted_on_beyond_the_largest():
    last = "9" * 18
    words = f"expected at most {int(last) - 1}, as its networks count on from it, and a seed has at most 18 digits"
    assert refused(GOOD, f"seed={last}", "replicates=2") == [f"--set: seed: {words}; given {last}"]
    assert refused(GOOD + f"seed: {last}\nreplicates: 2\n")[0].endswith(f"seed: {words}; given {last}")


def test_a_path_with_a_null_byte():
    assert refused(GOOD, 'initial_weights="a\\0b"') == [
        "--set: initial_weights: a\\x00b: cannot be read: embedded null byte"
    ]
