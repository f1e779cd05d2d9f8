import re
from pathlib import Path

import pytest
from command_line import snapshot

from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.load import load
from snapshot_cli.config.shipped import config_path
from snapshot_cli.datasets.manifest import training_examples


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def test_the_file_is_the_demos_experiment_and_names_what_to_type():
    assert snapshot("init") == (
        0,
        "experiment.yaml: one experiment on digits. Next:\n"
        "  snapshot estimate experiment.yaml\n"
        "  snapshot train experiment.yaml\n",
        "",
    )
    assert load(Path("experiment.yaml")) == load(config_path("demo/snapshot"))


def test_every_key_is_there_explained_and_with_its_default():
    snapshot("init", "new/mine.yaml")
    text = Path("new/mine.yaml").read_text()
    assert text.startswith("# Train it: snapshot train new/mine.yaml\n")
    assert re.findall("^#?([a-z0-9_]+): ", text, re.MULTILINE) == [
        *(name for name in Experiment.model_fields if f"\n{name}: " in text),
        *(name for name in Experiment.model_fields if f"\n#{name}: " in text),
    ]
    words = " ".join(text.replace("\n# ", " ").split())
    assert all(" ".join(field.description.split()) in words for field in Experiment.model_fields.values())
    Path("all.yaml").write_text(re.sub("^#([a-z])", r"\1", text, flags=re.MULTILINE))
    assert load(Path("all.yaml")) == load(Path("new/mine.yaml"))


def test_of_a_dataset_of_ones_own(tiny_data):
    code, out, _ = snapshot("init", "--dataset", "tiny", "--data-dir", tiny_data)
    assert (code, len(out.splitlines())) == (0, 3)
    experiment = load(Path("experiment.yaml"), training_examples=training_examples(tiny_data))
    assert (experiment.dataset, experiment.network) == ("tiny", "wide-resnet-8-1")


@pytest.mark.parametrize(
    ("dataset", "network", "prepare"),
    [
        ("cifar10-16", "wide-resnet-8-1", "snapshot data prepare cifar10 --size 16"),
        ("imagenet", "torchvision:resnet18", "snapshot data prepare imagenet --from FOLDER"),
    ],
)
def test_a_dataset_that_is_not_prepared(dataset, network, prepare):
    code, out, _ = snapshot("init", "--dataset", dataset)
    assert (code, out.splitlines()[1].strip().startswith(prepare)) == (0, True)
    assert load(Path("experiment.yaml")).network == network


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["old.yaml"], 1, "old.yaml: exists already; give another FILE, or delete it"),
        (
            ["--dataset", "digit"],
            2,
            "--dataset digit: unknown dataset 'digit'; did you mean 'digits'? "
            "For images of your own: snapshot data prepare digit --from FOLDER",
        ),
    ],
)
def test_what_is_refused(words, code, message):
    Path("old.yaml").write_text("mine")
    assert snapshot("init", *words) == (code, "", message + "\n")
    assert Path("old.yaml").read_text() == "mine"
    assert not Path("experiment.yaml").exists()


def test_a_dataset_with_a_name_that_is_too_long():
    code, _, errors = snapshot("init", "mine.yaml", "--dataset", "a" * 101)
    assert (code, errors) == (2, f"--dataset {'a' * 101}: String should have at most 100 characters\n")
