"""Every experiment of the paper at its real network and batch size: two steps on random images, in a process each.

The images are a few hundred in the official formats. With -s a row of docs/memory.md is printed for each experiment.
"""

import io
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import CHECKOUT, snapshot
from fabricated_images import (
    images_of,
    members_of,
    python_members_of,
    unchecked,
    write_archive,
    write_folder,
    write_zip,
)
from PIL import Image
from scipy.io import savemat

from snapshot_cli.config.load import load
from snapshot_cli.datasets import catalogue

FACTS = {
    "cifar10": {"train": 200, "test": 50},
    "cifar100": {"train": 200, "test": 100},
    "svhn": {"train": 200, "test": 50, "train_counts": (20,) * 10, "test_counts": (5,) * 10},
    "tiny-imagenet": {"train": 400, "test": 200},
    "imagenet": {"train": 1000, "test": 1000},
}
BATCHES = {"imagenet": 64}  # its own 256 images of 224x224 take more memory than a small machine has
EXPERIMENTS = sorted(p for p in (CHECKOUT / "configs").glob("*/*.yaml") if p.parent.name in FACTS)


def mats(folder, train, test):
    """Write SVHN's three files, with the label 10 for a 0."""
    folder.mkdir()
    rest = [part[150:] for part in train]
    for name, (images, labels) in {"train": [part[:150] for part in train], "extra": rest, "test": test}.items():
        variables = {"X": images.transpose(1, 2, 3, 0), "y": np.where(labels, labels, 10)[:, None].astype(np.uint8)}
        savemat(folder / f"{name}_32x32.mat", variables, do_compression=True)
    return folder


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    return file.getvalue()


def tiny_files(train, test):
    wnids = [f"n{label:08d}" for label in range(200)]
    files = {"wnids.txt": "\n".join(wnids).encode(), "val/val_annotations.txt": b""}
    for row, (image, label) in enumerate(zip(*train, strict=True)):
        files[f"train/{wnids[label]}/images/{wnids[label]}_{row}.JPEG"] = jpeg(image)
    for row, (image, label) in enumerate(zip(*test, strict=True)):
        files[f"val/images/val_{row}.JPEG"] = jpeg(image)
        files["val/val_annotations.txt"] += f"val_{row}.JPEG\t{wnids[label]}\t0\t0\t62\t62\n".encode()
    return {f"tiny-imagenet-200/{name}": content for name, content in files.items()}


def imagenet_files():
    draw = np.random.default_rng(0)
    return {
        f"{split}/n{label:08d}/{label}.JPEG": jpeg(draw.integers(0, 256, (240, 320, 3), dtype=np.uint8))
        for split in ("train", "val")
        for label in range(1000)
    }


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder of prepared datasets, each read from its official format, with fewer images than the real ones."""
    folder = tmp_path_factory.mktemp("official")
    with pytest.MonkeyPatch.context() as patch:
        for name, changes in FACTS.items():
            facts = unchecked(catalogue.CATALOGUE[name], **changes)
            patch.setitem(catalogue.CATALOGUE, name, facts)
            splits = images_of(facts) if name != "imagenet" else None
            match name:
                case "cifar10":
                    source = write_archive(folder / "cifar-10-binary.tar.gz", members_of(name, splits))
                case "cifar100":
                    source = write_archive(folder / "cifar-100-python.tar.gz", python_members_of(name, splits))
                case "svhn":
                    source = mats(folder / "svhn", *splits)
                case "imagenet":
                    source = write_folder(folder / "imagenet", imagenet_files())
                case _:
                    source = write_zip(folder / "tiny-imagenet-200.zip", tiny_files(*splits))
            assert snapshot("data", "prepare", name, "--from", source, "--data-dir", folder / "data")[0] == 0
    return folder / "data"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_trains_takes_snapshots_predicts_and_is_scored(tmp_path, data, file):
    own = load(file).batch_size
    batch = BATCHES.get(file.parent.name, own)
    sets = {"budget": 1, "cycles": 2, "batch_size": batch, "train_size": 2 * batch}
    sets |= {"holdout": 20} if file.parent.name == "svhn" else {}
    asked = [file, *(word for item in sets.items() for word in ("--set", "{}={}".format(*item)))]
    asked += ["--data-dir", data, "--results-dir", tmp_path]
    words = [sys.executable, "-m", "snapshot_cli", "train", *asked, "--device", "cpu", "--threads", 1]
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, words)), cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, process.returncode = time.perf_counter() - started, os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    (directory,) = tmp_path.glob("runs/*/*")
    assert [path.name for path in sorted((directory / "snapshots").iterdir())] == ["1.safetensors", "2.safetensors"]
    logits = np.load(directory / "predictions/test-2.npy")
    facts = catalogue.CATALOGUE[file.parent.name]
    assert logits.shape == (FACTS[facts.name]["test"], facts.classes)
    assert np.isfinite(logits).all()
    code, out, errors = snapshot("eval", *asked, "--json")
    assert (code, errors) == (0, "")
    assert json.loads(out)
    size = f"{batch}{f' of {own}' if batch < own else ''}"
    print(f"\n| `{file.relative_to(CHECKOUT)}` | {size} | {seconds:.0f} | {usage.ru_maxrss * 1024 / 1e9:.1f} |")
