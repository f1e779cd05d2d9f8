import io
import os
import stat
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from fabricated_images import png, write_folder, write_zip
from PIL import EpsImagePlugin, ExifTags, Image, ImageOps

from snapshot_cli.datasets import file_bytes
from snapshot_cli.datasets.image_files import open_source, pixels
from snapshot_cli.errors import UserError

RED = np.full((4, 4, 3), (200, 10, 30), dtype=np.uint8)


def names_in(path):
    return sorted(open_source(path).files)


def refusal(path):
    with pytest.raises(UserError) as caught:
        names_in(path)
    return str(caught.value)


def encoded(image, kind="png", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content):
    return pixels(lambda: content, "here")


FILES = {
    "train/cat/1.png": b"1",
    "train/cat/.DS_Store": b"",
    "train/.hidden/1.png": b"",
    "__MACOSX/train/cat/1.png": b"",
    "README": b"2",
}


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_files_but_hidden_ones_can_be_read(tmp_path, write):
    path = write(tmp_path / "photos", FILES)
    files = open_source(path).files
    assert {name: read() for name, read in files.items()} == {"train/cat/1.png": b"1", "README": b"2"}


def test_links_are_followed_and_loops_end(tmp_path):
    write_folder(tmp_path / "photos", {"cats/1.png": b""})
    (tmp_path / "photos/train").mkdir()
    (tmp_path / "photos/train/cat").symlink_to(tmp_path / "photos/cats")
    (tmp_path / "photos/cats/loop").symlink_to(tmp_path / "photos")
    assert names_in(tmp_path / "photos") == ["cats/1.png", "train/cat/1.png"]


def test_what_is_neither_folder_nor_zip(tmp_path):
    (tmp_path / "a.tar").write_bytes(b"x" * 100)
    assert (
        refusal(tmp_path / "a.tar")
        == f"{tmp_path}/a.tar: neither a folder nor a zip; give the folder of the images (unpack an archive first)"
    )
    assert refusal(tmp_path / "b.zip") == f"{tmp_path}/b.zip: no such file or folder"


@pytest.mark.parametrize(
    "name", ["/train/cat/1.png", "../1.png", "train/../../1.png", "..\\1.png", "C:\\1.png", "C:1.png"]
)
def test_zip_member_that_points_outside(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {"train/cat/1.png": b"", name: b""})
    assert refusal(path) == f"{path}: member {name} points outside the zip; refused"


def test_names_in_a_zip_of_another_program(tmp_path):
    backslashes, dotted = zipfile.ZipInfo("train/cat/1.png"), zipfile.ZipInfo("./train/cat/2.png")
    backslashes.filename, backslashes.create_system = "train\\cat\\1.png", 0  # 0: Windows
    path = write_zip(tmp_path / "a.zip", {backslashes: b"1", dotted: b"2"})
    assert names_in(path) == ["train/cat/1.png", "train/cat/2.png"]
    assert file_bytes.read_member(path, "train/cat/1.png") == b"1"


def test_forked_processes_read_one_zip_at_once(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"{row}": bytes([row]) * 20_000 for row in range(50)}, zipfile.ZIP_STORED)

    def read_all():
        return all(
            file_bytes.read_member(path, f"{row}") == bytes([row]) * 20_000 for _ in range(5) for row in range(50)
        )

    assert read_all()
    child = os.fork()
    if not child:
        os._exit(0 if read_all() else 1)
    assert read_all()
    assert os.waitpid(child, 0)[1] == 0


def test_zip_member_that_is_a_link(tmp_path):
    member = zipfile.ZipInfo("train/cat/1.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = write_zip(tmp_path / "a.zip", {member: b"/etc/hostname"})
    assert refusal(path) == f"{path}: member train/cat/1.png is a link; refused"


def test_zip_that_grows_a_thousandfold(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"train/cat/1.bmp": bytes(20_000_000)})
    packed = path.stat().st_size
    assert refusal(path) == (
        f"{path}: {packed:,} bytes would unpack to 20,000,000, more than 1000 times as many; refused"
    )


def test_zip_cut_short(tmp_path):
    path = write_zip(tmp_path / "a.zip", {f"train/cat/{row}.png": png(RED) for row in range(20)})
    path.write_bytes(path.read_bytes()[:-100])  # the directory stands at the end
    assert refusal(path) == f"{path}: the zip is cut short or damaged; download or pack it again"


def test_zip_with_a_damaged_directory(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"train/cat/1.png": png(RED)})
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    assert refusal(path) == f"{path}: the zip cannot be read (Bad magic number for central directory)"


def test_encrypted_zip(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"train/cat/1.png": png(RED)})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert refusal(path) == f"{path}: member train/cat/1.png is encrypted; pack the images anew without a password"


