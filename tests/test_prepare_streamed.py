import os
from dataclasses import replace

import numpy as np
import pytest
from fabricated_images import write_folder
from PIL import Image
from streamed_folders import TEST, TRAIN, WNIDS, flat_val, jpeg, train_files, val_files, write, write_meta

from snapshot_cli.datasets import catalogue, prepare_streamed, store
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.listing import LAYOUTS, Choices, list_images
from snapshot_cli.datasets.prepare import prepare
from snapshot_cli.errors import ConfigError, UserError

SMALL = replace(catalogue.CATALOGUE["imagenet"], classes=3, train=3 * TRAIN, test=3 * TEST)


@pytest.fixture
def small_imagenet(monkeypatch):
    monkeypatch.setitem(catalogue.CATALOGUE, "imagenet", SMALL)


def refusal(source, tmp_path, name="photos", error=UserError, **options):
    with pytest.raises(error) as caught:
        prepare(name, tmp_path / "data", source=source, **{"streamed": True} | options)
    return str(caught.value).replace(f"{source}", "HERE")


def test_an_index_in_canonical_order(tmp_path):
    source = write(tmp_path / "photos")
    manifest = prepare("photos", tmp_path / "data", source=source, size=8, streamed=True)
    assert (manifest.train, manifest.test, manifest.size, manifest.classes) == (21, 6, 8, WNIDS)
    assert manifest.folder == str(source)
    dataset = store.load(tmp_path / "data", "photos")
    for images, labels in (
        (dataset.train_images, dataset.train_labels),
        (dataset.test_images, dataset.test_labels),
    ):
        assert labels.tolist() == sorted(labels)
        for row, label in enumerate(labels):
            assert images.path(row).parent.name == WNIDS[label]
            assert images.read(row) == images.path(row).read_bytes()
    assert store.verify(tmp_path / "data", "photos") == manifest
    store.verify_files(tmp_path / "data", "photos")


def test_how_far_the_reading_is_can_be_told(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_streamed, "AT_ONCE", 10)
    told = []
    source, progress = write(tmp_path / "photos"), lambda *numbers: told.append(numbers)
    prepare("photos", tmp_path / "data", source=source, size=8, streamed=True, progress=progress)
    store.verify_files(tmp_path / "data", "photos", progress)
    assert told == [(0, 27), (10, 27), (20, 27), (0, 21), (0, 6)]


def test_the_hash_is_of_what_is_in_the_files(tmp_path):
    def hash_of(name, size=8, **changes):
        source = write(tmp_path / name, **changes)
        return prepare(name, tmp_path / "data", source=source, size=size, streamed=True).content_hash

    renamed = {"train__n00000001__n00000001_0.JPEG": None, "train__n00000001__other.JPEG": jpeg(0)}
    assert hash_of("a") == hash_of("b", **renamed)
    assert len({hash_of("a"), hash_of("c", size=16), hash_of("d", **{"train__n00000001__n00000001_0.JPEG": None})}) == 3
    assert hash_of("a") != hash_of("e", **{"train__n00000001__n00000001_0.JPEG": jpeg(77)})


def test_flat_validation_images_get_the_classes_of_the_devkit(tmp_path, small_imagenet):
    by_class = prepare("imagenet", tmp_path / "one", source=write(tmp_path / "a"))
    flat = write_folder(tmp_path / "b", train_files() | flat_val())
    write_meta(flat)
    found = prepare("imagenet", tmp_path / "two", source=flat)
    assert found.content_hash == by_class.content_hash
    assert found.classes == tuple(f"{w} {title}" for w, title in zip(WNIDS, ("tench", "dog", "fox"), strict=True))
    assert (found.mean, found.std) == (SMALL.mean, SMALL.std)


