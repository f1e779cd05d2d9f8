import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from silent import Silent
from streamed_folders import WNIDS, write

from snapshot_cli.config import yaml_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import batches, decoding, store
from snapshot_cli.datasets.prepare import prepare
from snapshot_cli.errors import Stopped, UserError
from snapshot_cli.launch import in_process
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path):
    """A folder with the streamed dataset `photos`: 21 + 6 JPEGs of 3 classes, crops of 8x8."""
    prepare("photos", tmp_path / "data", source=write(tmp_path / "photos"), size=8, streamed=True)
    return tmp_path / "data"


def run(**changes):
    values = {"dataset": "photos", "network": "resnet-8", "budget": 2, "batch_size": 4, "cycles": 2, "alpha0": 0.05}
    return Run(**values | {"schedule": "cosine"} | changes)


def feeds(data, *, workers=0, **changes):
    dataset = store.load(data, "photos")
    return batches.build_feeds(run(**changes), dataset, device=CPU, workers=workers)


def in_one(parts):
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)


def test_an_epoch_visits_every_image_once_with_its_label(data):
    feed = feeds(data)["train"]
    parts = list(feed.training(0, 0, batch_size=4))
    assert [images.shape for images, _ in parts] == [(4, 3, 8, 8)] * 5 + [(1, 3, 8, 8)]
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in parts)
    order = batches.epoch_order(21, 0, 0)
    assert in_one(parts)[1].tolist() == feed.labels[order].tolist()


def test_images_depend_on_seed_epoch_and_row_alone(data):
    feed = feeds(data)["train"]
    whole = in_one(feed.training(3, 1, batch_size=4))
    state = torch.random.get_rng_state()
    others = [in_one(feeds(data, workers=w)["train"].training(3, 1, batch_size=b)) for w, b in ((2, 4), (0, 7))]
    assert torch.equal(torch.random.get_rng_state(), state)
    for images, labels in others:
        assert torch.equal(images, whole[0])
        assert torch.equal(labels, whole[1])
    for seed, epoch in ((3, 2), (4, 1)):
        rows, other = (torch.argsort(batches.epoch_order(21, *key)) for key in ((3, 1), (seed, epoch)))
        again = in_one(feed.training(seed, epoch, batch_size=4))[0][other]
        assert not any(torch.equal(one, two) for one, two in zip(whole[0][rows], again, strict=True))


