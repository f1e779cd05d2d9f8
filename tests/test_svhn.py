import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from fabricated_images import SIDE, TINY, write_mats
from scipy.io import whosmat

from snapshot_cli.datasets.svhn import has_files, read_svhn
from snapshot_cli.errors import UserError

FACTS = TINY["svhn"]


def message_of(path, facts=FACTS):
    with pytest.raises(UserError) as caught:
        read_svhn(path, facts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "files"), [("svhn", 3), ("svhn-without-extra", 2)])
def test_images_and_labels(tmp_path, name, files, monkeypatch):
    monkeypatch.setattr("snapshot_cli.datasets.svhn.CHUNK", 7)  # so that images are transposed in several chunks
    made = write_mats(tmp_path, name)
    assert len(list(tmp_path.iterdir())) == files
    splits = read_svhn(tmp_path, TINY[name])
    found = [(splits.train_images, splits.train_labels), (splits.test_images, splits.test_labels)]
    for (images, labels), (made_images, made_labels) in zip(found, made, strict=True):
        np.testing.assert_array_equal(images, made_images)
        np.testing.assert_array_equal(labels, made_labels)  # where 10 has become 0
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
        assert images.flags.c_contiguous
    assert splits.classes == tuple("0123456789")
    extra = "extra_32x32.mat, " if name == "svhn" else ""
    assert splits.source == f"train_32x32.mat, {extra}test_32x32.mat, the official files"


def test_labels_as_matlab_writes_numbers(tmp_path):
    made = write_mats(tmp_path, test={"y": np.array([10.0, 10, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9])[:, None]})
    np.testing.assert_array_equal(read_svhn(tmp_path, FACTS).test_labels, made[1][1])


def test_without_extra_leaves_extra_alone(tmp_path):
    write_mats(tmp_path)
    assert len(read_svhn(tmp_path, TINY["svhn-without-extra"]).train_labels) == 20


@pytest.mark.parametrize("gone", [["extra_32x32.mat"], ["extra_32x32.mat", "test_32x32.mat"]])
def test_missing_files(tmp_path, gone):
    write_mats(tmp_path)
    for name in gone:
        (tmp_path / name).unlink()
    assert has_files(tmp_path, FACTS)
    assert message_of(tmp_path) == (
        f"{tmp_path}: has no {', '.join(gone)}; expected a folder with train_32x32.mat, extra_32x32.mat,"
        " test_32x32.mat from http://ufldl.stanford.edu/housenumbers"
    )


def test_a_file_is_no_folder(tmp_path):
    write_mats(tmp_path)
    assert not has_files(tmp_path / "train_32x32.mat", FACTS)
    assert message_of(tmp_path / "train_32x32.mat") == (
        f"{tmp_path}/train_32x32.mat: is a file; expected a folder with train_32x32.mat, extra_32x32.mat,"
        " test_32x32.mat from http://ufldl.stanford.edu/housenumbers"
    )


def test_wrong_checksum(tmp_path):
    write_mats(tmp_path)
    facts = replace(FACTS, files=(*FACTS.files[:2], replace(FACTS.files[2], md5="eb5a983b")))
    assert message_of(tmp_path, facts).endswith(
        ", that of the official test_32x32.mat is eb5a983b; the file is cut short, damaged or another version:"
        " download http://ufldl.stanford.edu/housenumbers/test_32x32.mat again"
    )


ZEROS = np.zeros((SIDE, SIDE, 3, 20), np.uint8)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"X": None}, "has no images X"),
        ({"y": None}, "has no y"),
        ({"X": ZEROS.astype(float)}, "X is double (8, 8, 3, 20), expected uint8 (8, 8, 3, examples)"),
        ({"X": ZEROS[:4]}, "X is uint8 (4, 8, 3, 20), expected uint8 (8, 8, 3, examples)"),
        ({"X": np.array(["a", 1], object)}, "X is cell (1, 2), expected uint8 (8, 8, 3, examples)"),
        ({"X": np.zeros((SIDE, SIDE, 3, 48), np.uint8)}, "48 images, SVHN has 47 in all"),
        ({"y": np.ones((19, 1), np.uint8)}, "y is uint8 (19, 1), expected one label for each of 20 images"),
        ({"y": np.ones((1, 20), np.uint8)}, "y is uint8 (1, 20), expected one label for each of 20 images"),
        ({"y": np.full((20, 1), "a", object)}, "y is object (20, 1), expected one label for each of 20 images"),
        ({"y": np.zeros((20, 1), np.uint8)}, "has label 0, expected 1 to 10, where 10 means 0"),
        ({"y": np.full((20, 1), 11, np.uint8)}, "has label 11, expected 1 to 10, where 10 means 0"),
        ({"y": np.full((20, 1), np.nan)}, "has label nan, expected 1 to 10, where 10 means 0"),
    ],
)
def test_files_that_hold_something_else(tmp_path, changes, problem):
    write_mats(tmp_path, train=changes)
    assert message_of(tmp_path) == f"{tmp_path}/train_32x32.mat: {problem}"


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_no_mat_file(tmp_path, content):
    write_mats(tmp_path)
    (tmp_path / "extra_32x32.mat").write_bytes(content)
    assert message_of(tmp_path).startswith(f"{tmp_path}/extra_32x32.mat: cannot be read as a .mat file (")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_file_cut_short_is_no_traceback(tmp_path, share):
    write_mats(tmp_path)
    content = (tmp_path / "train_32x32.mat").read_bytes()
    (tmp_path / "train_32x32.mat").write_bytes(content[: int(len(content) * share)])
    assert message_of(tmp_path).startswith(f"{tmp_path}/train_32x32.mat: ")


def test_damaged_data_behind_a_sound_header(tmp_path):
    examples = 1000  # more than scipy unpacks for the header
    images = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3, examples), dtype=np.uint8)
    write_mats(tmp_path, train={"X": images, "y": np.ones((examples, 1), np.uint8)})
    path = tmp_path / "train_32x32.mat"
    content = bytearray(path.read_bytes())
    content[-10_000] ^= 0xFF
    path.write_bytes(content)
    assert whosmat(path)[0] == ("X", images.shape, "uint8")
    assert message_of(tmp_path, replace(FACTS, train=examples)).startswith(f"{path}: cannot be read as a .mat file (")


def test_scipy_is_imported_late():
    code = "import sys, snapshot_cli.datasets.svhn\nprint('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
