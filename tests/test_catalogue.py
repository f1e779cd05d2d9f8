import subprocess
import sys

import pytest

from snapshot_cli.datasets.catalogue import CATALOGUE, averaged_sizes, check_name, facts, how_to_prepare, split_name


def test_what_is_known_of_each_dataset():
    assert {
        name: (known.title, known.classes, known.size, known.train, known.test, known.padding, known.flip)
        for name, known in CATALOGUE.items()
    } == {
        "digits": ("Digits", 10, 8, 1437, 360, None, False),
        "cifar10": ("CIFAR-10", 10, 32, 50_000, 10_000, None, True),
        "cifar100": ("CIFAR-100", 100, 32, 50_000, 10_000, None, True),
    }


def test_normalisation_is_that_of_the_authors_code_base():
    assert CATALOGUE["cifar10"].mean == (125.3, 123.0, 113.9)
    assert CATALOGUE["cifar10"].std == (63.0, 62.1, 66.7)
    assert CATALOGUE["cifar100"].mean == (129.3, 124.1, 112.4)
    assert CATALOGUE["cifar100"].std == (68.2, 65.4, 70.4)


@pytest.mark.parametrize("name", CATALOGUE)
def test_table_agrees_with_itself(name):
    known = CATALOGUE[name]
    assert known.name == name
    assert known.classes == len(set(known.class_names))
    assert list(known.class_names) == sorted(known.class_names)  # an image tree's labels are the official ones
    assert (known.archive is None) == (known.md5 is None)
    assert not known.balanced or known.train % known.classes == known.test % known.classes == 0
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
    ],
)
def test_split_name(name, parts):
    assert split_name(name) == parts


def test_facts_of_averaged_images_leave_mean_and_deviation_open():
    known = facts("cifar10-16")
    assert (known.size, known.mean, known.std) == (16, None, None)
    assert (known.name, known.classes, known.train, known.flip) == ("cifar10", 10, 50_000, True)


@pytest.mark.parametrize("name", ["photos", "cifar10-15", "cifar10-32", "cifar10-64", "svhn"])
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
            "snapshot data prepare cifar10 --size 16 --from PATH (PATH: cifar-10-binary.tar.gz from"
            " https://www.cs.toronto.edu/~kriz/cifar.html, or a folder or zip with the same images as"
            " {train,test}/<class>/<file>)",
        ),
        (
            "photos",
            "snapshot data prepare photos --from PATH --size PIXELS"
            " (PATH: a folder or zip with {train,test}/<class>/<file>)",
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
