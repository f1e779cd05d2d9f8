"""Images in folders and zips of every layout, as arrays and as an index."""

import io
import json
import os
import shutil
import unicodedata

import numpy as np
import pytest
from command_line import snapshot
from fabricated_images import png, write_folder, write_zip
from PIL import Image

from snapshot_cli.datasets import decode_files, store
from snapshot_cli.datasets.image_files import open_source
from snapshot_cli.datasets.listing import LAYOUTS, Choices, list_images
from snapshot_cli.datasets.prepare import prepare
from snapshot_cli.errors import ConfigError, UserError


def flat(value, height=8, width=8):
    return png(np.full((height, width, 3), value, dtype=np.uint8))


FILES = {
    "train/dog/a.png": flat(10),
    "train/dog/b.png": flat(20),
    "train/cat/a.png": flat(30),
    "test/cat/x.png": flat(40),
    "test/dog/y.png": flat(50),
}


def changed(**changes):
    """Return the files with some replaced, added or (None) taken away; __ stands for / and _ for ."""
    files = FILES | {name.replace("__", "/").replace("_", "."): content for name, content in changes.items()}
    return {name: content for name, content in files.items() if content is not None}


@pytest.fixture(params=[(write_folder, False), (write_zip, False), (write_folder, True), (write_zip, True)],
                ids=["folder", "zip", "streamed-folder", "streamed-zip"])  # fmt: skip
def prepared(request, tmp_path):
    """A function that writes files as a folder or zip and prepares them, resident or streamed."""
    write, streamed = request.param

    def run(files, size=8, **choices):
        notes = []
        source = tmp_path / "photos"
        if source.is_dir():
            shutil.rmtree(source)
        if not files:
            source.mkdir()
        manifest = prepare(
            "photos", tmp_path / "data", source=write(source, files), size=size, streamed=streamed, overwrite=True,
            choices=Choices(**choices), note=notes.append,
        )  # fmt: skip
        return manifest, notes

    return run


def refusal(prepared, files, **options):
    with pytest.raises(UserError) as caught:
        prepared(files, **options)
    return str(caught.value)


def test_a_share_of_the_layouts(prepared):
    manifest, notes = prepared({f"my photos/{name}": content for name, content in FILES.items()})
    assert (manifest.classes, manifest.train, manifest.test, notes) == (("cat", "dog"), 3, 2, [])


@pytest.mark.parametrize("name", ["val", "Valid", "VALIDATION"])
def test_another_name_of_the_test_set_is_said(prepared, name):
    files = {file.replace("test/", f"{name}/").replace("train/", "Train/"): FILES[file] for file in FILES}
    manifest, notes = prepared(files)
    assert (manifest.train, manifest.test, notes) == (3, 2, [f"the test set is {name}"])


def test_of_test_and_val_the_test_set_is_test_unless_one_says_otherwise(prepared):
    files = FILES | {"val/cat/v.png": flat(60), "val/dog/v.png": flat(70), "val/dog/w.png": flat(80)}
    manifest, notes = prepared(files)
    assert (manifest.test, notes) == (2, ["left out: val, 3 files; --test-from val takes it as the test set"])
    manifest, notes = prepared(files, test_from="val")
    assert (manifest.test, notes[0]) == (3, "the test set is val")
    assert "left out: test, 2 files" in notes[1]


def test_a_test_folder_without_classes_is_no_test_set(prepared):
    files = {name.replace("test/", "val/"): content for name, content in FILES.items()} | {"test/1.png": flat(1)}
    assert prepared(files)[0].test == 2


def test_two_folders_of_one_split(prepared):
    assert "Train and train are both train; rename or move one of them" in refusal(
        prepared, FILES | {"Train/cat/z.png": flat(1)}
    )


def test_images_outside_the_splits_are_said(prepared):
    manifest, notes = prepared(FILES | {"cover.png": flat(1), "more/cat/1.png": flat(2)})
    assert (manifest.train, manifest.test) == (3, 2)
    assert notes == ["left out: 2 images outside test and train (cover.png, more/cat/1.png)"]


def test_folders_around_everything(prepared):
    for files, options in ((FILES, {}), (unsplit(), {"test_share": 0.2})):
        manifest, _ = prepared({f"home/my photos/{name}": content for name, content in files.items()}, **options)
        assert manifest.classes == ("cat", "dog")


