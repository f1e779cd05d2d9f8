import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_cli.datasets import store
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.datasets.store import (
    Arrays,
    canonical_order,
    content_hash,
    digests_of,
    load,
    prepared,
    read_rows,
    save,
    verify,
)
from snapshot_cli.errors import UserError


def fabricate(seed=0, name="photos"):
    draw = np.random.default_rng(seed)
    arrays = Arrays(
        draw.integers(0, 256, (6, 4, 4, 3), dtype=np.uint8),
        np.array([0, 0, 0, 1, 1, 1]),
        draw.integers(0, 256, (2, 4, 4, 3), dtype=np.uint8),
        np.array([0, 1]),
    )
    manifest = Manifest(
        name, "photos, a folder of images", ("cat", "dog"), 4, 6, 2, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), None, True,
        content_hash(arrays),
    )  # fmt: skip
    return manifest, arrays


def test_comes_back_as_it_was(tmp_path):
    manifest, arrays = fabricate()
    folder = save(tmp_path / "data", manifest, arrays)
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "test-images.npy",
        "test-labels.npy",
        "train-images.npy",
        "train-labels.npy",
    ]
    dataset = load(tmp_path / "data", "photos")
    assert dataset.manifest == manifest == verify(tmp_path / "data", "photos")
    for field, array in arrays._asdict().items():
        found = getattr(dataset, field)
        assert isinstance(found, np.memmap)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
        found[:] = 0  # stays in memory
    assert verify(tmp_path / "data", "photos") == manifest
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["photos"]


def test_a_killed_save_leaves_nothing(tmp_path, monkeypatch):
    def killed(manifest):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "to_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, *fabricate())
    assert list(tmp_path.iterdir()) == []


def test_a_save_that_fails_keeps_what_was_there(tmp_path, monkeypatch):
    manifest, arrays = fabricate()
    save(tmp_path, manifest, arrays)
    monkeypatch.setattr(store, "to_json", lambda manifest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(tmp_path, *fabricate(seed=1))
    assert verify(tmp_path, "photos") == manifest


def test_an_older_dataset_is_replaced_whole(tmp_path):
    save(tmp_path, *fabricate())
    newer, arrays = fabricate(seed=1)
    save(tmp_path, newer, arrays)
    assert verify(tmp_path, "photos") == newer
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_dataset_that_another_process_puts_there_meanwhile_is_replaced(tmp_path, monkeypatch):
    manifest, arrays = fabricate()
    others = [fabricate(seed=seed) for seed in (1, 2)]
    rename = os.rename

    def crowded(old, new):
        if Path(new).name == "photos" and others:
            monkeypatch.setattr("os.rename", rename)
            save(tmp_path, *others.pop())
            monkeypatch.setattr("os.rename", crowded)
        rename(old, new)

    monkeypatch.setattr("os.rename", crowded)
    save(tmp_path, manifest, arrays)
    assert load(tmp_path, "photos").manifest == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_dataset_that_is_a_link_to_another_disk_is_replaced(tmp_path):
    old = save(tmp_path / "disk", *fabricate(seed=1))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/photos").symlink_to(old)
    manifest, arrays = fabricate()
    save(tmp_path / "data", manifest, arrays)
    assert load(tmp_path / "data", "photos").manifest == manifest
    assert load(tmp_path / "disk", "photos").manifest != manifest


def test_rows_are_those_of_the_dataset_that_was_opened_whatever_replaces_it(tmp_path, monkeypatch):
    save(tmp_path, *fabricate())
    images = load(tmp_path, "photos").train_images
    expected = np.array(images)
    save(tmp_path, *fabricate(seed=1))
    for block in (1, store.BLOCK):
        monkeypatch.setattr(store, "BLOCK", block)
        np.testing.assert_array_equal(read_rows(images, np.array([5, 0, 3])), expected[[5, 0, 3]])


@pytest.mark.parametrize("failing", ["flush_folder", "_flush", "_write"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, monkeypatch, failing):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, failing, full)
    with pytest.raises(UserError) as caught:
        save(tmp_path / "data", *fabricate())
    assert str(caught.value) == (
        f"{tmp_path}/data/photos: no space left on the device; make room, or give another --data-dir"
    )
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("array", [np.arange(5), np.zeros((2, 3, 3, 3), np.uint8)[:, ::2], np.array([b"a", b"bc"])])
def test_arrays_are_written_as_numpy_writes_them(tmp_path, array):
    np.save(tmp_path / "a.npy", np.ascontiguousarray(array))
    with open(tmp_path / "b.npy", "wb") as file:
        store._write(file, array)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_folder_that_is_no_dataset_is_never_replaced(tmp_path):
    (tmp_path / "photos/train").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        save(tmp_path, *fabricate())
    assert str(caught.value) == (
        f"{tmp_path}/photos exists and is not a prepared dataset; move it away or choose another name"
    )
    assert (tmp_path / "photos/train").is_dir()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("digits", "snapshot data prepare digits"),
        (
            "cifar100-16",
            "snapshot data prepare cifar100 --size 16 (downloads cifar-100-binary.tar.gz; to use local files,"
            " add --from PATH)",
        ),
        (
            "photos",
            "snapshot data prepare photos --from PATH --size PIXELS"
            " (PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)",
        ),
    ],
)
def test_absent_dataset_says_what_to_type(tmp_path, name, command):
    with pytest.raises(UserError) as caught:
        load(tmp_path, name)
    assert str(caught.value) == f"dataset '{name}' is not prepared in {tmp_path}; type: {command}"


