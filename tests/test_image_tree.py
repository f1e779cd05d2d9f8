import numpy as np
import pytest
from fabricated_images import png, write_folder, write_zip

from snapshot_cli.datasets.image_tree import tree
from snapshot_cli.errors import UserError


def flat(value, height=8, width=8):
    return png(np.full((height, width, 3), value, dtype=np.uint8))


FILES = {
    "train/dog/a.png": flat(10),
    "train/dog/b.png": flat(20),
    "train/cat/a.png": flat(30),
    "test/cat/x.png": flat(40),
    "test/dog/y.png": flat(50),
}


def changed(**changes):
    """Return the files with some replaced, added or (None) taken away; __ stands for / and _ for ."""
    files = FILES | {name.replace("__", "/").replace("_", "."): content for name, content in changes.items()}
    return {name: content for name, content in files.items() if content is not None}


def refusal(path, **options):
    with pytest.raises(UserError) as caught:
        tree(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize(("write", "kind"), [(write_folder, "folder"), (write_zip, "zip")])
@pytest.mark.parametrize("around", ["", "my photos/"])
def test_folder_and_zip(tmp_path, write, kind, around):
    path = write(tmp_path / "photos", {around + name: content for name, content in FILES.items()})
    splits = tree(path)
    assert splits.classes == ("cat", "dog")
    assert splits.train_images.shape == (3, 8, 8, 3)
    assert splits.train_images[:, 0, 0, 0].tolist() == [30, 10, 20]
    assert splits.train_labels.tolist() == [0, 1, 1]
    assert splits.test_images[:, 0, 0, 0].tolist() == [40, 50]
    assert splits.test_labels.tolist() == [0, 1]
    assert (splits.train_images.dtype, splits.train_labels.dtype) == (np.uint8, np.int64)
    assert splits.source == f"photos, a {kind} of images"


def test_files_beside_train_and_test_are_left_alone(tmp_path):
    path = write_folder(tmp_path / "photos", {**FILES, "README.md": b"", "val/cat/1.png": b"", "train/dog/.x": b""})
    assert len(tree(path).train_images) == 3


def test_size_crops_and_averages_whatever_is_there(tmp_path):
    path = write_folder(
        tmp_path / "photos", changed(train__dog__a_png=flat(10, 16, 12), test__cat__x_png=flat(40, 4, 9))
    )
    splits = tree(path, size=4)
    assert splits.train_images.shape == (3, 4, 4, 3)
    assert splits.train_images[:, 3, 3, 2].tolist() == [30, 10, 20]
    assert splits.test_images.shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            changed(train__emu__a_png=flat(1), test__dog__y_png=None, test__ant__a_png=flat(1)),
            {},
            "train and test have different classes; only in train: dog, emu; only in test: ant",
        ),
        ({"test/cat/1.png": flat(1)}, {}, "no images in train; expected the layout {train,test}/<class>/<file>"),
        ({"photos/1.png": flat(1)}, {}, "no images in train and test; expected the layout {train,test}/<class>/<file>"),
        ({}, {}, "no images in train and test; expected the layout {train,test}/<class>/<file>"),
        (changed(train__a_png=flat(1)), {}, "train/a.png: expected {train,test}/<class>/<file>"),
        (changed(train__dog__2025__a_png=flat(1)), {}, "train/dog/2025/a.png: expected {train,test}/<class>/<file>"),
        (
            changed(train__dog__notes_txt=b"hello"),
            {},
            "train/dog/notes.txt: cannot be read as an image (no image format that Pillow knows)",
        ),
        (
            changed(test__dog__y_png=flat(1, 6, 4)),
            {},
            "test/dog/y.png is 4x6, the first image 8x8; images of several sizes need --size PIXELS",
        ),
        (
            changed(train__cat__a_png=flat(1, 6, 4)),
            {},
            "train/cat/a.png is 4x6, not a square; give --size PIXELS to crop and average",
        ),
        (
            changed(train__cat__a_png=flat(1, 3, 7)),
            {"size": 4},
            "train/cat/a.png is 7x3, too small for 4x4; give a smaller --size",
        ),
    ],
)
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_what_is_wrong_is_named(tmp_path, write, files, options, message):
    path = tmp_path / "photos"
    if not files and write is write_folder:
        path.mkdir()
    assert refusal(write(path, files), **options) == message
