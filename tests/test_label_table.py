from pathlib import Path

import pytest
from fabricated_images import write_folder, write_zip

from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.label_table import MAX_COMPARED, FileNames
from snapshot_cli.datasets.listing import Choices, list_images
from snapshot_cli.errors import UserError

FILES = {"im/1.png": b"1", "im/2.png": b"2", "im/3.png": b"3", "im/4.png": b"4"}
ROWS = "im/1.png,cat,train\nim/2.png,dog,train\nim/3.png,cat,test\nim/4.png,dog,test\n"
HEAD = "file,class,split\n"


def labelled(source, table):
    """Return the images and classes that a table names, without decoding any."""
    listing = list_images(open_source(source), Choices(labels=table))
    return {"train": listing.train, "test": listing.test}


def refusal(source, table):
    with pytest.raises(UserError) as caught:
        labelled(source, table)
    return str(caught.value).removeprefix(f"{table}:")


@pytest.fixture
def photos(tmp_path):
    return write_folder(tmp_path / "photos", FILES)


def written(tmp_path, text, name="labels.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_names_are_relative_to_the_images_or_to_the_table_or_absolute(tmp_path, photos):
    expected = labelled(photos, written(tmp_path, HEAD + ROWS))
    assert expected["test"] == {"im/3.png": "cat", "im/4.png": "dog"}
    for folder in ("photos/", f"{photos}/", "./photos/../photos/", "photos\\"):
        assert labelled(photos, written(tmp_path, HEAD + ROWS.replace("im/", f"{folder}im/"))) == expected


def test_a_table_in_any_folder_of_a_zip(tmp_path):
    files = {f"top/{name}": content for name, content in FILES.items()} | {"top/labels.csv": (HEAD + ROWS).encode()}
    source = write_zip(tmp_path / "photos.zip", files)
    for name in ("labels.csv", "top/labels.csv"):
        assert labelled(source, Path(name))["train"] == {"top/im/1.png": "cat", "top/im/2.png": "dog"}


def test_an_unquoted_separator_is_no_class_cut_in_two(tmp_path, photos):
    table = written(tmp_path, "file,class\nim/1.png,cat, big\n")
    assert refusal(photos, table) == ("2: 3 values for 2 columns; put values that contain the separator in quotes")
    table = written(tmp_path, HEAD + ROWS.replace(",cat,", ',"cat, big",').replace("test\n", "test,,\n"))
    assert set(labelled(photos, table)["train"].values()) == {"cat, big", "dog"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("IM/1.PNG", "; is it im/1.png?"),
        ("im/1", "; is it im/1.png?"),
        ("2.png", "; is it im/2.png?"),
        ("C:\\me\\photos\\3.png", "; is it im/3.png?"),
        ("im/1.jpg", "; is it im/1.png?"),
        ("?", ""),
    ],
)
def test_the_name_that_is_probably_meant(tmp_path, photos, name, hint):
    table = written(tmp_path, f"{HEAD}{name},cat,train\n")
    assert refusal(photos, table) == f"2: no file '{name}'{hint}"


def test_a_table_of_other_images_is_refused_at_once(tmp_path, photos, monkeypatch):
    hints = []
    monkeypatch.setattr(FileNames, "hint", lambda names, file: hints.append(file) or "")
    rows = "".join(f"other/{row}.png,cat,train\n" for row in range(1000))
    assert refusal(photos, written(tmp_path, HEAD + rows)).endswith("\nand 990 more")
    assert len(hints) == 10  # each is looked for among all images
    assert MAX_COMPARED == 10_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('file,class\n"im/1.png,cat\nim/2.png,dog\n', "3: no file 'im/1.png,cat\\nim/2.png,dog'"),
        ("file,class\nim/1.png\n", "2: no class"),
        (f"{HEAD}{ROWS}im/1.png,dog,test\n", "6: 'im/1.png' is in line 2 already"),
        ("f\0i\0l\0e\0", " not UTF-8; save the table as CSV UTF-8"),
    ],
)
def test_what_is_wrong_is_one_clear_line(tmp_path, photos, text, message):
    assert refusal(photos, written(tmp_path, text)) == message


def test_a_split_that_the_table_does_not_have(tmp_path, photos):
    table = written(tmp_path, HEAD + ROWS)
    with pytest.raises(UserError, match=r"labels\.csv: names no val images; leave --test-from out$"):
        list_images(open_source(photos), Choices(labels=table, test_from="val"))
    table = written(tmp_path, HEAD + ROWS.replace("train", "test"))
    assert "names no training images" in refusal(photos, table)


def test_empty_rows_of_a_spreadsheet_are_no_images(tmp_path, photos):
    expected = labelled(photos, written(tmp_path, HEAD + ROWS))
    assert labelled(photos, written(tmp_path, f"{HEAD}{ROWS},,\n , ,\n\n")) == expected
