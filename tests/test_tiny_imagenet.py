import io

import numpy as np
import pytest
from fabricated_images import SIDE, WNIDS, png, tiny_imagenet_files, write_folder, write_zip
from PIL import Image

from snapshot_cli.datasets import image_tree
from snapshot_cli.datasets import tiny_imagenet as layout
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.errors import UserError

FILES = tiny_imagenet_files()
TOP = "tiny-imagenet-200"


def in_tiny_layout(path):
    return layout.in_tiny_layout(open_source(path))


def tiny_imagenet(path, *, size=None):
    listing = layout.list_tiny_imagenet(open_source(path))
    return image_tree.read(listing, path.parent / "array", size=size)


def decoded(name):
    return np.array(Image.open(io.BytesIO(FILES[f"{TOP}/{name}"])).convert("RGB"))


@pytest.mark.parametrize(("write", "kind"), [(write_folder, "folder"), (write_zip, "zip")])
@pytest.mark.parametrize("around", ["tiny-imagenet-200/", ""])
def test_folder_and_zip(tmp_path, write, kind, around):
    path = write(tmp_path / "tiny", {around + name.removeprefix(f"{TOP}/"): content for name, content in FILES.items()})
    assert in_tiny_layout(path)
    splits = tiny_imagenet(path)
    assert splits.classes == ("n01443537 goldfish", "n02231487", "n04398044 teapot")
    assert splits.train_labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert splits.test_labels.tolist() == [0, 2, 1, 0, 2, 1]  # as val_annotations.txt has them
    assert (splits.train_images.shape, splits.test_images.shape) == ((12, SIDE, SIDE, 3), (6, SIDE, SIDE, 3))
    for row in range(4):
        np.testing.assert_array_equal(
            splits.train_images[row], decoded(f"train/{WNIDS[0]}/images/{WNIDS[0]}_{row}.JPEG")
        )
    assert (splits.train_images[3] == splits.train_images[3][..., :1]).all()  # the grey one
    for row in range(6):
        np.testing.assert_array_equal(splits.test_images[row], decoded(f"val/images/val_{row}.JPEG"))
    assert splits.source == f"tiny, a {kind} in Tiny ImageNet's layout"


def test_averaged(tmp_path):
    assert tiny_imagenet(write_zip(tmp_path / "a.zip", FILES), size=4).test_images.shape == (6, 4, 4, 3)


def test_class_names_without_titles(tmp_path):
    files = {name: content for name, content in FILES.items() if not name.endswith("words.txt")}
    assert tiny_imagenet(write_zip(tmp_path / "a.zip", files)).classes == WNIDS


def test_other_layouts(tmp_path):
    assert not in_tiny_layout(write_folder(tmp_path / "a", {"train/cat/1.png": b"", "test/cat/1.png": b""}))
    assert in_tiny_layout(write_folder(tmp_path / "b", {"wnids.txt": b""}))  # so that what is missing is named


def val_lines(change):
    lines = FILES[f"{TOP}/val/val_annotations.txt"].decode().splitlines()
    change(lines)
    return "\n".join(lines).encode()


GOLDFISH = "train/n01443537/images/n01443537_0.JPEG"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        *(
            ({name: None}, f"has no {name}; Tiny ImageNet has wnids.txt, train/, val/ and val/val_annotations.txt")
            for name in ("wnids.txt", "val/val_annotations.txt")
        ),
        ({"wnids.txt": b""}, "wnids.txt is empty"),
        ({"wnids.txt": b"n1\nn1\n"}, "wnids.txt names n1 twice"),
        ({"wnids.txt": b"n01443537\nn02231487\n"}, "train/n04398044 is no class of wnids.txt"),
        (
            {"wnids.txt": b"n01443537\nn02231487\nn04398044\nn1\n"},
            "train has 0 images of class n1 and 4 of n01443537, expected equally many",
        ),
        (
            {"wnids.txt": b"\xff\xfe"},
            "wnids.txt cannot be read ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)",
        ),
        ({GOLDFISH: None}, "train has 3 images of class n01443537 and 4 of n02231487, expected equally many"),
        (
            {f"train/{wnid}/images/{wnid}_{row}.JPEG": None for wnid in WNIDS for row in range(4)},
            "train has no images",
        ),
        ({GOLDFISH: b"x"}, f"{TOP}/{GOLDFISH}: cannot be read as an image (no image format that Pillow knows)"),
        (
            {GOLDFISH: png(np.zeros((4, 8, 3), np.uint8))},
            f"{GOLDFISH} is 8x4, not a square; give --size PIXELS to crop and average",
        ),
        (
            {"val/images/val_3.JPEG": png(np.zeros((4, 4, 3), np.uint8))},
            "val/images/val_3.JPEG is 4x4, the first image 8x8; images of several sizes need --size PIXELS",
        ),
        ({"val/images/val_3.JPEG": None}, "val/val_annotations.txt, line 4: there is no val/images/val_3.JPEG"),
        ({"val/images/val_9.JPEG": b""}, "val/images/val_9.JPEG has no line in val/val_annotations.txt"),
        (
            {"val/val_annotations.txt": val_lines(lambda lines: lines.__setitem__(2, "val_2.JPEG\tn9\t0\t0\t8\t8"))},
            "val/val_annotations.txt, line 3: 'n9' is no class of wnids.txt",
        ),
        (
            {"val/val_annotations.txt": val_lines(lambda lines: lines.append("nonsense"))},
            "val/val_annotations.txt, line 7: '' is no class of wnids.txt",
        ),
        (
            {"val/val_annotations.txt": val_lines(lambda lines: lines.append(lines[0]))},
            "val/val_annotations.txt, line 7: val_0.JPEG is listed twice",
        ),
        (
            {"val/val_annotations.txt": val_lines(lambda lines: lines.__setitem__(0, "val_0.JPEG\tn04398044\t0"))},
            "val has 2 images of class n02231487 and 1 of n01443537, expected equally many",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, changes, problem):
    files = FILES | {f"{TOP}/{name}": content for name, content in changes.items()}
    path = write_zip(tmp_path / "a.zip", {name: content for name, content in files.items() if content is not None})
    with pytest.raises(UserError) as caught:
        tiny_imagenet(path)
    assert str(caught.value).splitlines()[0].replace(f"{TOP}/", "") == f"{path}: {problem}".replace(f"{TOP}/", "")


def test_folders_around_the_layout_may_be_nested(tmp_path):
    files = {f"tiny-imagenet-200/{name}": content for name, content in FILES.items()}
    source = open_source(write_folder(tmp_path / "a", files))
    assert layout.in_tiny_layout(source)
    assert len(layout.list_tiny_imagenet(source).train) == 12
