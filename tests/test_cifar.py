import hashlib
import os
import pickle
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from fabricated_images import (
    TINY,
    images_of,
    members_of,
    pickled,
    python_members_of,
    write_archive,
    write_folder,
)

from snapshot_cli.datasets import catalogue
from snapshot_cli.datasets.cifar import find_extracted, read_cifar
from snapshot_cli.errors import UserError


def message_of(path, facts):
    with pytest.raises(UserError) as caught:
        read_cifar(path, facts)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def with_md5(md5, python="0"):
    facts = TINY["cifar10"]
    return replace(facts, files=(replace(facts.files[0], md5=md5),), also=(replace(facts.also[0], md5=python),))


@pytest.fixture
def members():
    return members_of("cifar10", images_of(TINY["cifar10"]))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize(("kind", "files_of"), [("binary", members_of), ("Python", python_members_of)])
@pytest.mark.parametrize("form", ["archive", "folder", "folder around"])
def test_images_labels_and_names(tmp_path, name, kind, files_of, form):
    made = images_of(TINY[name])
    files = files_of(name, made)
    folder = next(iter(files)).split("/")[0]
    if form == "archive":
        path = write_archive(tmp_path / "renamed.tar.gz", files)
    else:
        path = write_folder(tmp_path / "data", files) / ("" if form == "folder around" else folder)
    splits = read_cifar(path, TINY[name])
    found = [(splits.train_images, splits.train_labels), (splits.test_images, splits.test_labels)]
    for (images, labels), (made_images, made_labels) in zip(found, made, strict=True):
        np.testing.assert_array_equal(images, made_images)
        np.testing.assert_array_equal(labels, made_labels)  # of CIFAR-100 the fine ones
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert splits.classes == TINY[name].class_names
    written = ["renamed.tar.gz"] if form == "archive" else ["data"]
    expected = (
        f"renamed.tar.gz, the official {kind} archive" if form == "archive" else f"{folder}, the official {kind} folder"
    )
    assert splits.source == expected
    assert [file.name for file in tmp_path.iterdir()] == written


