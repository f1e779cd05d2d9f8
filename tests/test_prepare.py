import io
from dataclasses import replace

import numpy as np
import pytest
from fabricated_images import (
    FOLDERS,
    TINY,
    images_of,
    members_of,
    python_members_of,
    tiny_imagenet_files,
    tree_files,
    unchecked,
    write_archive,
    write_folder,
    write_mats,
    write_zip,
)
from PIL import Image

from snapshot_cli.datasets import catalogue, store
from snapshot_cli.datasets.averaging import area_averages
from snapshot_cli.datasets.duplicates import Duplicates
from snapshot_cli.datasets.prepare import channel_statistics, prepare
from snapshot_cli.errors import ConfigError, UserError

PYTHON_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}


@pytest.fixture(autouse=True)
def tiny_catalogue(monkeypatch):
    for name, facts in TINY.items():
        monkeypatch.setitem(catalogue.CATALOGUE, name, facts)


def refusal(kind, *arguments, **options):
    with pytest.raises(UserError) as caught:
        prepare(*arguments, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sources(tmp_path, name, made):
    """Write the same images as a binary and a Python archive, both extracted, as a folder and as a zip."""
    files, folder = tree_files(made, TINY[name].class_names), tmp_path / "extracted"
    return [
        write_archive(tmp_path / "official.tar.gz", members_of(name, made)),
        write_archive(tmp_path / "python.tar.gz", python_members_of(name, made)),
        write_folder(folder / "1", members_of(name, made)),
        write_folder(folder / "2", python_members_of(name, made)) / PYTHON_FOLDERS[name],
        write_folder(tmp_path / "folder", files),
        write_zip(tmp_path / "packed.zip", {f"top/{file}": content for file, content in files.items()}),
    ]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize("size", [None, 4])
def test_same_images_give_the_same_arrays_whatever_they_came_from(tmp_path, name, size):
    made = images_of(TINY[name])
    manifests = [
        prepare(name, tmp_path / str(number), source=source, size=size)
        for number, source in enumerate(sources(tmp_path, name, made))
    ]
    assert len({manifest.content_hash for manifest in manifests}) == 1
    suffix = ", averaged to 4 pixels" if size else ""
    assert [manifest.source for manifest in manifests] == [
        f"official.tar.gz, the official binary archive{suffix}",
        f"python.tar.gz, the official Python archive{suffix}",
        f"{FOLDERS[name]}, the official binary folder{suffix}",
        f"{PYTHON_FOLDERS[name]}, the official Python folder{suffix}",
        f"folder, a folder of images{suffix}",
        f"packed.zip, a zip of images{suffix}",
    ]
    other = prepare(name, tmp_path / "9", source=sources(tmp_path, name, images_of(TINY[name], 1))[0], size=size)
    assert other.content_hash != manifests[0].content_hash


def test_what_is_stored_of_a_catalogue_dataset(tmp_path):
    made = images_of(TINY["cifar10"])
    manifest = prepare("cifar10", tmp_path / "data", source=sources(tmp_path, "cifar10", made)[0])
    assert store.verify(tmp_path / "data", "cifar10") == manifest
    assert manifest == store.Manifest(
        name="cifar10",
        source="official.tar.gz, the official binary archive",
        classes=TINY["cifar10"].class_names,
        size=8,
        train=20,
        test=10,
        mean=(125.3, 123.0, 113.9),
        std=(63.0, 62.1, 66.7),
        padding=None,
        flip=True,
        content_hash=manifest.content_hash,
        duplicates=Duplicates(),
    )
    dataset = store.load(tmp_path / "data", "cifar10")
    order = store.canonical_order(store.digests_of(made[0][0]), made[0][1])
    np.testing.assert_array_equal(dataset.train_images, made[0][0][order])
    np.testing.assert_array_equal(dataset.train_labels, np.sort(made[0][1]))


@pytest.mark.parametrize(("name", "size"), [("cifar10", 4), ("cifar10-4", None), ("cifar10-4", 4)])
def test_another_size_has_a_name_and_statistics_of_its_own(tmp_path, name, size):
    made = images_of(TINY["cifar10"])
    manifest = prepare(name, tmp_path / "data", source=sources(tmp_path, "cifar10", made)[-1], size=size)
    assert (manifest.name, manifest.size) == ("cifar10-4", 4)
    averaged = area_averages(made[0][0], 4).reshape(-1, 3)
    assert manifest.mean == pytest.approx(averaged.mean(axis=0), abs=1e-4)
    assert manifest.std == pytest.approx(averaged.std(axis=0), abs=1e-4)


@pytest.mark.parametrize(("name", "size"), [("cifar10", 8), ("cifar10-8", None)])
def test_its_own_size_is_the_plain_dataset(tmp_path, name, size):
    source = sources(tmp_path, "cifar10", images_of(TINY["cifar10"]))[0]
    manifest = prepare(name, tmp_path / "data", source=source, size=size)
    assert (manifest.name, manifest.mean) == ("cifar10", (125.3, 123.0, 113.9))


def test_digits_need_no_source(tmp_path):
    manifest = prepare("digits", tmp_path)
    assert (manifest.train, manifest.test, manifest.size, manifest.padding, manifest.flip) == (
        400,
        1397,
        8,
        None,
        False,
    )
    assert manifest.content_hash == "47dfa2e54589aad376a98b57ebd4a86557af69f77d6c232c22637c10ded583a3"
    assert manifest.mean == (77.9218, 77.9218, 77.9218)
    assert prepare("digits-4", tmp_path).name == "digits-4"
    assert list(store.prepared(tmp_path)) == ["digits", "digits-4"]


@pytest.mark.parametrize("name", ["svhn", "svhn-without-extra"])
def test_svhn_from_its_files_or_as_a_tree(tmp_path, name):
    made = write_mats(tmp_path / "mats", name)
    manifest = prepare(name, tmp_path / "data", source=tmp_path / "mats")
    tree = write_zip(tmp_path / "tree.zip", tree_files(made, TINY[name].class_names))
    assert prepare(name, tmp_path / "other", source=tree).content_hash == manifest.content_hash
    assert (manifest.mean, manifest.std) == ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
    assert (manifest.padding, manifest.flip) == (0, False)
    assert manifest.train == (35 if name == "svhn" else 20)


def test_tiny_imagenet_from_zip_or_folder(tmp_path):
    files = tiny_imagenet_files()
    manifests = [
        prepare("tiny-imagenet", tmp_path / str(number), source=source)
        for number, source in enumerate(
            [
                write_zip(tmp_path / "a.zip", files),
                write_folder(tmp_path / "b", files),
                tmp_path / "b/tiny-imagenet-200",
            ]
        )
    ]
    assert len({manifest.content_hash for manifest in manifests}) == 1
    assert (manifests[0].train, manifests[0].test, manifests[0].padding, manifests[0].flip) == (12, 6, None, True)
    assert [manifest.lighting for manifest in manifests] == [0.1] * 3
    images = store.load(tmp_path / "0", "tiny-imagenet").train_images.reshape(-1, 3)
    assert manifests[0].mean == pytest.approx(images.mean(axis=0), abs=1e-4)


def test_a_part_of_tiny_imagenet_needs_a_name_of_its_own(tmp_path, monkeypatch):
    folder, packed = (
        write(tmp_path / kind, tiny_imagenet_files()) for write, kind in ((write_folder, "a"), (write_zip, "b"))
    )
    manifest = prepare("tiny-slice", tmp_path / "data", source=packed)
    assert (manifest.name, manifest.classes[0], manifest.size) == ("tiny-slice", "n01443537 goldfish", 8)
    assert prepare("tiny-slice", tmp_path / "data", source=folder, size=4, overwrite=True).size == 4
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny-imagenet", unchecked(TINY["tiny-imagenet"], classes=200))
    assert refusal(UserError, "tiny-imagenet", tmp_path / "data", source=folder) == (
        f"{folder}: 3 classes, Tiny ImageNet has 200; choose another name for other images"
    )
    official = catalogue.OfficialFile("tiny-imagenet-200.zip", "9052", ("http://x/tiny-imagenet-200.zip",))
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny-imagenet", replace(TINY["tiny-imagenet"], files=(official,)))
    assert refusal(UserError, "tiny-imagenet", tmp_path / "data", source=packed).endswith(
        ", that of the official tiny-imagenet-200.zip is 9052; the file is cut short, damaged or another version:"
        " download http://x/tiny-imagenet-200.zip again, or unpack it and give the folder"
    )


def test_counts_of_classes_that_are_not_balanced(tmp_path):
    write_mats(tmp_path / "mats", test={"y": np.array([10, 10, 1, 1, 1, 3, 4, 5, 6, 7, 8, 9])[:, None]})
    assert refusal(UserError, "svhn", tmp_path / "data", source=tmp_path / "mats") == (
        f"{tmp_path}/mats: 3 test images of class 1, SVHN has 2; choose another name for other images"
    )


def test_fetch_is_called_without_a_source_alone(tmp_path):
    source, asked = sources(tmp_path, "cifar10", images_of(TINY["cifar10"]))[0], []

    def fetch(known):
        asked.append(known.name)
        return source

    assert prepare("cifar10-4", tmp_path / "data", fetch=fetch).source.startswith("official.tar.gz")
    prepare("cifar10", tmp_path / "data", source=source, fetch=fetch)
    prepare("digits", tmp_path / "data", fetch=fetch)
    assert asked == ["cifar10"]


def own_files(side=8, seed=0):
    facts = replace(TINY["cifar10"], classes=2, train=6, test=4, size=side)
    return tree_files(images_of(facts, seed), ("cat", "dog"))


def test_own_images(tmp_path):
    manifest = prepare("my-photos-64", tmp_path / "data", source=write_folder(tmp_path / "raw", own_files()))
    assert (manifest.name, manifest.size, manifest.train, manifest.test) == ("my-photos-64", 8, 6, 4)
    assert (manifest.classes, manifest.padding, manifest.flip) == (("cat", "dog"), None, True)
    images = store.load(tmp_path / "data", "my-photos-64").train_images.reshape(-1, 3)
    assert manifest.mean == pytest.approx(images.mean(axis=0), abs=1e-4)


def test_own_images_averaged_keep_their_name(tmp_path):
    source = write_zip(tmp_path / "raw.zip", own_files())
    manifest = prepare("photos", tmp_path / "data", source=source, size=4)
    assert (manifest.name, manifest.size) == ("photos", 4)
    assert manifest.source == "raw.zip, a zip of images, averaged to 4 pixels"


def test_the_folder_of_the_images_themselves_is_not_overwritten(tmp_path):
    source = write_folder(tmp_path / "photos", own_files())
    assert refusal(UserError, "photos", tmp_path, source=source) == (
        f"{source} exists and is not a prepared dataset; move it away or choose another name"
    )
    assert (source / "train/cat").is_dir()


def test_prepared_already_is_left_alone_and_damage_is_mended(tmp_path):
    folder, packed = write_folder(tmp_path / "raw", own_files()), write_zip(tmp_path / "raw.zip", own_files())
    first = prepare("photos", tmp_path / "data", source=folder)
    written = (tmp_path / "data/photos").stat().st_ino
    assert prepare("photos", tmp_path / "data", source=packed) == first
    assert (tmp_path / "data/photos").stat().st_ino == written
    (tmp_path / "data/photos/train-images.npy").write_bytes(b"damaged")
    prepare("photos", tmp_path / "data", source=folder)
    assert store.verify(tmp_path / "data", "photos") == first


def test_other_images_replace_the_old_ones_only_if_that_is_said(tmp_path):
    first = prepare("photos", tmp_path / "data", source=write_folder(tmp_path / "raw", own_files()))
    other = write_folder(tmp_path / "raw", own_files(seed=1))
    assert refusal(UserError, "photos", tmp_path / "data", source=other) == (
        f"{tmp_path}/data/photos holds other images (6 to train, 4 to test, 8x8, from raw, a folder of images); choose"
        " another name, or add --replace: runs that were trained on them can then no longer be resumed"
    )
    assert store.verify(tmp_path / "data", "photos") == first
    second = prepare("photos", tmp_path / "data", source=other, overwrite=True)
    assert first.content_hash != second.content_hash
    assert store.verify(tmp_path / "data", "photos") == second


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "../photos",
            {},
            "expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.',"
            " given '../photos'",
        ),
        ("cifar10-4", {"size": 8}, "the name cifar10-4 means 4 pixels and --size 8; give one of them"),
        (
            "cifar10",
            {"size": 6},
            "--size 6: expected a multiple of 4 up to 8, the side of CIFAR-10, in pixels",
        ),
        (
            "cifar10-12",
            {},
            "cifar10-12, size 12: expected a multiple of 4 up to 8, the side of CIFAR-10, in pixels",
        ),
        ("photos", {"size": 0}, "--size 0: expected a multiple of 4, in pixels"),
        ("photos", {"size": -4}, "--size -4: expected a multiple of 4, in pixels"),
        (
            "cifar10-4",
            {},
            "cifar10: not prepared; type: snapshot data prepare cifar10 --size 4 (downloads"
            " cifar-10-binary.tar.gz; to use local files, add --from PATH)",
        ),
        (
            "photos",
            {},
            "'photos' is not a known dataset (digits, cifar10, cifar100, svhn, svhn-without-extra, tiny-imagenet,"
            " imagenet); for your own images type: snapshot data prepare photos --from PATH --size PIXELS (PATH: a"
            " folder or zip with one folder per class; without a test set, add --test-share 0.2)",
        ),
    ],
)
def test_what_cannot_be_meant(tmp_path, name, options, message):
    error = UserError if "not prepared" in message else ConfigError
    assert refusal(error, name, tmp_path, **options) == message