def test_flat_validation_images_get_the_classes_of_kaggle(tmp_path, small_imagenet):
    flat = {name: content for name, content in flat_val().items() if name.endswith("JPEG")}
    lines = ["ImageId,PredictionString"]
    lines += [f"ILSVRC2012_val_{k + 1:08},{WNIDS[k // 2]} 1 2 3 4 " for k in reversed(range(6))]
    flat["LOC_val_solution.csv"] = "\n".join(lines).encode()
    found = prepare("imagenet", tmp_path / "one", source=write_folder(tmp_path / "a", train_files() | flat))
    assert found.content_hash == prepare("imagenet", tmp_path / "two", source=write(tmp_path / "b")).content_hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ILSVRC2012_validation_ground_truth.txt": b"3\n3\n1\n1\n2\n"},
         "HERE/ILSVRC2012_validation_ground_truth.txt: lists 5 images, HERE/val has 6; unpack these again"),
        ({"ILSVRC2012_validation_ground_truth.txt": b"3\n4\n1\n1\n2\n2\n"},
         "HERE/ILSVRC2012_validation_ground_truth.txt:2: expected the number of a class of meta.mat, given '4'"),
        ({"ILSVRC2012_validation_ground_truth.txt": None},
         "HERE: val has no folders of classes, so ILSVRC2012_validation_ground_truth.txt of"
         " ILSVRC2012_devkit_t12.tar.gz must provide the labels;"
         " unpack that there (or put Kaggle's LOC_val_solution.csv there); for other images use val/CLASS/FILE, or"
         " --test-share 0.2"),
        ({"meta.mat": b"MATLAB"}, "HERE/meta.mat: is not the devkit's meta.mat ("),
        ({"val/ILSVRC2012_val_00000006.JPEG": None, "val/x.JPEG": b""},
         "HERE/val/x.JPEG: HERE/ILSVRC2012_validation_ground_truth.txt does not list this image"),
    ],
)  # fmt: skip
def test_wrong_ground_truth(tmp_path, small_imagenet, changes, message):
    source = write_folder(tmp_path / "a", train_files() | flat_val())
    write_meta(source)
    for name, content in changes.items():
        (source / name).unlink(missing_ok=True)
        if content is not None:
            (source / name).write_bytes(content)
    found = refusal(source, tmp_path, "imagenet")
    assert found.startswith(message) if "meta.mat (" in message else found == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({name.replace("/", "__"): None for name in val_files()},
         "HERE: 1 folder with images (train), but no test or val with folders of classes; add --test-share 0.2 to draw"
         f" test images from train, or use another layout: {LAYOUTS}"),
        ({"val__n00000009__a.JPEG": b""},
         "HERE: val has images of class n00000009, train has none; every class needs images in both:"
         " add some, or move its folder away"),
        ({f"val__{WNIDS[0]}__{k}.JPEG": None for k in range(TEST)},
         "HERE: train has images of class n00000001, val has none; every class needs images in both: add some,"
         " or move its folder away"),
        ({name.replace("/", "__"): None for name in train_files()} | {"train__n00000001__.hidden": b""},
         f"HERE: 1 folder with images (val); expected {LAYOUTS}"),
        ({"train__a.jpg": b""}, "HERE: train/a.jpg: expected train/CLASS/FILE, or a table of classes: --labels FILE"),
        ({f"train__{WNIDS[0]}__{WNIDS[0]}_3.JPEG": jpeg(3)[:200], f"val__{WNIDS[1]}__1.JPEG": b"no"},
         "HERE/train/n00000001/n00000001_3.JPEG: cannot be read as an image (TRUNCATED)\n"
         "HERE/val/n00000002/1.JPEG: cannot be read as an image (no image format that Pillow knows)\n"
         "HERE: 2 files cannot be used; mend or delete, or leave out with --skip-broken"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, changes, message):
    found = refusal(write(tmp_path / "photos", **changes), tmp_path)
    if "TRUNCATED" in message:
        first, _, rest = found.partition("\n")
        assert first.startswith(message.partition("TRUNCATED")[0])
        assert rest == message.partition("\n")[2]
    else:
        assert found == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such file or folder"),
        ("photos.tar", "neither a folder nor a zip; give the folder of the images (unpack an archive first)"),
    ],
)
def test_what_is_no_folder_is_not_streamed(tmp_path, name, message):
    (tmp_path / "photos.tar").write_bytes(b"")
    assert refusal(tmp_path / name, tmp_path) == f"HERE: {message}"