ANEW = "prepare it anew: snapshot data prepare digits"


def test_verify_notices_one_changed_pixel(tmp_path):
    manifest, arrays = fabricate(name="digits")
    save(tmp_path, manifest, arrays)
    images = np.load(tmp_path / "digits/test-images.npy", mmap_mode="r+")
    images[1, 2, 3, 0] ^= 1
    images.flush()
    found = content_hash(arrays._replace(test_images=images))
    with pytest.raises(UserError) as caught:
        verify(tmp_path, "digits")
    assert str(caught.value) == (
        f"{tmp_path}/digits: the manifest's content hash is {manifest.content_hash}, the arrays' is {found}; {ANEW}"
    )


def test_counts_that_differ_are_noticed_at_once(tmp_path):
    manifest, arrays = fabricate(name="digits")
    save(tmp_path, replace(manifest, train=7), arrays)
    with pytest.raises(UserError) as caught:
        load(tmp_path, "digits")
    assert str(caught.value) == (
        f"{tmp_path}/digits: the manifest counts 7 training and 2 test images, the arrays have 6 (6 labels)"
        f" and 2 (2 labels); {ANEW}"
    )


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_missing_and_truncated_arrays_are_named(tmp_path, damage):
    save(tmp_path, *fabricate(name="digits"))
    damage(tmp_path / "digits/train-images.npy")
    with pytest.raises(UserError) as caught:
        load(tmp_path, "digits")
    assert str(caught.value) == f"{tmp_path}/digits: train-images.npy cannot be read; {ANEW}"


def test_canonical_order_is_by_label_then_sha256():
    images = np.arange(5 * 4 * 4 * 3).astype(np.uint8).reshape(5, 4, 4, 3)
    labels = np.array([1, 0, 1, 0, 0])
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    expected = sorted([1, 3, 4], key=digests.__getitem__) + sorted([0, 2], key=digests.__getitem__)
    assert canonical_order(digests_of(images), labels).tolist() == expected


@given(st.permutations(range(8)))
@settings(max_examples=30)
def test_any_order_of_the_same_images_gives_the_same_arrays(permutation):
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
    images[3] = images[5]
    labels = np.array([0, 1, 0, 1, 1, 1, 0, 0])
    order, shuffled = canonical_order(digests_of(images), labels), np.array(permutation)
    again = canonical_order(digests_of(images[shuffled]), labels[shuffled])
    np.testing.assert_array_equal(images[shuffled][again], images[order])
    np.testing.assert_array_equal(labels[shuffled][again], labels[order])


def test_content_hash_is_of_shapes_and_bytes_and_golden():
    arrays = Arrays(
        np.zeros((1, 4, 4, 3), np.uint8), np.array([0]), np.ones((1, 4, 4, 3), np.uint8), np.array([1])
    )  # fmt: skip
    assert content_hash(arrays) == "8bb33247e412b326747d8b2a27fb727c56648c8a2fe6db0dc905cbcd4c19a431"
    assert content_hash(arrays._replace(test_labels=np.array([0]))) != content_hash(arrays)
    assert content_hash(arrays._replace(train_images=np.zeros((4, 1, 4, 3), np.uint8))) != content_hash(arrays)