def test_zip_member_with_a_wrong_checksum(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"train/cat/1.png": png(RED)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[80] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        pixels(open_source(path).files["train/cat/1.png"], "there")
    assert str(caught.value) == "there: cannot be read as an image (Bad CRC-32 for file 'train/cat/1.png')"


GREY = Image.fromarray(np.array([[0, 100], [200, 255]], dtype=np.uint8))
GREY_PIXELS = [[[0] * 3, [100] * 3], [[200] * 3, [255] * 3]]


@pytest.mark.parametrize(
    "content",
    [
        encoded(GREY),
        encoded(GREY, "tiff"),
        encoded(GREY.convert("P")),
        encoded(GREY.convert("RGBA")),
        encoded(GREY.convert("LA")),
        encoded(GREY, "bmp"),
        encoded(GREY, "webp", lossless=True),
        encoded(GREY, "gif"),
        encoded(GREY.convert("P"), transparency=bytes([0, 128, 255])),
        encoded(GREY, transparency=100),
        encoded(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)),
    ],
    ids=["grey", "tiff", "palette", "rgba", "la", "bmp", "webp", "gif", "palette-alpha", "grey-alpha", "16-bit"],
)
def test_every_kind_of_pixel_becomes_rgb(content):
    image = decoded(content)
    assert image.dtype == np.uint8
    assert image.tolist() == GREY_PIXELS


def test_black_and_white():
    assert decoded(encoded(GREY.convert("1", dither=Image.Dither.NONE)))[..., 0].tolist() == [[0, 0], [255, 255]]


def test_colours_keep_their_order():
    np.testing.assert_array_equal(decoded(png(RED)), RED)


def test_photographs_stand_upright():
    exif = Image.Exif()
    exif[274] = 6  # the camera was turned: rotate by 90 degrees clockwise
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8))
    assert decoded(encoded(image, exif=exif))[..., 0].tolist() == [[0], [255]]
    exif[274] = 8
    assert decoded(encoded(image, exif=exif))[..., 0].tolist() == [[255], [0]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (bytes(4) + b"ftypheic" + bytes(20), "a HEIC photo, which Pillow does not read; convert it to JPEG"),
        (b"notes", "no image format that Pillow knows"),
        (encoded(Image.fromarray(RED), "jpeg")[:-20], "cut short: Truncated File Read"),
        (encoded(Image.fromarray(np.ones((2, 2), np.float32)), "tiff"), "32-bit pixels have no fixed range"),
    ],
)
def test_unreadable_image_is_named(content, reason):
    with pytest.raises(UserError) as caught:
        decoded(content)
    assert str(caught.value) == f"here: cannot be read as an image ({reason})"


@pytest.mark.parametrize("limit", [15, 7])  # one pixel too many only warns, twice as many raises, in Pillow
def test_too_many_pixels_are_refused(monkeypatch, limit):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError) as caught:
        decoded(png(RED))
    assert str(caught.value) == f"here: cannot be read as an image (more than {limit} pixels)"


def test_file_that_vanished(tmp_path):
    with pytest.raises(UserError, match=r"there: cannot be read as an image .*No such file"):
        pixels((tmp_path / "gone.png").read_bytes, "there")


def said_of(path, name):
    with pytest.raises(UserError) as caught:
        pixels(open_source(path).files[name], f"{path}: {name}")
    return str(caught.value)


def test_zip_that_lies_about_a_size_is_unpacked_no_further(tmp_path):
    path, zeros = tmp_path / "lying.zip", 20_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(zeros))
    path.write_bytes(path.read_bytes().replace(zeros.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    tracemalloc.start()
    assert said_of(path, "1.png") == f"{path}: 1.png: cannot be read as an image (Bad CRC-32 for file '1.png')"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_zip_member_whose_name_would_break_a_line(tmp_path):
    path = write_zip(tmp_path / "photos", {"train/cat/a\nb.png": b""})
    assert refusal(path) == f"{path}: member 'train/cat/a\\nb.png' has control characters in its name; refused"


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch, write):
    path = write(tmp_path / "photos", {"1.png": bytes(11)})
    monkeypatch.setattr(file_bytes, "MAX_BYTES", 10)
    assert said_of(path, "1.png") == (f"{path}: 1.png: cannot be read as an image (11 bytes, expected at most 10)")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_pipe_or_device_is_not_read(tmp_path, make):
    make(tmp_path / "1.png")
    assert said_of(tmp_path, "1.png") == (
        f"{tmp_path}: 1.png: cannot be read as an image (a pipe or a device, not a file)"
    )


def test_postscript_is_not_run(monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *a, **k: pytest.fail("ran"))
    with pytest.raises(UserError) as caught:
        decoded(encoded(Image.new("RGB", (8, 8)), "eps"))
    assert str(caught.value) == (
        "here: cannot be read as an image (PostScript is a program, which Ghostscript would run)"
    )


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_that_of_pillow(orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encoded(Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3)), exif=exif)
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(decoded(content), np.asarray(ImageOps.exif_transpose(image)))


def test_a_rotated_photograph_with_an_odd_tag_is_read():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[0x102] = 6, 8
    content = encoded(Image.fromarray(np.full((2, 4, 3), 90, dtype=np.uint8)), "jpeg", exif=exif)
    entry = struct.pack(">HHIHH", 0x102, 3, 1, 8, 0)
    little = struct.pack("<HHIHH", 0x102, 3, 1, 8, 0)
    assert content.count(entry) + content.count(little) == 1
    content = content.replace(entry, struct.pack(">HHIi", 0x102, 9, 1, -1))
    content = content.replace(little, struct.pack("<HHIi", 0x102, 9, 1, -1))
    assert decoded(content).shape == (4, 2, 3)