def test_the_official_archive_in_a_folder_of_downloads(tmp_path):
    archive = write_archive(tmp_path / "cifar-10-binary.tar.gz", members_of("cifar10", images_of(TINY["cifar10"])))
    folder = write_folder(tmp_path / "downloads", {archive.name: archive.read_bytes(), "other.pdf": b""})
    assert prepare("cifar10", tmp_path / "data", source=folder).train == 20


def test_images_of_a_known_dataset_are_not_advised_to_draw_a_test_set(tmp_path):
    message = refusal(UserError, "cifar10", tmp_path / "data", source=write_folder(tmp_path / "a", {"cat/1.png": b""}))
    assert message.endswith(
        "no train and test; expected the official files (cifar-10-binary.tar.gz, cifar-10-python.tar.gz) or the layout"
        " {train,test}/CLASS/FILE"
    )


def test_a_truncated_tiny_imagenet_is_a_wrong_download(tmp_path, monkeypatch):
    official = catalogue.OfficialFile("tiny-imagenet-200.zip", "9052", ("http://x/tiny-imagenet-200.zip",))
    monkeypatch.setitem(catalogue.CATALOGUE, "tiny-imagenet", replace(TINY["tiny-imagenet"], files=(official,)))
    path = write_zip(tmp_path / "tiny.zip", tiny_imagenet_files())
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged or another version: download http://x/tiny-imagenet-200.zip again" in refusal(
        UserError, "tiny-imagenet", tmp_path / "data", source=path
    )


