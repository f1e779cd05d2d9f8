"""What `snapshot export` and `snapshot predict` say; tests/test_exported.py has what the files are worth."""

import csv
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import NOTHING_GIVEN, STUDY, snapshot, write
from fabricated_runs import experiment, finish_cells
from PIL import Image

from snapshot_cli.analysis import metrics, selection
from snapshot_cli.config import plan
from snapshot_cli.config.load import load
from snapshot_cli.datasets.manifest import read_manifest, to_json
from snapshot_cli.run_directory import RunDirectory

SETTINGS = {"dataset": "tiny", "network": "resnet-8", "method": "snapshot", "budget": 1, "cycles": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_data):
    path = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        write(path / "e.yaml", SETTINGS)
        assert snapshot("train", "e.yaml", "--device", "cpu", "--data-dir", tiny_data)[0] == 0
    return path


@pytest.fixture(autouse=True)
def here(folder, monkeypatch, tiny_data):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SNAPSHOT_DATA_DIR", str(tiny_data))


@pytest.fixture
def run(folder):
    (run,) = plan.runs(load(folder / "e.yaml"))
    return f"results/own/runs/{run.run_id}"


@pytest.fixture
def no_program(monkeypatch):
    """Write the facts of a file alone, for torch.export takes seconds."""
    monkeypatch.setattr(
        "snapshot_cli.serving.export.WRITERS", {".pt2": lambda ensemble, facts: json.dumps(facts).encode()}
    )


def test_export_of_a_file_and_of_its_run(no_program, run):
    code, out, errors = snapshot("export", "e.yaml", "-o", "new/e.pt2")
    card = json.loads(Path("new/e.pt2.json").read_text())
    error = card["test"]["ensemble"]["top1_error"]
    assert (code, out, errors) == (
        0, f"new/e.pt2: 2 members, test error {error:.2f} %\nmodel card: new/e.pt2.md, new/e.pt2.json\n",
        "exporting 2 members to new/e.pt2; this can take half a minute\n",
    )  # fmt: skip
    assert error == json.loads(snapshot("eval", run, "--json")[1])["ensembles"][1]["top1_error"]
    assert card["experiment"]["method"] == "snapshot"
    assert snapshot("export", run, "-o", "new/run.pt2", "--members", "last:1")[0] == 0
    other = json.loads(Path("new/run.pt2.json").read_text())
    assert other["experiment"] is None
    assert other["members"] == card["members"][1:]
    assert snapshot("export", f"{run}/config.yaml", "-o", "new/config.pt2")[0] == 0
    other = json.loads(Path("new/config.pt2.json").read_text())
    assert (other["experiment"], other["members"]) == (None, card["members"])


def test_the_error_of_a_diverged_network_is_not_defined(no_program, run, tmp_path):
    directory = RunDirectory(Path(shutil.copytree(run, tmp_path / "run")))
    unknown = np.full_like(directory.predictions("test", 2), np.nan)
    directory.store_again("test", {2: unknown}, directory.labels("test"))
    code, out, _ = snapshot("export", directory.path, "-o", "new/diverged.pt2")
    assert (code, out.splitlines()[0]) == (0, "new/diverged.pt2: 2 members, test error not defined")


def test_chosen_members_and_the_images_that_they_were_chosen_on(no_program):
    settings = ("--set", "holdout=20", "--device", "cpu")
    assert snapshot("train", "e.yaml", *settings)[0] == 0
    code, out, _ = snapshot("export", "e.yaml", *settings[:2], "-o", "new/c.pt2", "--members", "chosen")
    card = json.loads(Path("new/c.pt2.json").read_text())
    selected = card["selection"]
    assert code == 0
    assert selected["withheld_images"] == 20
    assert [member["snapshot"] for member in card["members"]] == selected["numbers"]
    (run,) = plan.runs(load(Path("e.yaml"), ["holdout=20"]))
    directory = RunDirectory.of(run, Path("results/own"))
    probabilities = np.stack([metrics.softmax(directory.predictions("holdout", k)) for k in (1, 2)])
    best = selection.choose(probabilities, directory.labels("holdout"))
    assert (selected["numbers"], selected["withheld_error"]) == (list(best.members), best.error)
    line = (
        f"members {', '.join(map(str, best.members))} ({best.rule}), chosen on 20 withheld training images "
        f"({best.error:.2f} % wrong); test images were not used"
    )
    assert line in out
    assert line in Path("new/c.pt2.md").read_text()