def test_content_hash_does_not_depend_on_memory_layout():
    _, arrays = fabricate()
    strided = arrays._replace(
        train_images=np.asfortranarray(arrays.train_images), train_labels=arrays.train_labels.astype(">i8")
    )
    assert content_hash(strided) == content_hash(arrays)


def test_prepared_lists_what_was_saved(tmp_path):
    manifest, arrays = fabricate()
    save(tmp_path, manifest, arrays)
    save(tmp_path, replace(manifest, name="more"), arrays)
    assert list(prepared(tmp_path)) == ["more", "photos"]


@pytest.mark.parametrize("name", ["red\x1b[31m", "two\nlines", "\u202eleft", "bytes\udcff"])
def test_names_of_classes_that_no_line_can_show_are_refused(tmp_path, name):
    manifest, arrays = fabricate()
    with pytest.raises(UserError) as caught:
        save(tmp_path, replace(manifest, classes=("cat", name)), arrays)
    assert str(caught.value) == (
        f"photos: the class {name!r} has control characters in its name, or bytes that are not UTF-8; rename its folder"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        (
            "train_images",
            lambda array: array.astype(np.int64),
            "expected images uint8 of SIDE, they are int64",
        ),
        ("test_images", lambda array: array[:, :-1], "expected images uint8 of SIDE, they are uint8"),
        ("train_labels", lambda array: array.astype(np.float64), "expected labels int64 from 0 to"),
        ("train_labels", lambda array: array[:, None], "expected labels int64 from 0 to"),
        ("test_labels", lambda array: array + 99, "expected labels int64 from 0 to"),
        ("train_labels", lambda array: array - 1, "expected labels int64 from 0 to"),
        ("train_images", lambda array: np.array(7), "train-images.npy cannot be read"),
        ("train_labels", lambda array: np.array([print] * 6), "train-labels.npy cannot be read"),
    ],
)
def test_arrays_of_another_kind(tmp_path, field, change, message):
    manifest, arrays = fabricate(name="digits")
    save(tmp_path, manifest, arrays)
    np.save(tmp_path / f"digits/{field.replace('_', '-')}.npy", change(getattr(arrays, field)), allow_pickle=True)
    with pytest.raises(UserError) as caught:
        load(tmp_path, "digits")
    words = message.replace("SIDE", f"({manifest.size}, {manifest.size}, 3)")
    assert str(caught.value).startswith(f"{tmp_path}/digits: {words}")
    assert str(caught.value).endswith(ANEW)


MEASURE = """
import resource, sys
from pathlib import Path
import torch
from snapshot_cli.config.experiment import Run
from snapshot_cli.datasets import batches, store
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.verify(Path("data"), "large")
run = Run(dataset="large", network="resnet-8", budget=1, cycles=1, alpha0=0.1, schedule="cosine", train_size=200)
feed = batches.build_feeds(run, store.load(Path("data"), "large"), device=torch.device("cpu"))["train"]
assert feed.images.pixels.shape == (200, 64, 64, 3), feed.images.pixels.shape
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000)
"""


def test_a_part_of_the_images_is_loaded_without_the_rest(tmp_path):
    images, labels = np.zeros((20_000, 64, 64, 3), np.uint8), np.repeat(np.arange(2), 10_000)  # 246 MB
    images[:, 0, 0, 0] = np.arange(20_000) % 256
    arrays = Arrays(images, labels, images[:2], np.arange(2))
    size, hash_ = images.shape[1], content_hash(arrays)
    colours = ((1.0,) * 3,) * 2
    save(tmp_path / "data", Manifest("large", "x", ("a", "b"), size, 20_000, 2, *colours, None, True, hash_), arrays)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 80  # megabytes; all images have 246


def test_rows_of_a_mapped_array_are_those_of_the_array(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 2, 3), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="c")
    for rows in ([0], [8, 2, 3, 4], [5, 5, 6], list(range(9))):
        np.testing.assert_array_equal(read_rows(mapped, np.array(rows)), images[rows])
        np.testing.assert_array_equal(
            read_rows(mapped[1:], np.array(rows[:1]) // 2), images[1:][np.array(rows[:1]) // 2]
        )
    assert isinstance(read_rows(mapped, np.array([1])), np.ndarray)