def test_bombs_are_refused(tmp_path, monkeypatch):
    source = write(tmp_path / "photos")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 99)
    message = refusal(source, tmp_path).splitlines()
    assert message[0] == "HERE/train/n00000001/n00000001_0.JPEG: cannot be read as an image (more than 99 pixels)"
    assert (len(message), message[10]) == (12, "and 17 more")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 4}, "HERE: 3 classes, ImageNet has 4; give a part of it another name"),
        ({"train": 22}, "HERE: 21 images in train, ImageNet has 22; give a part of it another name"),
        ({"test": 5}, "HERE: 6 images in val, ImageNet has 5; give a part of it another name"),
    ],
)
def test_imagenet_is_all_of_imagenet(tmp_path, monkeypatch, changes, message):
    monkeypatch.setitem(catalogue.CATALOGUE, "imagenet", replace(SMALL, **changes))
    assert refusal(write(tmp_path / "a"), tmp_path, "imagenet") == (
        f"{message}: snapshot data prepare NAME --from HERE --streamed"
    )


def test_every_class_has_as_many_validation_images(tmp_path, small_imagenet):
    changes = {f"val__{WNIDS[0]}__1.JPEG": None, f"val__{WNIDS[1]}__2.JPEG": jpeg(5)}
    assert refusal(write(tmp_path / "a", **changes), tmp_path, "imagenet") == (
        "HERE: 1 images of class n00000001 in val, ImageNet has 2"
    )


def test_large_folders_are_streamed_unless_one_says_otherwise(tmp_path, monkeypatch):
    files = {name.replace("val/", "test/"): content for name, content in (train_files() | val_files()).items()}
    source = write_folder(tmp_path / "photos", files)

    def folder(**options):
        return prepare("photos", tmp_path / "data", source=source, size=8, overwrite=True, **options).folder

    assert folder() is None
    assert folder(streamed=True) == str(source)
    monkeypatch.setattr(prepare_streamed, "LARGE", 27 * 3 * 8**2 - 1)
    assert folder() == str(source)
    assert folder(streamed=False) is None
    monkeypatch.setattr(prepare_streamed, "LARGE", 27 * 3 * 8**2)
    assert folder() is None


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("imagenet", {"streamed": False}, "imagenet is always streamed; leave --resident out"),
        ("cifar10", {"streamed": True}, "cifar10 is always held on the device; leave --streamed out"),
    ],
)
def test_what_cannot_be_meant(tmp_path, name, options, message):
    assert refusal(tmp_path, tmp_path, name, ConfigError, **options) == message


def test_where_imagenet_comes_from(tmp_path):
    message = refusal(None, tmp_path, "imagenet", ConfigError)
    assert message.startswith("imagenet cannot be downloaded by a program: its terms must be agreed to. Fetch ILSVRC")
    assert message.endswith("and type: snapshot data prepare imagenet --from FOLDER")


def test_other_formats_under_the_name_of_a_jpeg(tmp_path):
    changes = {
        f"train__{WNIDS[0]}__{WNIDS[0]}_0.JPEG": jpeg(0, kind="png"),
        f"train__{WNIDS[0]}__{WNIDS[0]}_1.JPEG": jpeg(1, mode="CMYK"),
        f"train__{WNIDS[0]}__{WNIDS[0]}_2.JPEG": jpeg(2, mode="L"),
    }
    source = write(tmp_path / "photos", **changes)
    assert prepare("photos", tmp_path / "data", source=source, streamed=True).train == 21
    assert np.all(np.bincount(store.load(tmp_path / "data", "photos").train_labels) == TRAIN)


def is_large(folder, size=None):
    return prepare_streamed.is_large(list_images(open_source(folder), Choices()), size)


def test_without_a_size_images_are_taken_to_be_as_the_first_one(tmp_path, monkeypatch):
    write(tmp_path)
    first = min(name for name in train_files())
    with Image.open(tmp_path / first) as image:
        monkeypatch.setattr(prepare_streamed, "LARGE", 27 * 3 * max(image.size) ** 2 - 1)
    assert is_large(tmp_path)
    for name in (".DS_Store", "README.md", "train/.DS_Store", f"{first}.txt"):
        (tmp_path / name).write_text("no image")
    assert is_large(tmp_path)
    (tmp_path / first).write_text("damaged")
    assert not is_large(tmp_path)


def test_a_pipe_among_the_images_is_named_and_not_waited_for(tmp_path):
    source = write(tmp_path / "photos")
    os.mkfifo(source / f"train/{WNIDS[0]}/pipe.JPEG")
    assert refusal(source, tmp_path) == (
        f"HERE/train/{WNIDS[0]}/pipe.JPEG: cannot be read (a pipe or a device, not a file)\n"
        "HERE: 1 file cannot be used; mend or delete, or leave out with --skip-broken"
    )