@pytest.mark.parametrize("start", [0, 1, 3, 5])
def test_an_epoch_goes_on_without_reading_what_was_seen(data, monkeypatch, start):
    feed = feeds(data)["train"]
    whole = list(feed.training(5, 3, batch_size=4))
    read = []
    monkeypatch.setattr(decoding, "pixels", lambda data, where: read.append(where) or PIXELS(data, where))
    rest = list(feed.training(5, 3, batch_size=4, start=start))
    assert len(read) == 21 - 4 * start
    for (images, labels), (expected_images, expected_labels) in zip(rest, whole[start:], strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


def test_a_share_of_an_epoch_is_all_that_is_read_for_it(data, monkeypatch):
    feed = feeds(data)["train"]
    whole = list(feed.training(5, 3, batch_size=7, start=1))
    read = []
    monkeypatch.setattr(decoding, "pixels", lambda data, where: read.append(where) or PIXELS(data, where))
    share = list(feed.training(5, 3, batch_size=7, start=1, share=slice(1, None, 3)))
    assert [len(labels) for _, labels in share] == [2, 2]
    assert len(read) == 4
    for (images, labels), (expected_images, expected_labels) in zip(share, whole, strict=True):
        assert torch.equal(images, expected_images[1::3])
        assert torch.equal(labels, expected_labels[1::3])


PIXELS = decoding.pixels


@pytest.mark.parametrize("size", [1, 4, 99])
def test_evaluation_is_the_central_crop_of_every_image_in_order(data, size):
    feed = feeds(data)["test"]
    images, labels = in_one(feed.evaluation(size))
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    manifest = store.read_manifest(data, "photos")
    for row, image in enumerate(images):
        colours = image.permute(1, 2, 0) * torch.tensor(manifest.std) + torch.tensor(manifest.mean)
        with Image.open(feed.files.path(row)) as file:
            short = min(file.size)
            sides = [max(9, side * 9 // short) for side in file.size]
            resized = np.array(file.resize(sides, Image.Resampling.BILINEAR)).astype(float)
        left, top = (round((side - 8) / 2) for side in sides)
        expected = resized[top : top + 8, left : left + 8]
        assert np.abs(colours.numpy() - expected).max() <= 1.01


def test_evaluation_batches_are_never_large(data, monkeypatch):
    monkeypatch.setattr("snapshot_cli.datasets.streamed.MAX_EVALUATION_BATCH", 4)
    assert [len(labels) for _, labels in feeds(data)["test"].evaluation(512)] == [4, 2]


def test_without_a_flip_no_image_is_mirrored():
    image = torch.arange(8, dtype=torch.uint8).mul(30).expand(3, 8, 8)
    for flip, mirrored in ((False, 0), (True, 30)):
        made = [decoding.training_view(8, flip=flip)(image)[0, 0].float() for _ in range(60)]
        found = sum(bool(row[0] > row[-1]) for row in made)
        assert found == mirrored == 0 or 10 < found < 50


def test_subsets_holdout_and_rows(data):
    found = feeds(data, train_size=9, holdout=6)
    assert {name: feed.examples for name, feed in found.items()} == {"train": 9, "test": 6, "holdout": 6}
    assert not {*map(bytes, found["train"].files.digests)} & {*map(bytes, found["holdout"].files.digests)}
    part = found["test"].at(torch.tensor([5, 0]))
    assert part.labels.tolist() == [2, 0]
    whole = in_one(found["test"].evaluation(9))[0]
    assert torch.equal(in_one(part.evaluation(9))[0], whole[[5, 0]])


def test_a_border_is_refused(data):
    with pytest.raises(UserError, match="padding: the images of photos are streamed"):
        feeds(data, padding=1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "cannot be read (No such file or directory), though it was there when"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "is not the file that was there when"),
    ],
)
def test_files_that_changed_since_are_named(data, workers, change, message):
    feed = feeds(data, workers=workers)["train"]
    change(feed.files.path(8))
    with pytest.raises(UserError) as caught:
        list(feed.training(0, 0, batch_size=4))
    assert str(caught.value) == (
        f"{feed.files.path(8)}: {message} the dataset was prepared;"
        f" put {'it' if 'cannot' in message else 'that'} back, or prepare the dataset again"
    )
    with pytest.raises(UserError, match="prepare the dataset again"):
        store.verify_files(data, "photos")


def test_the_wait_for_images_is_measured(data):
    feed = feeds(data)["train"]
    list(feed.training(0, 0, batch_size=4))
    assert 0.5 < feed.data_wait <= 1  # this process decodes, and nothing is trained


class Counting(Silent):
    def __init__(self):
        self.seen = []

    def on_step(self, step, lr):
        self.seen.append(step)

    def has_seen(self, step):
        return step in self.seen


def trained(data, results, *, stops=(), workers=0, **changes):
    """Train, stopped after each of some steps, and return the run's directory."""
    machine = Machine(data, results, "cpu", 1, workers=workers)
    for step in (*stops, None):
        callback = Counting()
        try:
            in_process.train(run(**changes), machine, callback=callback, stop=partial(callback.has_seen, step))
        except Stopped:
            assert callback.seen[-1] == step
    return RunDirectory.of(run(**changes), results)


def test_a_stopped_run_ends_as_one_that_was_not(data, tmp_path, monkeypatch):
    monkeypatch.setattr("snapshot_cli.training.interpolate.LAMBDAS", (0.5, 1.0))
    one = trained(data, tmp_path / "one", holdout=3)
    two = trained(data, tmp_path / "two", holdout=3, stops=(2, 7), workers=2)
    names = [path.relative_to(one.path) for path in one.path.rglob("*.*") if path.suffix in (".safetensors", ".npy")]
    assert len(names) == 2 + 2 * 3
    for name in names:
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes(), name
    in_process.interpolate(run(holdout=3), Machine(data, tmp_path / "two", "cpu", 1, workers=0))
    assert two.has_interpolation


def test_a_decoding_process_that_dies_is_said(data, tmp_path, monkeypatch):
    step = loop.step

    def kill(training, *rest):
        for child in torch.multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        return step(training, *rest)

    monkeypatch.setattr(loop, "step", kill)
    with pytest.raises(UserError) as caught:
        trained(data, tmp_path / "one", workers=2)
    path = RunDirectory.of(run(), tmp_path / "one").path
    text = str(caught.value)
    assert text.startswith(f"{path}: a process that decodes images has died (DataLoader worker (pid")
    assert text.endswith(
        "; if memory was short, use fewer --workers; type the same command to resume from the last checkpoint"
    )
    monkeypatch.undo()
    assert trained(data, tmp_path / "one").status == "done"


def test_labels_are_those_of_the_folders(data):
    feed = feeds(data)["train"]
    assert [WNIDS[label] for label in feed.labels] == [feed.files.path(row).parent.name for row in range(21)]
    assert replace(feed).data_wait == 0


SMALL = 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"'


@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs a mount namespace of its own",
)
def test_shared_memory_that_is_full_is_said_at_once(tmp_path):
    """As in a container of Docker's, which gives 64 MB: the batches here are smaller, and so is /dev/shm."""
    prepare("photos", tmp_path / "data", source=write(tmp_path / "photos"), size=32, streamed=True)
    (tmp_path / "run.yaml").write_text(yaml_file.written(run(batch_size=21)))
    words = ["train", "run.yaml", "--workers", "2", "--device", "cpu"]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", SMALL, "bash", sys.executable, "-m", "snapshot_cli", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("/dev/shm: too small for a batch of images: 0.1 MB, ")


