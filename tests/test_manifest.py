import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import snapshot

from snapshot_cli.datasets.manifest import (
    Manifest,
    from_json,
    prepared,
    read_manifest,
    to_json,
    training_examples,
    unreadable,
)
from snapshot_cli.errors import UserError

PHOTOS = Manifest(
    name="photos",
    source="photos.zip, a zip of images",
    classes=("cat", "dog"),
    size=8,
    train=6,
    test=4,
    mean=(1.5, 2.0, 3.25),
    std=(1.0, 2.0, 3.0),
    padding=None,
    flip=True,
    content_hash="abc",
)


def write(data_dir, name, text):
    (data_dir / name).mkdir(parents=True)
    (data_dir / name / "manifest.json").write_text(text)


def test_comes_back_as_it_was():
    assert from_json(to_json(PHOTOS)) == PHOTOS


def test_a_manifest_from_before_there_was_lighting():
    fields = json.loads(to_json(replace(PHOTOS, lighting=0.1)))
    assert from_json(json.dumps(fields)).lighting == 0.1
    del fields["lighting"]
    assert from_json(json.dumps(fields)) == PHOTOS


def test_what_is_not_there_is_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert [read_manifest(tmp_path, name) for name in ("absent", "empty", "file")] == [None, None, None]


def test_prepared_are_those_with_a_manifest(tmp_path):
    write(tmp_path, "photos", to_json(PHOTOS))
    write(tmp_path, ".photos.1234abcd", "half written")
    (tmp_path / "raw").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert prepared(tmp_path) == {"photos": PHOTOS}
    assert prepared(tmp_path / "nowhere") == {}


def test_training_examples_of_the_catalogue_at_every_size_and_of_own_images(tmp_path):
    write(tmp_path, "photos", to_json(PHOTOS))
    known = training_examples(tmp_path)
    assert {name: known[name] for name in ("digits", "cifar10", "cifar10-16", "cifar100", "photos")} == {
        "digits": 400,
        "cifar10": 50_000,
        "cifar10-16": 50_000,
        "cifar100": 50_000,
        "photos": 6,
    }
    assert "cifar10-15" not in known
    assert "photos" not in training_examples(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"size": "8"}, "size, train and test are whole numbers"),
        ({"train": True}, "size, train and test are whole numbers"),
        ({"source": None}, "name, source and content_hash are words"),
        ({"padding": 1.5}, "padding is a whole number or null, flip is true or false"),
        ({"flip": 1}, "padding is a whole number or null, flip is true or false"),
        ({"classes": "cat"}, "classes is a list of names"),
        ({"mean": [1, 2]}, "mean is three numbers"),
        ({"std": [1, 2, "3"]}, "std is three numbers"),
        ({"lighting": -0.1}, "lighting is a number of at least 0"),
        ({"lighting": float("nan")}, "lighting is a number of at least 0"),
        ({"lighting": True}, "lighting is a number of at least 0"),
        ({"folder": 3}, "folder is words"),
        ({"folder": None}, "folder is words"),
        ({"train": -6}, "size, train, test and the number of classes are at least 1"),
        ({"classes": []}, "size, train, test and the number of classes are at least 1"),
        ({"mean": [1, 2, float("nan")]}, "mean is three numbers"),
        ({"mean": [1, 2, 10**400]}, "mean is three numbers"),
        ({"std": [1, 2, 0]}, "std is above 0"),
        (
            {"classes": ["a", "b\x1b[31m"]},
            "the class 'b\\x1b[31m' has control characters in its name, or bytes that are not UTF-8",
        ),
    ],
)
def test_broken_field_names_file_and_way_out(tmp_path, change, problem):
    write(tmp_path, "digits", json.dumps({**json.loads(to_json(PHOTOS)), **change}))
    with pytest.raises(UserError) as caught:
        read_manifest(tmp_path, "digits")
    assert str(caught.value) == (
        f"{tmp_path}/digits/manifest.json: not a readable manifest ({problem}); delete the folder {tmp_path}/digits"
        " and type: snapshot data prepare digits"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 10**5, "{}", '{"name": "x"}', '"\\ud800'])
def test_broken_text_is_a_users_error(tmp_path, text):
    write(tmp_path, "digits", text)
    with pytest.raises(UserError, match=re.escape(f"{tmp_path}/digits/manifest.json: not a readable manifest (")):
        read_manifest(tmp_path, "digits")


def test_an_unreadable_manifest_concerns_its_own_dataset_alone(tmp_path):
    write(tmp_path, "digits", to_json(PHOTOS))
    write(tmp_path, "other", "{}")
    assert list(prepared(tmp_path)) == ["digits"]
    (error,) = unreadable(tmp_path)
    assert str(error).startswith(f"{tmp_path}/other/manifest.json: not a readable manifest (")
    code, _, errors = snapshot("data", "list", "--data-dir", tmp_path)
    assert (code, errors) == (0, f"Warning: {error}\n")


def test_a_manifest_that_may_not_be_read_is_not_to_be_deleted(tmp_path, monkeypatch):
    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError) as caught:
        read_manifest(tmp_path, "photos")
    assert str(caught.value) == f"{tmp_path}/photos/manifest.json: cannot be read (Permission denied)"
