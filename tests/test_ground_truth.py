"""What tests/test_prepare_streamed.py does not reach through `prepare`."""

import pytest
from streamed_folders import write_meta

from snapshot_cli.datasets import ground_truth
from snapshot_cli.errors import UserError

NAMES = ["ILSVRC2012_val_00000001.JPEG"]
SOLUTION = "ImageId,PredictionString\n"


def refusal(folder, names=NAMES):
    with pytest.raises(UserError) as caught:
        ground_truth.read_wnids(folder, names)
    return str(caught.value)


def test_no_images(tmp_path):
    assert refusal(tmp_path, []) == (
        f"{tmp_path}: no images in val; expected val/<wnid>/<file>, or val/<file> and the devkit"
    )


@pytest.mark.parametrize("line", ["x", "ILSVRC2012_val_1,n00000001 1", "ILSVRC2012_val_00000001,../etc 1"])
def test_a_line_that_is_not_kaggles(tmp_path, line):
    path = tmp_path / "LOC_val_solution.csv"
    path.write_text(f"{SOLUTION}{line}\n")
    assert refusal(tmp_path) == f"{path}:2: expected ILSVRC2012_val_<number>,<wnid> ..., given '{line}'"


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "LOC_val_solution.csv"
    path.write_bytes(b"\xff\xfe")
    assert refusal(tmp_path).startswith(f"{path}: cannot be read ('utf-8' codec")


def test_titles_of_kaggle_come_before_those_of_the_devkit_and_may_be_missing(tmp_path):
    assert ground_truth.read_titles(tmp_path) == {}
    write_meta(tmp_path)
    assert set(ground_truth.read_titles(tmp_path)) >= {"n00000001"}
    (tmp_path / "LOC_synset_mapping.txt").write_text("n00000001 tench, Tinca tinca\n")
    assert ground_truth.read_titles(tmp_path) == {"n00000001": "tench"}
