"""Layouts of folders and zips; nothing is decoded."""

import os
import zipfile

import pytest
from fabricated_images import write_folder, write_zip

from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.listing import Choices, list_images
from snapshot_cli.errors import UserError

CLASSES = {f"{name}/{row}.png": f"{name}{row}".encode() for name in ("cat", "dog") for row in range(5)}
DRAW = Choices(test_share=0.2)


def split(*names, files=CLASSES):
    return {f"{name}/{file}": content for name in names for file, content in files.items()}


def listed(source, choices=DRAW):
    return list_images(open_source(source), choices)


def refusal(source, choices=DRAW):
    with pytest.raises(UserError) as caught:
        listed(source, choices)
    return str(caught.value).removeprefix(f"{source}: ")


@pytest.fixture
def folder(tmp_path):
    return lambda files: write_folder(tmp_path / "photos", files)


@pytest.mark.parametrize(
    "names", [("training_set", "test_set"), ("Train-images", "Test data"), ("trainset", "testset")]
)
def test_folders_of_splits_with_an_ending_are_no_classes(folder, names):
    listing = listed(folder(split(*names)), Choices())
    assert (listing.classes, len(listing.train), len(listing.test)) == (("cat", "dog"), 10, 10)


def test_folders_below_the_classes_are_said(folder):
    listing = listed(folder(split("big", "small")))
    assert listing.classes == ("big", "small")
    assert "images in folders below a class belong to that class: big/cat, big/dog, small/cat and 1 more" in (
        listing.notes
    )


def test_a_flat_test_folder_is_left_out_and_said(folder):
    for name in ("test", "val"):
        files = split("train") | {f"{name}/{row}.png": b"" for row in range(3)}
        listing = listed(folder(files))
        assert (len(listing.train), len(listing.test)) == (8, 2)
        assert listing.notes[1] == f"left out: {name}, 3 files, which has no classes"
        for file in files:
            os.unlink(folder({}) / file)


def test_flat_images_can_get_a_table(folder):
    assert refusal(folder({"train/1.png": b"", "test/1.png": b""})) == (
        "train/1.png: expected train/CLASS/FILE, or a table of classes: --labels FILE"
    )


def test_a_split_that_is_not_there_is_not_ignored(folder):
    assert refusal(folder(CLASSES), Choices(test_share=0.2, test_from="val")).endswith(
        "but no val; leave --test-from out"
    )


def test_all_classes_that_are_too_small_are_named(folder):
    copies = {f"bird/{row}.png": b"same" for row in range(3)}
    assert refusal(folder(CLASSES | copies | {"ant/1.png": b""})).startswith(
        "too few images to draw test images: ant (1 image), bird (3 copies of one image); a class needs"
    )


def test_files_that_cannot_be_read_are_not_drawn_for_testing(folder):
    source = folder(CLASSES)
    for row in range(20):
        (source / f"cat/gone{row}.png").symlink_to("nowhere")
    assert not any("gone" in name for name in listed(source).test)


def test_a_small_share_is_at_least_one_image(folder):
    assert listed(folder(CLASSES), Choices(test_share=0.01)).notes[0] == (
        "test images drawn: 2 of 10 images, 1 % of every class, at least one, seed 0"
    )


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_images_in_hidden_folders_are_counted_and_said(tmp_path, write):
    source = write(tmp_path / "photos", CLASSES | {".net/1.png": b"", ".cache/.1.png": b"", "cat/._1.png": b""})
    listing = listed(source)
    assert (listing.classes, listing.skipped) == (("cat", "dog"), 3)
    assert "left out: 1 image in hidden folders (.net/1.png); rename a folder to use it" in listing.notes


def test_a_hidden_folder_that_cannot_be_read_is_skipped(folder, monkeypatch):
    source, scandir = folder(CLASSES | {".Trash/1.png": b""}), os.scandir

    def refuse(path):
        if str(path).endswith(".Trash"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert listed(source).classes == ("cat", "dog")


def test_names_that_differ_in_case_or_spaces_are_said(folder):
    files = {f"{name}/{row}.png": f"{name}{row}".encode() for name in ("Cat", "cat", "cat ", "dog") for row in (1, 2)}
    assert "these are different classes: 'Cat', 'cat', 'cat '; if not, give their folders one name" in (
        listed(folder(files)).notes
    )


def test_a_class_with_control_characters_is_refused_before_reading(folder):
    assert refusal(folder(CLASSES | {"a\nb/1.png": b"1", "a\nb/2.png": b"2"})) == (
        "the class 'a\\nb' has control characters in its name, or bytes that are not UTF-8; rename it"
    )


@pytest.mark.parametrize("name", ["cat/more.zip", "all.7z", "train.RAR", "a.tar.xz", "b.tbz2"])
def test_archives_inside_are_named(folder, name):
    assert refusal(folder(CLASSES | {name: b""})).startswith(f"{name}: archives that are not unpacked")


def zipped(path, files, system):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo("x")
            member.filename, member.create_system = name.replace("/", "\\"), system
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize("system", [0, 3])
def test_backslashes_in_a_zip_separate_folders(tmp_path, system):
    source = zipped(tmp_path / "photos.zip", CLASSES | {"cat/": b"", "dog/": b""}, system)
    assert listed(source).classes == ("cat", "dog")
    source = zipped(tmp_path / "photos.zip", CLASSES | {"emu/": b""}, system)
    assert refusal(source).startswith("no images of class emu")