def test_a_stop_is_heard_while_a_batch_is_waited_for(data, tmp_path, monkeypatch):
    """Of decoders that are stuck, as on a file system that does not answer, none is left behind."""
    expected = trained(data, tmp_path / "unbroken")
    real = decoding.Decoding.__getitem__

    def stuck(self, rows):
        if self.purpose and self.purpose[2] == 1:  # in the second epoch
            time.sleep(600)
        return real(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(decoding.Decoding, "__getitem__", stuck)
        patch.setattr("snapshot_cli.datasets.streamed.POLL_SECONDS", 0.2)
        patch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
        machine, callback = Machine(data, tmp_path / "stopped", "cpu", 1, workers=2), Counting()
        with pytest.raises(Stopped, match="stopped after 6 steps; type the same command to resume"):
            in_process.train(run(), machine, callback=callback, stop=lambda: asked_after(callback, 6))
    assert not torch.multiprocessing.active_children()
    again = trained(data, tmp_path / "stopped")
    for name in ("snapshots/2.safetensors", "predictions/test-2.npy"):
        assert (again.path / name).read_bytes() == (expected.path / name).read_bytes()


def asked_after(callback, step):
    """Tell, some time after a step, that training is to stop: not between it and the next."""
    if not callback.has_seen(step):
        return False
    begun = vars(callback).setdefault("begun", time.monotonic())
    return time.monotonic() > begun + 0.5


def test_lighting_changes_images_and_none_changes_nothing_else(data):
    plain, lit = (feeds(data, lighting=strength)["train"] for strength in (0.0, 0.5))
    (images, labels), (changed, same) = (next(feed.training(0, 0, batch_size=4)) for feed in (plain, lit))
    assert torch.equal(labels, same)
    difference = changed - images
    assert difference.abs().amax() > 0.01
    torch.testing.assert_close(difference, difference[:, :, :1, :1].expand_as(difference), atol=1e-5, rtol=0)


def test_a_test_transform_can_be_sent_to_another_process(data):
    transform = feeds(data)["test"].transform
    view = pickle.loads(pickle.dumps(decoding.evaluation_view(transform)))
    image = torch.arange(3 * 20 * 30).reshape(3, 20, 30).to(torch.uint8)
    assert torch.equal(view(image), decoding.evaluation_view(transform)(image))


def test_a_damaged_member_of_a_zip_is_named(data, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    prepare("zipped", data, source=Path(archive), size=8, streamed=True)
    with zipfile.ZipFile(archive) as opened:
        member = max(opened.infolist(), key=lambda member: member.compress_size)
    content = bytearray(Path(archive).read_bytes())
    start = member.header_offset + 30 + len(member.filename)
    refused = set()
    for place in range(start, start + member.compress_size, 3):
        content[place] ^= 255
        Path(archive).write_bytes(content)
        content[place] ^= 255
        with pytest.raises(UserError, match="prepare the dataset again") as caught:
            store.verify_files(data, "zipped")
        refused.add(str(caught.value))
    assert any("decompress" in words for words in refused)