def test_a_class_may_be_called_train(prepared):
    files = {name.replace("dog/", "train/"): content for name, content in unsplit().items()}
    assert prepared(files | {"emu/1.png": flat(1), "emu/2.png": flat(2)}, test_share=0.2)[0].classes == (
        "cat", "emu", "train"
    )  # fmt: skip


def test_val_is_asked_for_where_there_is_none(prepared):
    assert refusal(prepared, FILES, test_from="val").endswith("but no val; leave --test-from out")


def unsplit(count=20, seed=0):
    draw = np.random.default_rng(seed)
    return {
        f"{name}/{row}.png": png(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        for name, images in (("cat", count), ("dog", 2 * count))
        for row in range(images)
    }


def test_test_images_are_drawn_from_every_class(prepared):
    manifest, notes = prepared(unsplit(), test_share=0.2)
    assert (manifest.train, manifest.test, manifest.test_share, manifest.split_seed) == (48, 12, 0.2, 0)
    assert notes == ["test images drawn: 12 of 60 images, 20 % of every class, seed 0"]
    again, _ = prepared({name.replace("/", "/other"): content for name, content in unsplit().items()}, test_share=0.2)
    other, _ = prepared(unsplit(), test_share=0.2, split_seed=1)
    assert again.test == other.test == 12
    assert again.content_hash == manifest.content_hash != other.content_hash


@pytest.mark.parametrize("share", [0, 1, -0.1, 2, float("nan")])
def test_a_share_that_is_none(share):
    with pytest.raises(ConfigError, match=r"expected a number between 0 and 1, such as 0\.2"):
        Choices(test_share=share)


def test_the_same_images_are_drawn_at_every_size(tmp_path):
    def drawn(size, streamed):
        path = tmp_path / f"photos{size}"
        source = open_source(write_folder(path, unsplit()))
        return {*list_images(source, Choices(test_share=0.3)).test}

    assert drawn(4, False) == drawn(8, True)


def test_copies_of_a_file_are_drawn_together(prepared):
    files = {f"{name}/{row}.png": flat(row // 5 + 10 * (name == "cat")) for name in ("cat", "dog") for row in range(20)}
    manifest, _ = prepared(files, test_share=0.25)
    assert manifest.duplicates.test_in_training == 0


def test_a_class_of_one_image_has_no_test_images(prepared):
    assert "too few images to draw test images: emu (1 image); a class needs at least two different ones" in refusal(
        prepared, unsplit() | {"emu/1.png": flat(1)}, test_share=0.2
    )


def test_train_alone_can_be_split_too(prepared):
    files = {f"train/{name}": content for name, content in unsplit().items()}
    assert prepared(files, test_share=0.1)[0].test == 6
    assert "add --test-share 0.2 to draw test images from train" in refusal(prepared, files)


TABLE = b"\xef\xbb\xbfFile,Class\nx/1.png,cat\n2.png,dog\n3.png,cat\n4.png,dog\n"
LOOSE = {"x/1.png": flat(1), "2.png": flat(2), "3.png": flat(3), "4.png": flat(4), "5.png": flat(5)}


def table(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    return tmp_path / "labels.csv"


def test_a_table_names_the_classes(prepared, tmp_path):
    path = table(tmp_path, TABLE)
    manifest, notes = prepared(LOOSE, labels=path, test_share=0.5)
    assert (manifest.classes, manifest.train, manifest.test) == (("cat", "dog"), 2, 2)
    assert f"left out: 1 image that {path} does not name (5.png)" in notes


def test_a_table_may_name_the_splits_and_lie_among_the_images(prepared):
    from pathlib import Path

    rows = b"file,class,split\nx/1.png,cat,train\n2.png,dog,Train\n3.png,cat,valid\n4.png,dog,val\n5.png,dog,train\n"
    manifest, notes = prepared(LOOSE | {"labels.csv": rows}, labels=Path("labels.csv"))
    assert (manifest.train, manifest.test, notes[0]) == (3, 2, "the test set is val")


@pytest.mark.parametrize(
    "rows",
    [
        "file;class\nx/1.png;cat\n2.png;dog\n3.png;cat\n4.png;dog\n",
        "class\tfile\ncat\tx\\1.png\ndog\t.\\2.png\ncat\t./3.png\ndog\t4.png\n",
        'file,class\n"x/1.png","cat"\r\n"2.png","dog"\r\n3.png,cat\r\n4.png,dog\r\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_of_other_programs(prepared, tmp_path, rows, encoding):
    manifest, _ = prepared(LOOSE, labels=table(tmp_path, rows.encode(encoding)), test_share=0.5)
    assert (manifest.classes, manifest.train, manifest.test) == (("cat", "dog"), 2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            " expected the columns file, class and optionally split, given an empty file; rename the columns in the"
            " first line",
        ),
        ("file,class\n2.png,caf\u00e9\n".encode("latin-1"), " not UTF-8; save the table as CSV UTF-8"),
        (b"file,class,class\n2.png,a,b\n", " several columns are called class; rename or delete the others"),
        (b"file,class\n2,a\n", "2: no file '2'; is it 2.png?"),
    ],
)
def test_tables_that_cannot_be_read(prepared, tmp_path, content, message):
    path = table(tmp_path, content)
    assert refusal(prepared, LOOSE, labels=path, test_share=0.5) == f"{path}:{message}"


def test_what_is_wrong_in_a_table_is_named_at_once(prepared, tmp_path):
    rows = b"file,class,split\nx/1.png,cat,train\nx/1.png,cat,train\n2.jpg,dog,train\n3.png,,test\n4.png,dog,tset\n"
    path = table(tmp_path, rows)
    assert refusal(prepared, LOOSE, labels=path) == (
        f"{path}:3: 'x/1.png' is in line 2 already\n{path}:4: no file '2.jpg'; is it 2.png?\n{path}:5: no class\n"
        f"{path}:6: expected the split train, test or val, given 'tset'"
    )
    path = table(tmp_path, b"image,label\n")
    assert "expected the columns file, class and optionally split, given image, label; rename the columns" in refusal(
        prepared, LOOSE, labels=path
    )
    assert "names no test images; add --test-share 0.2" in refusal(prepared, LOOSE, labels=table(tmp_path, TABLE))


def test_images_in_folders_below_a_class_are_of_that_class(prepared):
    manifest, _ = prepared(changed(train__dog__2025__may__a_png=flat(1)))
    assert (manifest.classes, manifest.train) == (("cat", "dog"), 4)


def test_junk_is_skipped_and_counted(prepared):
    junk = {"train/cat/Thumbs.db": b"x", "desktop.ini": b"", "train/dog/._a.png": b"", "notes.TXT": b"", "a.csv": b""}
    manifest, notes = prepared(FILES | junk)
    assert (manifest.train, manifest.skipped) == (3, 5)
    assert notes == ["skipped: 5 files that are no images (text, thumbnails, hidden files)"]


BROKEN = {
    "train/dog/heic.png": bytes(4) + b"ftypheic" + bytes(8),
    "train/cat/empty.png": b"",
    "test/dog/cut.png": flat(9)[:50],
    "test/cat/word.jpg": b"hello",
}


def test_broken_files_are_named_all_at_once_or_skipped(prepared, tmp_path):
    text = refusal(prepared, FILES | BROKEN)
    assert len(text.splitlines()) == 5
    for words in ("heic.png: cannot be read as an image (a HEIC photo", "(an empty file)", "cut.png", "word.jpg"):
        assert words in text
    assert text.endswith("4 files cannot be used; mend or delete, or leave out with --skip-broken")
    manifest, notes = prepared(FILES | BROKEN, skip_broken=True)
    assert (manifest.train, manifest.test, sorted(manifest.broken)) == (3, 2, sorted(BROKEN))
    assert notes == ["left out: 4 files that cannot be read; photos/manifest.json lists them"]
    assert json.loads((tmp_path / "data/photos/manifest.json").read_text())["broken"] == list(manifest.broken)
    assert store.verify(tmp_path / "data", "photos") == manifest


def test_what_is_left_without_broken_files_is_what_would_be_there_without_them(tmp_path):
    hashes = [
        prepare(name, tmp_path / "data", source=write_folder(tmp_path / name, files), choices=choices).content_hash
        for name, files, choices in (("a", FILES, Choices()), ("b", FILES | BROKEN, Choices(skip_broken=True)))
    ]
    assert hashes[0] == hashes[1]


def test_a_class_of_which_nothing_can_be_read(prepared):
    files = changed(train__cat__a_png=b"")
    assert "no image of class cat" in refusal(prepared, files, skip_broken=True)


def test_names_of_classes_that_differ_in_unicode_form_alone_are_one_class(prepared):
    name = "caf\u00e9"
    files = {
        f"{split}/{form}/{row}.png": flat(row + 10 * (split == "test"))
        for split, form in (("train", unicodedata.normalize("NFC", name)), ("test", unicodedata.normalize("NFD", name)))
        for row in range(2)
    }
    manifest, _ = prepared(files | {"train/tea/1.png": flat(100), "test/tea/1.png": flat(101)})
    assert (manifest.classes, manifest.train, manifest.test) == ((name, "tea"), 3, 3)


def test_leaks_and_repeated_images_are_counted_with_an_example(prepared):
    files = changed(
        test__dog__leak_png=flat(10), test__cat__again_png=flat(40), train__dog__twin_png=flat(20),
        train__cat__other_png=flat(20),
    )  # fmt: skip
    manifest, notes = prepared(files)
    counts = manifest.duplicates
    assert (counts.test_in_training, counts.in_two_classes, counts.in_training, counts.in_test) == (1, 1, 2, 1)
    assert notes[0] == "1 test image also in training (leak): for example test/dog/leak.png and train/dog/a.png"
    assert len(notes) == 4


def test_equal_pixels_in_other_bytes_are_a_leak(prepared):
    def encoded(level):
        file = io.BytesIO()
        image = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(image).save(file, "png", compress_level=level)
        return file.getvalue()

    assert encoded(0) != encoded(9)
    manifest, _ = prepared(changed(train__cat__a_png=encoded(0), test__cat__x_png=encoded(9)))
    assert manifest.duplicates.test_in_training == 1


def test_equal_pixels_in_another_format_are_a_leak(prepared):
    file = io.BytesIO()
    Image.open(io.BytesIO(FILES["train/dog/a.png"])).save(file, "bmp")
    assert prepared(FILES | {"test/dog/a.bmp": file.getvalue()})[0].duplicates.test_in_training == 1


def test_jpegs_that_look_alike_when_small_are_not_equal(tmp_path):
    def jpeg(value):
        image = np.full((64, 64, 3), 100, np.uint8)
        image[3, 3] = value
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=95)
        return file.getvalue()

    files = {"train/cat/a.jpg": jpeg(100), "train/dog/b.jpg": jpeg(101), "test/cat/a.jpg": jpeg(104)}
    source = write_folder(tmp_path / "a", files | {"test/dog/b.jpg": jpeg(180)})
    manifest = prepare("photos", tmp_path / "data", source=source, size=8, streamed=True)
    pixels = {name: Image.open(io.BytesIO(content)).tobytes() for name, content in files.items()}
    expected = sum(
        pixels[test] in (pixels["train/cat/a.jpg"], pixels["train/dog/b.jpg"]) for test in ["test/cat/a.jpg"]
    )
    assert manifest.duplicates.test_in_training == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (changed(train__emu__a_png=flat(1)), "train has images of class emu, test has none"),
        (changed(test__ant__a_png=flat(1)), "test has images of class ant, train has none"),
        (
            changed(train__Cat__a_png=flat(1), train__cat__a_png=None),
            "train has images of class Cat, test has none; test has images of class cat, train has none",
        ),
        ({"test/cat/1.png": flat(1)}, f"1 folder with images (test); expected {LAYOUTS}"),
        ({"1.png": flat(1), "2.png": flat(1)}, f"2 images in no folder; expected {LAYOUTS}"),
        ({"a.txt": b""}, f"no images; expected {LAYOUTS}"),
        (changed(train__a_png=flat(1)), "train/a.png: expected train/CLASS/FILE"),
        (
            {"cat/1.png": flat(1), "dog/1.png": flat(2)},
            "2 folders with images (cat, dog), but no train and test; add --test-share 0.2 to draw a fifth of every"
            f" class as test images, or use another layout: {LAYOUTS}",
        ),
        ({"train/cat/1.png": flat(1), "test/cat/1.png": flat(2)}, "one class, cat; a classifier needs two."),
        (changed(train__n01440764_tar=b""), "train/n01440764.tar: archives that are not unpacked"),
        ({"ILSVRC2012_img_train.tar": b"", "ILSVRC2012_img_val.tar": b""}, "archives that are not unpacked"),
    ],
)  # fmt: skip
def test_what_is_there_and_what_would_work_is_said(prepared, tmp_path, files, message):
    text = refusal(prepared, files)
    assert text.startswith(f"{tmp_path}/photos: ")
    assert message in text


def test_a_class_of_other_files_alone_is_named(prepared):
    assert "no images of class emu in train; put some there" in refusal(prepared, FILES | {"train/emu/a.txt": b""})


@pytest.mark.parametrize("streamed", [True, False])
def test_files_that_cannot_be_opened(tmp_path, streamed):
    source = write_folder(tmp_path / "photos", FILES)
    (source / "train/cat/self.png").symlink_to("self.png")
    (source / "train/cat/gone.png").symlink_to("nowhere.png")
    with pytest.raises(UserError) as caught:
        prepare("photos", tmp_path / "data", source=source, size=8, streamed=streamed)
    gone, loop, count = str(caught.value).splitlines()
    assert gone.endswith("(No such file or directory)")
    assert loop.endswith("(Too many levels of symbolic links)")
    assert "2 files cannot be used" in count


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    source = write_folder(tmp_path / "photos", FILES)
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"photos: cannot be read \(Permission denied\)"):
        open_source(source)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_class_without_images_is_named(tmp_path, streamed):
    source = write_folder(tmp_path / "photos", FILES)
    (source / "train/emu").mkdir()
    with pytest.raises(UserError, match="no images of class emu in train; put some there or delete the folder"):
        prepare("photos", tmp_path / "data", source=source, size=8, streamed=streamed)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            changed(test__dog__y_png=flat(1, 6, 4)),
            {"size": None},
            "test/dog/y.png is 4x6, the first image 8x8; images of several sizes need --size PIXELS",
        ),
        (
            changed(train__cat__a_png=flat(1, 6, 4), train__dog__a_png=flat(1, 6, 4)),
            {"size": None},
            "is 4x6, not a square; give --size PIXELS to crop and average",
        ),
        (
            changed(train__cat__a_png=flat(1, 3, 7)),
            {"size": 4},
            "train/cat/a.png is 7x3, too small for 4x4; give a smaller --size",
        ),
    ],
)
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_sizes_that_do_not_fit(tmp_path, write, files, options, message):
    with pytest.raises(UserError) as caught:
        prepare("photos", tmp_path / "data", source=write(tmp_path / "photos", files), **options)
    assert message in str(caught.value)