def test_checksum_that_agrees(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    read_cifar(path, with_md5(hashlib.md5(path.read_bytes()).hexdigest()))


def test_checksum_of_the_python_archive_agrees_too(tmp_path):
    path = write_archive(tmp_path / "a.tar.gz", python_members_of("cifar10", images_of(TINY["cifar10"])))
    read_cifar(path, with_md5("0", python=hashlib.md5(path.read_bytes()).hexdigest()))


def test_checksum_names_the_archive_that_is_meant(tmp_path, members):
    path = write_archive(tmp_path / "cifar-10-python.tar.gz", members)
    assert "that of the official cifar-10-python.tar.gz is 0;" in message_of(path, with_md5("1", python="0"))


def test_checksum_that_differs(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    assert message_of(path, with_md5("c32a1d4a")) == (
        f"its md5 is {found}, that of the official cifar-10-binary.tar.gz is c32a1d4a; the file is cut short,"
        " damaged or another version: download https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz again,"
        " or unpack it and give the folder"
    )


def test_missing_members(tmp_path, members):
    del members["cifar-10-batches-bin/data_batch_3.bin"], members["cifar-10-batches-bin/batches.meta.txt"]
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == "has no member data_batch_3.bin, batches.meta.txt"


def test_a_link_is_no_member(tmp_path, members):
    content = members.pop("cifar-10-batches-bin/data_batch_3.bin")
    path = write_archive(tmp_path / "a.tar.gz", members)
    (tmp_path / "outside").write_bytes(content)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as copy, tarfile.open(path) as archive:
        for member in archive:
            copy.addfile(member, archive.extractfile(member))
        link = tarfile.TarInfo("cifar-10-batches-bin/data_batch_3.bin")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        copy.addfile(link)
    assert message_of(tmp_path / "b.tar.gz", TINY["cifar10"]) == "has no member data_batch_3.bin"


@pytest.mark.parametrize(("change", "found"), [(slice(None, -1), 771), (slice(0, 193), 193), (slice(0, 0), 0)])
def test_wrong_size_of_a_member(tmp_path, members, change, found):
    members["cifar-10-batches-bin/data_batch_2.bin"] = members["cifar-10-batches-bin/data_batch_2.bin"][change]
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == (f"member data_batch_2.bin has {found} bytes, expected 772")


def test_a_list_of_names_as_large_as_a_bomb_is_not_read(tmp_path, members):
    members["cifar-10-batches-bin/batches.meta.txt"] = b"a" * 100_000
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == (
        "member cifar-10-batches-bin/batches.meta.txt has 100,000 bytes, expected at most 65,536"
    )


def test_label_out_of_range(tmp_path, members):
    members["cifar-10-batches-bin/test_batch.bin"] = b"\x0b" + members["cifar-10-batches-bin/test_batch.bin"][1:]
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == "member test_batch.bin has label 11, expected 0 to 9"


def test_truncated_archive_names_the_last_member_seen(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # six members of about equal size, three are whole
    assert message_of(path, TINY["cifar10"]) == (
        "cannot be read beyond member cifar-10-batches-bin/data_batch_4.bin: "
        "cut short, damaged or not an archive; fetch it again"
    )


@pytest.mark.parametrize("position", [0.05, 0.3, 0.6, 0.9])
def test_flipped_bytes_are_never_a_traceback(tmp_path, members, position):
    path = write_archive(tmp_path / "a.tar.gz", members)
    content = bytearray(path.read_bytes())
    middle = int(len(content) * position)
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    assert message_of(path, TINY["cifar10"])


def test_flipped_bytes_in_compressed_blocks_are_no_traceback(tmp_path):
    made = [
        (images // 32, labels) for images, labels in images_of(TINY["cifar10"])
    ]  # random bytes are stored as they are
    path = write_archive(tmp_path / "a.tar.gz", members_of("cifar10", made))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    assert message_of(path, TINY["cifar10"]).endswith(": cut short, damaged or not an archive; fetch it again")


def test_something_else(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_text("<html>not found</html>")
    assert message_of(path, TINY["cifar10"]) == (
        "cannot be read beyond its first member: cut short, damaged or not an archive; fetch it again"
    )


def test_a_member_as_large_as_a_bomb_is_not_read(tmp_path, members):
    members["cifar-10-batches-bin/data_batch_2.bin"] += b"x"
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == (
        "member cifar-10-batches-bin/data_batch_2.bin has 773 bytes, expected at most 772"
    )


def test_a_file_as_large_as_a_bomb_is_not_read(tmp_path):
    files = python_members_of("cifar10", images_of(TINY["cifar10"]))
    files["cifar-10-batches-py/data_batch_2"] = bytes(70_000)
    path = write_folder(tmp_path, files) / "cifar-10-batches-py"
    assert message_of(path, TINY["cifar10"]) == "member data_batch_2 has 70,000 bytes, expected at most 67,104"


def test_extracted_is_the_folder_or_the_official_one_in_it(tmp_path):
    assert find_extracted(tmp_path, TINY["cifar10"]) is None
    write_folder(tmp_path, members_of("cifar10", images_of(TINY["cifar10"])))
    for path in (tmp_path, tmp_path / "cifar-10-batches-bin"):
        assert find_extracted(path, TINY["cifar10"]) == tmp_path / "cifar-10-batches-bin"
    assert find_extracted(tmp_path, TINY["cifar100"]) is None


def test_a_folder_that_lacks_files(tmp_path):
    files = python_members_of("cifar10", images_of(TINY["cifar10"]))
    del files["cifar-10-batches-py/data_batch_3"], files["cifar-10-batches-py/batches.meta"]
    path = write_folder(tmp_path, files) / "cifar-10-batches-py"
    assert message_of(path, TINY["cifar10"]) == "has no member data_batch_3, batches.meta"


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


PIXELS, LABELS = np.zeros((4, 192), np.uint8), [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            pickle.dumps(Evil(os.system, ("touch owned",)), 2),
            ": the pickle holds more than plain data: it names posix.system",
        ),
        (
            pickle.dumps({"data": Evil(eval, ("open('owned', 'w')",)), "labels": LABELS}, 2),
            ": the pickle holds more than plain data: it names __builtin__.eval",
        ),
        (pickle.dumps(Evil(eval, ("1",)), 4), ": the pickle holds more than plain data: opcode FRAME"),
        (
            pickle.dumps({"data": np.array([Evil(eval, ("1",))], object)}, 3),
            ": the pickle holds more than plain data: it names builtins.eval",
        ),
        (
            pickle.dumps({"data": np.array([None], object), "labels": LABELS}, 3),
            ": an array of shape (1,) does not hold one byte per element",
        ),
        (pickled({"data": PIXELS[:3], "labels": LABELS}), " has data of shape (3, 192), expected (4, 192)"),
        (pickled({"data": [1], "labels": LABELS}), ": expected an array, given another value"),
        (pickled({"labels": LABELS}), ": expected an array, given another value"),
        (pickled({"data": PIXELS}), " has no list of 4 labels"),
        (pickled({"data": PIXELS, "labels": LABELS[:3]}), " has no list of 4 labels"),
        (pickle.dumps({"data": PIXELS, "labels": [0, 1, 2, "3"]}, 3), " has no list of 4 labels"),
        (pickle.dumps({"data": PIXELS, "labels": [0, 1, 2, 2**70]}, 3), " has no list of 4 labels"),
        (pickled({"data": PIXELS, "labels": [0, 1, 2, 10]}), " has label 10, expected 0 to 9"),
        (pickled({"data": PIXELS, "labels": [0, 1, 2, -1]}), " has label -1, expected 0 to 9"),
        (pickled(["data"]), " is not a dict"),
        (
            pickled({"data": PIXELS, "labels": LABELS})[:-9],
            ": the pickle is truncated or damaged (pickle exhausted before seeing STOP)",
        ),
        (b"<html>", ": the pickle is truncated or damaged (at position 0, opcode b'<' unknown)"),
        (b"", ": the pickle is truncated or damaged (pickle exhausted before seeing STOP)"),
    ],
)
@pytest.mark.parametrize("form", ["archive", "folder"])
def test_python_files_that_are_no_plain_data(tmp_path, monkeypatch, content, problem, form):
    monkeypatch.chdir(tmp_path)
    files = python_members_of("cifar10", images_of(TINY["cifar10"]))
    files["cifar-10-batches-py/data_batch_2"] = content
    if form == "archive":
        path = write_archive(tmp_path / "a.tar.gz", files)
    else:
        path = write_folder(tmp_path, files) / "cifar-10-batches-py"
    assert message_of(path, TINY["cifar10"]) == f"member data_batch_2{problem}"
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ({"label_names": "cat"}, " has no list of label names"),
        ({"label_names": [1]}, " has no list of label names"),
        ({}, " has no list of label names"),
        ([], " is not a dict"),
    ],
)
def test_python_archive_without_names(tmp_path, meta, problem):
    files = python_members_of("cifar10", images_of(TINY["cifar10"]))
    files["cifar-10-batches-py/batches.meta"] = pickled(meta)
    path = write_archive(tmp_path / "a.tar.gz", files)
    assert message_of(path, TINY["cifar10"]) == f"member batches.meta{problem}"


def test_the_official_archive_of_another_dataset_is_named(tmp_path, monkeypatch):
    path = write_archive(tmp_path / "images.tar.gz", members_of("cifar10", images_of(TINY["cifar10"])))
    facts = with_md5(hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setitem(catalogue.CATALOGUE, "cifar10", facts)
    other = replace(
        TINY["cifar100"], files=(replace(facts.files[0], name="cifar-100-binary.tar.gz", md5="0"),), also=()
    )
    assert message_of(path, other) == "is cifar-10-binary.tar.gz of CIFAR-10, expected cifar-100-binary.tar.gz"
