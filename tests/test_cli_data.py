import numpy as np
import pytest
from command_line import snapshot

DIGITS = "digits: 1,437 training and 360 test images of 8x8 pixels in 10 classes: data/digits\n"
OWN = "snapshot data prepare {} --from PATH --size PIXELS (PATH: a folder or zip with {{train,test}}/<class>/<file>)"
CIFAR10 = (
    "snapshot data prepare cifar10 --from PATH (PATH: cifar-10-binary.tar.gz from "
    "https://www.cs.toronto.edu/~kriz/cifar.html, or a folder or zip with the same images as "
    "{train,test}/<class>/<file>)"
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)


def rows():
    code, out, errors = snapshot("data", "list")
    assert (code, errors) == (0, "")
    assert "…" not in out
    lines = [line.split() for line in out.splitlines() if line.strip()]
    return [lines[0], *lines[2:]]


def test_list_prepare_verify(tmp_path):
    cifar = ["32", "50,000", "10,000", "no", "https://www.cs.toronto.edu/~kriz/cifar.html"]
    digits = ["digits", "10", "8", "1,437", "360"]
    before = rows()
    assert before[0] == ["name", "classes", "size", "train", "test", "prepared", "source"]
    assert before[1][:6] == [*digits, "no"]
    assert before[2:] == [["cifar10", "10", *cifar], ["cifar100", "100", *cifar]]
    assert snapshot("data", "prepare", "digits") == (0, DIGITS, "")
    assert snapshot("data", "prepare", "digits") == (0, DIGITS, "")
    assert rows()[1] == [*digits, "data/digits", "scikit-learn's", "load_digits"]
    assert snapshot("data", "verify", "digits") == (
        0, "digits: as prepared, 1,797 images, content hash 713ee0f4a3a3\n", ""
    )  # fmt: skip

    path = tmp_path / "data/digits/test-labels.npy"
    np.save(path, np.load(path)[::-1])
    code, out, errors = snapshot("data", "verify", "digits")
    assert (code, out) == (1, "")
    assert errors.startswith("data/digits: the manifest's content hash is 713ee0f4a3a3")
    assert errors.endswith("; prepare it anew: snapshot data prepare digits\n")


def test_the_data_folder_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("SNAPSHOT_DATA_DIR", "elsewhere")
    assert snapshot("data", "prepare", "digits")[1].endswith(": elsewhere/digits\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["verify", "birds"], 1, f"dataset 'birds' is not prepared in data; type: {OWN.format('birds')}"),
        (["verify", "cifar10"], 1, f"dataset 'cifar10' is not prepared in data; type: {CIFAR10}"),
        (
            ["prepare", "birds"], 2,
            f"'birds' is none of digits, cifar10, cifar100; for images of your own type: {OWN.format('birds')}",
        ),
        (["prepare", "cifar10"], 2, f"cifar10 has to come from somewhere; type: {CIFAR10}"),
        (["prepare", "cifar10", "--from", "nowhere"], 1, "nowhere: no such file or folder"),
        (
            ["prepare", "a/b", "--from", "x"], 2,
            "expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.', given 'a/b'",
        ),
        (
            ["prepare", "digits", "--size", "5"], 2,
            "expected a size in pixels that is a multiple of 4 up to 8, the side of Digits, given 5",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be(words, code, message):
    assert snapshot("data", *words) == (code, "", message + "\n")