def test_size_crops_and_averages_whatever_is_there(tmp_path):
    files = changed(train__dog__a_png=flat(10, 16, 12), test__cat__x_png=flat(40, 4, 9))
    prepare("photos", tmp_path / "data", source=write_folder(tmp_path / "photos", files), size=4)
    dataset = store.load(tmp_path / "data", "photos")
    assert sorted(dataset.train_images[:, 3, 3, 2].tolist()) == [10, 20, 30]
    assert dataset.test_images.shape == (2, 4, 4, 3)


@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_processes_give_the_same_arrays(tmp_path, monkeypatch, write):
    source = write(tmp_path / "photos", {f"{s}/{name}": c for s in ("train", "test") for name, c in unsplit(5).items()})
    here = prepare("a", tmp_path / "data", source=source)
    monkeypatch.setattr(decode_files, "PARALLEL", 1)
    monkeypatch.setattr(decode_files, "CHUNK", 4)
    told = []
    there = prepare("b", tmp_path / "data", source=source, progress=lambda *numbers: told.append(numbers))
    assert here.content_hash == there.content_hash
    assert (told[0], told[-1]) == ((0, 30), (30, 30))
    assert sorted(os.listdir(tmp_path / "data")) == ["a", "b"]


def test_images_of_a_zip_are_streamed_from_it(tmp_path):
    source = write_zip(tmp_path / "photos.zip", FILES)
    prepare("photos", tmp_path / "data", source=source, size=8, streamed=True)
    dataset = store.load(tmp_path / "data", "photos")
    assert {dataset.train_images.read(row) for row in range(3)} == {
        content for name, content in FILES.items() if name.startswith("train")
    }
    store.verify_files(tmp_path / "data", "photos")
    source.unlink()
    with pytest.raises(UserError, match="put it back, or prepare the dataset again"):
        dataset.test_images.read(0)


def test_the_command_line_says_all_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "photos", unsplit(5) | {"cat/Thumbs.db": b"", "dog/copy.png": unsplit(5)["cat/0.png"]})
    code, out, errors = snapshot("data", "prepare", "photos", "--from", "photos", "--test-share", "0.2")
    assert (code, out) == (
        0, "photos: 13 training and 3 test images of 8x8 pixels in 2 classes: data/photos\n"
    )  # fmt: skip
    assert errors.startswith(
        "reading 16 files\ntest images drawn: 3 of 16 images, 20 % of every class, seed 0\nskipped: 1 "
    )
    assert "1 image in more than one class: for example" in errors
    assert "1 image in more than one class" in snapshot("data", "verify", "photos")[1]
