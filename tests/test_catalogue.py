import subprocess
import sys

import pytest

from snapshot_cli.config.dataset_name import check_name
from snapshot_cli.datasets.catalogue import CATALOGUE, averaged_sizes, facts, how_to_prepare, split_name


def test_what_is_known_of_each_dataset():
    assert {
        name: (known.title, known.classes, known.size, known.train, known.test, known.padding, known.flip)
        for name, known in CATALOGUE.items()
    } == {
        "digits": ("Digits", 10, 8, 400, 1397, None, False),
        "cifar10": ("CIFAR-10", 10, 32, 50_000, 10_000, None, True),
        "cifar100": ("CIFAR-100", 100, 32, 50_000, 10_000, None, True),
        "svhn": ("SVHN", 10, 32, 604_388, 26_032, 0, False),
        "svhn-without-extra": ("SVHN without extra", 10, 32, 73_257, 26_032, 0, False),
        "tiny-imagenet": ("Tiny ImageNet", 200, 64, 100_000, 10_000, None, True),
        "imagenet": ("ImageNet", 1000, 224, 1_281_167, 50_000, None, True),
    }


def test_colours_are_altered_in_tiny_imagenet_and_imagenet_alone():
    altered = {name: known.lighting for name, known in CATALOGUE.items() if known.lighting}
    assert altered == {"tiny-imagenet": 0.1, "imagenet": 0.1}
    assert facts("tiny-imagenet-32").lighting == 0.1


def test_normalisation_is_that_of_the_authors_code_base():
    assert CATALOGUE["cifar10"].mean == (125.3, 123.0, 113.9)
    assert CATALOGUE["cifar10"].std == (63.0, 62.1, 66.7)
    assert CATALOGUE["cifar100"].mean == (129.3, 124.1, 112.4)
    assert CATALOGUE["cifar100"].std == (68.2, 65.4, 70.4)


def test_svhn_is_scaled_to_one_at_every_size():
    for name in ("svhn", "svhn-without-extra", "svhn-16"):
        assert (facts(name).mean, facts(name).std) == ((0, 0, 0), (255, 255, 255))


def test_official_checksums():
    assert {file.name: file.md5 for known in CATALOGUE.values() for file in (*known.files, *known.also)} == {
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
        "extra_32x32.mat": "a93ce644f1a588dc4d68dda5feec44a7",
        "tiny-imagenet-200.zip": "90528d7ca1a48142e341f4ef8d21d0de",
    }


@pytest.mark.parametrize("name", CATALOGUE)
def test_table_agrees_with_itself(name):
    known = CATALOGUE[name]
    assert known.name == name
    names = known.class_names or tuple(f"{label:03}" for label in range(known.classes))
    assert known.classes == len(set(names))
    assert list(names) == sorted(names)  # an image tree's labels are the official ones
    for examples, counts in ((known.train, known.train_counts), (known.test, known.test_counts)):
        assert (name, examples) == ("imagenet", 1_281_167) or (
            examples % known.classes == 0 if counts is None else (len(counts), sum(counts)) == (known.classes, examples)
        )
    for file in (*known.files, *known.also):
        assert file.urls
        assert all(url.endswith(f"/{file.name}") for url in file.urls)
    check_name(name)


@pytest.mark.parametrize("name", ["digits", "cifar10-16", "my.photos_2-64", "A", "9", "-x"])
def test_good_names(name):
    check_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "é", "a\n", "~"])
def test_bad_names(name):
    with pytest.raises(ValueError, match="given") as caught:
        check_name(name)
    assert str(caught.value) == (
        f"expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.', given {name!r}"
    )


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cifar10", ("cifar10", None)),
        ("cifar10-16", ("cifar10", 16)),
        ("digits-4", ("digits", 4)),
        ("my-photos-64", ("my-photos-64", None)),
        ("cifar10-016", ("cifar10-016", None)),
        ("cifar10-", ("cifar10-", None)),
        ("cifar10-16-16", ("cifar10-16-16", None)),
        ("-16", ("-16", None)),
        ("svhn-without-extra", ("svhn-without-extra", None)),
        ("svhn-without-extra-16", ("svhn-without-extra", 16)),
    ],
)
def test_split_name(name, parts):
    assert split_name(name) == parts


def test_imagenet_keeps_its_normalisation_at_every_size():
    for name in ("imagenet", "imagenet-64"):
        known = facts(name)
        assert [round(value / 255, 6) for value in (*known.mean, *known.std)] == [
            0.485, 0.456, 0.406, 0.229, 0.224, 0.225,
        ]  # fmt: skip


def test_facts_of_averaged_images_leave_mean_and_deviation_open():
    known = facts("cifar10-16")
    assert (known.size, known.mean, known.std) == (16, None, None)
    assert (known.name, known.classes, known.train, known.flip) == ("cifar10", 10, 50_000, True)


@pytest.mark.parametrize("name", ["photos", "cifar10-15", "cifar10-32", "cifar10-64", "imagenets", "imagenet-99"])
def test_no_facts(name):
    assert facts(name) is None


def test_sizes_below_its_own():
    assert averaged_sizes(CATALOGUE["cifar10"]) == [4, 8, 12, 16, 20, 24, 28]
    assert averaged_sizes(CATALOGUE["digits"]) == [4]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("digits", "snapshot data prepare digits"),
        ("digits-4", "snapshot data prepare digits --size 4"),
        (
            "cifar10-16",
            "snapshot data prepare cifar10 --size 16 (downloads cifar-10-binary.tar.gz; to use local files,"
            " add --from PATH)",
        ),
        (
            "svhn",
            "snapshot data prepare svhn (downloads train_32x32.mat, extra_32x32.mat, test_32x32.mat; to use local"
            " files, add --from PATH)",
        ),
        (
            "imagenet-64",
            "snapshot data prepare imagenet --size 64 --from FOLDER (FOLDER: train/<wnid>/*.JPEG and val, from"
            " https://image-net.org/download-images)",
        ),
        (
            "photos",
            "snapshot data prepare photos --from PATH --size PIXELS"
            " (PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)",
        ),
    ],
)
def test_what_to_type(name, sentence):
    assert how_to_prepare(name) == sentence


@pytest.mark.parametrize("module", ["catalogue", "manifest"])
def test_facts_and_manifests_import_no_library(module):
    code = (
        f"import sys, snapshot_cli.datasets.{module}\n"
        "print([name for name in ('numpy', 'PIL', 'sklearn', 'torch', 'yaml', 'pydantic') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("module", ["store", "prepare"])
def test_preparing_imports_neither_torch_nor_scikit_learn(module):
    code = f"import sys, snapshot_cli.datasets.{module}\nprint('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
