import pytest

from snapshot_cli.tracking.event_file import extend


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_grows_in_place(tmp_path):
    folder = tmp_path / "new/folder"
    extend(folder, b"one")
    (path,) = folder.iterdir()
    inode = path.stat().st_ino
    extend(folder, b"one, two")
    assert files(folder) == {"events.out.tfevents.0000000000.snapshot": b"one, two"}
    assert path.stat().st_ino == inode  # a TensorBoard that has it open reads on


def test_the_same_again_adds_nothing(tmp_path):
    extend(tmp_path, b"one")
    extend(tmp_path, b"one")
    assert list(files(tmp_path).values()) == [b"one"]


def test_what_was_torn_is_completed(tmp_path):
    extend(tmp_path, b"one, tw")
    extend(tmp_path, b"one, two, three")
    assert list(files(tmp_path).values()) == [b"one, two, three"]


@pytest.mark.parametrize("other", [b"another", b"on"])
def test_something_else_takes_the_next_number(tmp_path, other):
    extend(tmp_path, b"one")
    (tmp_path / "events.out.tfevents.170000.host").write_bytes(b"of another program")
    extend(tmp_path, other)
    extend(tmp_path, b"!")
    assert files(tmp_path) == {
        "events.out.tfevents.170000.host": b"of another program",
        "events.out.tfevents.0000000000.snapshot": b"",
        "events.out.tfevents.0000000001.snapshot": b"",
        "events.out.tfevents.0000000002.snapshot": b"!",
    }


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "folder").write_text("")
    with pytest.raises(OSError, match="folder"):
        extend(tmp_path / "folder", b"one")
