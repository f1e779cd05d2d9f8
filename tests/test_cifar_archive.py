import hashlib
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from fabricated_images import TINY, images_of, members_of, write_archive

from snapshot_cli.datasets.cifar_archive import cifar
from snapshot_cli.errors import UserError


def message_of(path, facts):
    with pytest.raises(UserError) as caught:
        cifar(path, facts)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


@pytest.fixture
def members():
    return members_of("cifar10", images_of(TINY["cifar10"]))


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_images_labels_and_names_of_an_archive(tmp_path, name):
    made = images_of(TINY[name])
    path = write_archive(tmp_path / "renamed.tar.gz", members_of(name, made))
    splits = cifar(path, TINY[name])
    found = [(splits.train_images, splits.train_labels), (splits.test_images, splits.test_labels)]
    for (images, labels), (made_images, made_labels) in zip(found, made, strict=True):
        np.testing.assert_array_equal(images, made_images)
        np.testing.assert_array_equal(labels, made_labels)  # of CIFAR-100 the fine ones
        assert (images.dtype, labels.dtype) == (np.uint8, np.int64)
    assert splits.classes == TINY[name].class_names
    assert splits.source == "renamed.tar.gz, the official binary archive"
    assert [file.name for file in tmp_path.iterdir()] == ["renamed.tar.gz"]


def test_checksum_that_agrees(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    cifar(path, replace(TINY["cifar10"], md5=hashlib.md5(path.read_bytes()).hexdigest()))


def test_checksum_that_differs(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    assert message_of(path, replace(TINY["cifar10"], md5="c32a1d4a")) == (
        f"its md5 is {found}, that of the official cifar-10-binary.tar.gz is c32a1d4a; the file is cut short,"
        " damaged or another version: fetch cifar-10-binary.tar.gz again from https://www.cs.toronto.edu/~kriz/cifar.html"
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
    assert message_of(path, TINY["cifar10"]) == (
        f"member cifar-10-batches-bin/data_batch_2.bin has {found} bytes, expected 772"
    )


def test_a_list_of_names_as_large_as_a_bomb_is_not_read(tmp_path, members):
    members["cifar-10-batches-bin/batches.meta.txt"] = b"a" * 100_000
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == (
        "member cifar-10-batches-bin/batches.meta.txt has 100,000 bytes, too many for a list of class names"
    )


def test_label_out_of_range(tmp_path, members):
    members["cifar-10-batches-bin/test_batch.bin"] = b"\x0b" + members["cifar-10-batches-bin/test_batch.bin"][1:]
    path = write_archive(tmp_path / "a.tar.gz", members)
    assert message_of(path, TINY["cifar10"]) == "member test_batch.bin has label 11, expected 0 to 9"


def test_truncated_archive_names_the_last_member_seen(tmp_path, members):
    path = write_archive(tmp_path / "a.tar.gz", members)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # six members of about equal size, three are whole
    assert message_of(path, TINY["cifar10"]) == (
        "cannot be read beyond member cifar-10-batches-bin/data_batch_4.bin: cut short, damaged or not an archive"
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
    assert message_of(path, TINY["cifar10"]).endswith(": cut short, damaged or not an archive")


def test_something_else(tmp_path):
    path = tmp_path / "a.tar.gz"
    path.write_text("<html>not found</html>")
    assert message_of(path, TINY["cifar10"]) == (
        "cannot be read beyond its first member: cut short, damaged or not an archive"
    )