MISTAKES = [
    (["RUN", "-o", "e.pt"], 2, "-o e.pt: expected a name that ends in .pt2 or .onnx"),
    (["RUN", "-o", "e.pt2", "--format", "onnx"], 2, "-o e.pt2: expected a name that ends in .onnx"),
    (["-o", "e.pt2"], 2, f"snapshot export: {NOTHING_GIVEN}"),
    (
        ["RUN", "e.yaml", "-o", "e.pt2"],
        2, "snapshot export: expected one FILE, or run directories only, given RUN, e.yaml",
    ),
    (["RUN", "-o", "e.pt2", "--members", "last:9"], 2,
     "--members last:9: expected numbers from 1 to 2, the number of snapshots"),
    (["RUN", "-o", "e.pt2", "--members", "0,1"], 2,
     "--members 0,1: expected numbers from 1 to 2, the number of snapshots"),
    (["RUN", "-o", "e.pt2", "--members", "best"], 2,
     "--members best: expected all, last:M, chosen, or numbers such as 1,3,5"),
    (["RUN", "-o", "e.pt2", "--members", "chosen"], 1,
     "--members chosen: RUN withheld no training images to choose on; train with holdout: N, or choose members by"
     " number"),
    (["RUN", "-o", "e.yaml/e.pt2"], 1, "e.yaml: File exists"),
    (["nowhere", "-o", "e.pt2"], 2, "nowhere: no such file, run directory or name; snapshot list shows the names"),
    (
        ["study.yaml", "-o", "e.pt2"],
        2, "study.yaml: expected one experiment, given a study; give run directories of it instead",
    ),
    (
        ["e.yaml", "--set", "seed=5", "-o", "e.pt2"],
        1, "e.yaml: tiny/resnet-8-cosine-M2-seed5-34857477 is not finished in results/own; "
        "type snapshot train e.yaml --set seed=5 --run tiny/resnet-8-cosine-M2-seed5-34857477",
    ),
    (["unfinished", "-o", "e.pt2"], 1,
     "unfinished: training is not finished; type snapshot train unfinished"),
    (
        ["light", "-o", "e.pt2"],
        1,
        "light/snapshots/1.safetensors: the weights of this snapshot were not kept; delete light and train it again",
    ),
    (["RUN", "--data-dir", "changed", "-o", "e.pt2"], 1,
     "RUN: was trained on other images than those prepared as 'tiny' now; prepare the dataset that it was trained on, "
     "or delete the directory and train it again"),
    (["RUN", "--data-dir", "empty", "-o", "e.pt2"], 1,
     "dataset 'tiny' is not prepared in empty; type: snapshot data prepare tiny --from PATH --size PIXELS "
     "(PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "message"), MISTAKES)
def test_mistakes(no_program, run, tiny_data, words, code, message):
    write(Path("study.yaml"), STUDY)
    manifest = read_manifest(tiny_data, "tiny")
    Path("changed/tiny").mkdir(parents=True, exist_ok=True)
    Path("changed/tiny/manifest.json").write_text(to_json(replace(manifest, content_hash="another")))
    for name, lost in (("unfinished", "done.json"), ("light", "snapshots/1.safetensors")):
        if not Path(name).exists():
            shutil.copytree(run, name)
            Path(name, lost).unlink()
    words = [run if word == "RUN" else word for word in words]
    assert snapshot("export", *words) == (code, "", message.replace("RUN", run) + "\n")


def test_runs_of_two_datasets(no_program, run, tmp_path):
    (other,) = finish_cells(experiment(), tmp_path, lambda run, k: k)
    assert snapshot("export", run, other.path, "-o", "e.pt2") == (
        1, "", f"{other.path}: was trained on digits, but {run} on tiny; an ensemble needs one dataset\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        (["onnxscript"], "onnxscript, which is not installed"),
        (["onnx", "onnxscript"], "onnx and onnxscript, which are not installed"),
    ],
)
def test_without_onnx(run, monkeypatch, absent, words):
    monkeypatch.setattr("snapshot_cli.serving.onnx_file.find_spec", lambda name: None if name in absent else name)
    assert snapshot("export", run, "-o", "e.onnx") == (
        1, "", f"ONNX needs {words}; type: pip install 'snapshot-cli[onnx]'\n"
    )  # fmt: skip
    assert not Path("e.onnx").exists()


@pytest.fixture
def images(tmp_path, tiny_dataset):
    """A folder with an image of each class, one of them large and not square, and one file that is none."""
    for label in range(4):
        pixels = np.array(tiny_dataset.test_images[np.flatnonzero(tiny_dataset.test_labels == label)[0]])
        if label == 2:
            pixels = np.pad(pixels.repeat(3, 0).repeat(3, 1), ((0, 0), (4, 4), (0, 0)))
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"in/{label}.png")
    return tmp_path / "in"


