import tracemalloc

import numpy as np
import pytest

from snapshot_cli.datasets import averaging
from snapshot_cli.datasets.averaging import area_average, area_averages


def grey(rows):
    return np.repeat(np.array(rows, dtype=np.uint8)[..., None], 3, axis=2)


def test_block_means_are_exact_and_halves_go_to_even():
    image = grey([[0, 1, 10, 20], [0, 1, 30, 40], [1, 2, 255, 255], [1, 2, 255, 254]])
    assert area_average(image, 2)[..., 0].tolist() == [[0, 25], [2, 255]]  # 0.5, 25, 1.5, 254.75


def test_same_size_is_the_same_image():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(area_average(image, 8), image)


def test_channels_stay_apart():
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    image[..., 1] = 100
    assert area_average(image, 2)[0, 0].tolist() == [0, 100, 0]


@pytest.mark.parametrize("transposed", [False, True])
def test_the_central_square_of_an_oblong_counts(transposed):
    image = grey([[9, 10, 20, 9], [9, 30, 40, 9]])
    image = image.transpose(1, 0, 2) if transposed else image
    assert area_average(image, 1)[0, 0].tolist() == [25, 25, 25]


def test_a_side_that_is_no_multiple_weighs_areas():
    # 3 to 2 pixels: each output covers one and a half inputs, weights 2/3 and 1/3.
    image = grey([[0, 90, 180]] * 3)
    assert area_average(image, 2)[..., 0].tolist() == [[30, 150], [30, 150]]
    assert area_average(image.transpose(1, 0, 2), 2)[..., 0].tolist() == [[30, 30], [150, 150]]


@pytest.mark.parametrize(("side", "size"), [(7, 4), (31, 8), (100, 32)])
def test_averaging_is_repeating_every_pixel_and_taking_block_means(side, size):
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    repeated = image.repeat(size, axis=0).repeat(size, axis=1).reshape(size, side, size, side, 3)
    expected = np.rint(repeated.sum(axis=(1, 3), dtype=np.int64) / side**2)
    np.testing.assert_array_equal(area_average(image, size), expected)


def test_many_at_once():
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    expected = np.rint(images.reshape(3, 4, 2, 4, 2, 3).mean(axis=(2, 4)))
    np.testing.assert_array_equal(area_averages(images, 4), expected)


@pytest.mark.parametrize(("side", "size"), [(100, 32), (31, 8), (12, 12)])
def test_blocks_of_any_height_give_the_same_means(side, size, monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    expected = area_average(image, size)
    for block in (1, 1000):
        monkeypatch.setattr(averaging, "BLOCK", block)
        np.testing.assert_array_equal(area_average(image, size), expected)


def test_a_photo_takes_little_more_memory_than_its_pixels():
    photo = np.zeros((1000, 1000, 3), dtype=np.uint8)
    tracemalloc.start()
    area_average(photo, 32)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * photo.nbytes  # in float64 they would take eight times as much
