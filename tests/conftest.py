import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and sums then have one order on every machine

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets import store
from snapshot_cli.datasets.manifest import Manifest

# a busy machine, or a rare draw, fails nobody
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

TRAIN, TEST, CLASSES, SIDE = 90, 23, 4, 8


if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # nohup; the program would leave it ignored
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where torch finds none."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device here"))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A folder with the prepared dataset `tiny`: 90 + 23 images of 8x8 pixels, 4 classes that differ in colour."""
    draw = np.random.default_rng(0)
    colours = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [150, 150, 40]])

    def split(examples):
        labels = np.sort(np.arange(examples) % CLASSES).astype(np.int64)
        noise = draw.integers(-60, 56, (examples, SIDE, SIDE, 3))
        return np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8), labels

    arrays = store.Arrays(*split(TRAIN), *split(TEST))
    mean = tuple(float(value) for value in arrays.train_images.mean((0, 1, 2)))
    deviation = tuple(float(value) for value in arrays.train_images.std((0, 1, 2)))
    manifest = Manifest(
        "tiny", "drawn for the tests", tuple("abcd"), SIDE, TRAIN, TEST, mean, deviation, None, True,
        store.content_hash(arrays),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("data")
    store.save(folder, manifest, arrays)
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tiny_data):
    return store.load(tiny_data, "tiny")


@pytest.fixture(scope="session")
def tiny_run():
    """A function that makes a run of 3 epochs of 6 steps, the last with 10 images, and M = 2."""

    def make(**changes):
        values = {
            "dataset": "tiny", "network": "resnet-8", "budget": 3, "batch_size": 16, "cycles": 2, "alpha0": 0.1,
            "schedule": "cosine",
        }  # fmt: skip
        return Run(**values | changes)

    return make