def test_predictions_are_those_of_the_run(run, images, tiny_dataset):
    from snapshot_cli.analysis.metrics import softmax
    from snapshot_cli.run_directory import RunDirectory

    code, out, errors = snapshot("predict", run, images)
    assert (code, errors) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    firsts = [np.flatnonzero(tiny_dataset.test_labels == label)[0] for label in range(4)]
    members = [RunDirectory(Path(run)).predictions("test", k)[firsts] for k in (1, 2)]
    expected = softmax(np.stack(members)).mean(0)
    for label, row in enumerate(rows):
        chosen = expected[label].argmax()
        agreeing = np.mean([member[label].argmax() == chosen for member in members])
        assert (row["file"], row["class"]) == (str(images / f"{label}.png"), "abcd"[chosen])
        assert float(row["probability"]) == pytest.approx(expected[label, chosen], abs=1e-5)
        assert float(row["agreement"]) == agreeing
    assert snapshot("predict", run, images, "-o", images / "new/answers.csv") == (0, f"{images}/new/answers.csv\n", "")
    assert (images / "new/answers.csv").read_text() == out
    assert snapshot("predict", "e.yaml", images)[1] == out
    archive = shutil.make_archive(str(images), "zip", images)
    assert snapshot("predict", run, archive)[1] == out.replace(f"{images}/", f"{archive}/")


def test_images_that_cannot_be_read_are_named(run, images):
    (images / "1.png").write_text("no image")
    Image.new("RGB", (6, 20)).save(images / "3.png")
    code, out, errors = snapshot("predict", run, images, images / "0.png")
    assert [line.split(",")[0] for line in out.splitlines()] == [
        "file", f"{images}/0.png", f"{images}/2.png", f"{images}/0.png"
    ]  # fmt: skip
    assert (code, errors) == (
        1, f"{images}/1.png: cannot be read as an image (no image format that Pillow knows)\n"
        f"{images}/3.png: is 6x20, too small for 8x8, the images of the ensemble; give larger images\n"
        "2 of 5 images are not classified\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "nothing.png"], "nothing.png: no such file or folder"),
        (["RUN", "-"], "-: no such file; for standard input give /dev/stdin"),
        (["RUN", "https://a.b/c.png"], "https:/a.b/c.png: a URL; download the image and give the file"),
        (["RUN", "hollow"], "hollow: no files in it"),
        (["nothing.pt2", "e.yaml"], "nothing.pt2: no such file or folder"),
        (
            ["notes.md", "e.yaml"],
            "notes.md: damaged, or neither a run's directory nor a file that snapshot export has written; "
            "export it again",
        ),
        (
            ["e.yaml", "e.yaml", "--set", "seed=5"],
            "e.yaml: tiny/resnet-8-cosine-M2-seed5-34857477 is not finished in results/own; "
            "type snapshot train e.yaml --set seed=5 --run tiny/resnet-8-cosine-M2-seed5-34857477",
        ),
        (["hollow", "e.yaml"], "hollow: not a run directory: no config.yaml in it; those lie in results/SIZE/runs"),
    ],
)
def test_mistakes_of_predict(run, words, message):
    Path("hollow").mkdir(exist_ok=True)
    Path("notes.md").touch()
    words = [run if word == "RUN" else word for word in words]
    assert snapshot("predict", *words) == (1, "", message + "\n")


def test_answers_into_a_pipe(run, images):
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert snapshot("predict", run, images / "0.png", "-o", "pipe") == (0, "pipe\n", "")
    assert os.read(reader, 10_000).startswith(b"file,class,probability,agreement")
    os.close(reader)


def test_set_goes_with_a_file(run, images):
    assert snapshot("predict", run, images, "--set", "seed=1") == (
        2, "", "snapshot predict: --set seed=1 goes with a FILE, and none is given\n"
    )  # fmt: skip
