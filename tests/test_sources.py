import numpy as np
import pytest
from sklearn.datasets import load_digits

from snapshot_cli.datasets import proportions
from snapshot_cli.datasets.sources import read_digits
from snapshot_cli.datasets.store import Arrays, canonical_order, content_hash, digests_of


@pytest.fixture(scope="module")
def splits():
    return read_digits()


def test_digits_are_split_into_400_and_1397_by_class(splits):
    assert splits.train_images.shape == (400, 8, 8, 3)
    assert splits.test_images.shape == (1397, 8, 8, 3)
    assert splits.classes == tuple("0123456789")
    assert splits.source == "scikit-learn's load_digits"
    assert np.bincount(splits.test_labels).tolist() == [138, 142, 138, 142, 141, 141, 141, 139, 135, 140]
    assert np.bincount(splits.train_labels).tolist() == [40, 40, 39, 41, 40, 41, 40, 40, 39, 40]


def test_digits_are_scaled_to_bytes_in_three_equal_channels(splits):
    images = np.concatenate([splits.train_images, splits.test_images])
    assert images.dtype == np.uint8
    assert np.unique(images).tolist() == [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert (images == images[..., :1]).all()


def test_digits_are_all_there_once(splits):
    found = np.concatenate([splits.train_images, splits.test_images])[..., 0]
    expected = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in expected)


def test_digits_never_change(splits):
    train = canonical_order(digests_of(splits.train_images), splits.train_labels)
    test = canonical_order(digests_of(splits.test_images), splits.test_labels)
    arrays = Arrays(
        splits.train_images[train], splits.train_labels[train], splits.test_images[test], splits.test_labels[test]
    )
    assert content_hash(arrays) == "47dfa2e54589aad376a98b57ebd4a86557af69f77d6c232c22637c10ded583a3"


@pytest.mark.parametrize(
    ("counts", "examples", "shares"),
    [([10, 10], 4, [2, 2]), ([10, 11], 4, [2, 2]), ([1, 1, 1], 2, [1, 1, 0]), ([7, 2, 1], 5, [4, 1, 0])],
)
def test_shares_add_up(counts, examples, shares):
    assert proportions.shares(counts, examples) == shares