@pytest.mark.parametrize("streamed", [True, False])
def test_places_that_cannot_be_used_are_refused_before_anything_is_read(tmp_path, monkeypatch, streamed):
    source, read = write_folder(tmp_path / "photos", tree_files(images_of(TINY["cifar10"]), "abcdefghij")), []
    options = {"source": source, "streamed": streamed, "progress": lambda *numbers: read.append(numbers)}
    (tmp_path / "data/mine").mkdir(parents=True)
    assert refusal(UserError, "mine", tmp_path / "data", **options) == (
        f"{tmp_path}/data/mine exists and is not a prepared dataset; move it away or choose another name"
    )
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert refusal(UserError, "other", tmp_path / "data", **options) == (
        f"{tmp_path}/data: cannot be written to; give another --data-dir"
    )
    assert read == []


def test_digits_from_somewhere(tmp_path):
    assert refusal(ConfigError, "digits", tmp_path, source=tmp_path) == (
        "digits comes from scikit-learn's load_digits, installed with this program; leave --from out"
    )


@pytest.mark.parametrize("name", ["cifar10", "photos"])
def test_source_that_is_not_there(tmp_path, name):
    assert refusal(UserError, name, tmp_path, source=tmp_path / "x") == f"{tmp_path}/x: no such file or folder"


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (10, "the images are 10x10, expected a multiple of 4; give --size 8"),
        (2, "the images are 2x2, expected a multiple of 4"),
    ],
)
def test_own_images_of_a_side_that_networks_cannot_take(tmp_path, side, message):
    source = write_folder(tmp_path / "raw", own_files(side))
    assert refusal(UserError, "photos", tmp_path / "data", source=source) == (f"{source}: {message}")


def official_tree(tmp_path, change=lambda files: None, **facts):
    files = tree_files(images_of(replace(TINY["cifar10"], **facts)), TINY["cifar10"].class_names)
    change(files)
    return write_folder(tmp_path / "tree", files)


def rename_cat(files):
    for name in [name for name in files if "/cat/" in name]:
        files[name.replace("/cat/", "/kitten/")] = files.pop(name)


def move_cat_to_dog(files):
    name = next(name for name in files if name.startswith("train/cat/"))
    files["train/dog/moved.png"] = files.pop(name)


@pytest.mark.parametrize(
    ("change", "facts", "message"),
    [
        (rename_cat, {}, "the classes are not those of CIFAR-10; differing: cat, kitten"),
        (move_cat_to_dog, {}, "1 training images of class cat, CIFAR-10 has 2"),
        (lambda files: None, {"train": 30}, "30 training images, CIFAR-10 has 20"),
        (lambda files: None, {"test": 20}, "20 test images, CIFAR-10 has 10"),
        (lambda files: None, {"size": 4}, "the images are 4x4, those of CIFAR-10 8x8"),
    ],
)
def test_images_that_are_not_the_official_ones(tmp_path, change, facts, message):
    source = official_tree(tmp_path, change, **facts)
    assert refusal(UserError, "cifar10", tmp_path / "data", source=source) == (
        f"{source}: {message}; choose another name for other images"
    )
    assert not list((tmp_path / "data").iterdir())


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The files of a folder whose images the catalogue has as CIFAR-10's published ones."""
    files = tree_files(images_of(TINY["cifar10"]), TINY["cifar10"].class_names)
    manifest = prepare("cifar10", tmp_path / "first", source=write_folder(tmp_path / "published", files))
    facts = replace(TINY["cifar10"], content_hash=manifest.content_hash, lighting=0.2)
    monkeypatch.setitem(catalogue.CATALOGUE, "cifar10", facts)
    return files


def jpeg(content):
    file = io.BytesIO()
    Image.open(io.BytesIO(content)).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("write", [write_folder, write_zip])
def test_a_lossy_copy_of_a_catalogue_dataset_is_told(tmp_path, published, write, size):
    source, notes = write(tmp_path / "copy", {name: jpeg(content) for name, content in published.items()}), []
    prepare("cifar10", tmp_path / "data", source=source, size=size, note=notes.append)
    assert notes == [
        f"{source}: these are not the published pixels of CIFAR-10 (a lossy copy?): errors do not compare with the"
        " paper's"
    ]


def test_of_the_published_pixels_nothing_is_told(tmp_path, published):
    notes = []
    prepare("cifar10", tmp_path / "data", source=tmp_path / "published", note=notes.append)
    assert notes == []


def test_published_images_under_another_name_get_the_catalogues_augmentation(tmp_path, published):
    notes = []
    manifest = prepare("photos", tmp_path / "data", source=tmp_path / "published", note=notes.append)
    assert (manifest.mean, manifest.std) == ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    assert (manifest.lighting, manifest.padding, manifest.flip) == (0.2, None, True)
    assert notes == ["these are the images of CIFAR-10: they get its normalisation and augmentation"]


def test_other_images_under_another_name_get_no_dataset_s_augmentation(tmp_path, published):
    notes, source = [], write_folder(tmp_path / "copy", {name: jpeg(content) for name, content in published.items()})
    manifest = prepare("photos", tmp_path / "data", source=source, note=notes.append)
    assert manifest.mean != (125.3, 123.0, 113.9)
    assert (manifest.lighting, notes) == (0.0, [])


def test_tiny_imagenets_layout_under_another_name_has_no_lighting_and_that_is_told(tmp_path):
    notes, source = [], write_folder(tmp_path / "raw", tiny_imagenet_files())
    assert prepare("my-tiny", tmp_path / "data", source=source, note=notes.append).lighting == 0.0
    assert notes[-1] == (
        "Tiny ImageNet's colour alteration is off, since this need not be that dataset: for the paper's augmentation"
        " write 'lighting: 0.1' into the config"
    )
    notes.clear()
    assert prepare("tiny-imagenet", tmp_path / "data", source=source, note=notes.append).lighting == 0.1
    assert not [note for note in notes if "colour alteration" in note]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("cifar10", "cifar-10-binary.tar.gz, cifar-10-python.tar.gz"),
        ("svhn", "train_32x32.mat, extra_32x32.mat, test_32x32.mat"),
        ("tiny-imagenet", "tiny-imagenet-200.zip"),
    ],
)
def test_a_folder_with_nothing_of_the_dataset(tmp_path, name, files):
    source = write_folder(tmp_path / "a", {"x.txt": b""})
    assert refusal(UserError, name, tmp_path / "data", source=source) == (
        f"{source}: no images; expected the official files ({files}) or the layout {{train,test}}/CLASS/FILE"
    )


def test_archive_with_other_names(tmp_path):
    members = members_of("cifar10", images_of(TINY["cifar10"]))
    members["cifar-10-batches-bin/batches.meta.txt"] = b"\n".join(
        name.encode() for name in reversed(TINY["cifar10"].class_names)
    )
    source = write_archive(tmp_path / "a.tar.gz", members)
    assert refusal(UserError, "cifar10", tmp_path / "data", source=source) == (
        f"{source}: the classes are not those of CIFAR-10; differing: their order; choose another name for other images"
    )


def test_channel_statistics_are_those_of_all_pixels():
    images = np.random.default_rng(0).integers(0, 256, (1003, 4, 4, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)), abs=5e-5)
    assert std == pytest.approx(images.std(axis=(0, 1, 2)), abs=5e-5)


def test_a_constant_channel_has_deviation_one():
    assert channel_statistics(np.full((2, 4, 4, 3), 7, dtype=np.uint8)) == ((7.0, 7.0, 7.0), (1.0, 1.0, 1.0))
