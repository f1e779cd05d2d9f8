import re
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from command_line import snapshot
from fabricated_images import TINY, images_of, members_of, write_archive
from PIL import Image

from snapshot_cli.datasets import catalogue

DIGITS = "digits: 400 training and 1,397 test images of 8x8 pixels in 10 classes: data/digits\n"
OWN = (
    "snapshot data prepare {} --from PATH --size PIXELS"
    " (PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)"
)
CIFAR10 = "snapshot data prepare cifar10 (downloads cifar-10-binary.tar.gz; to use local files, add --from PATH)"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNAPSHOT_DATA_DIR", raising=False)
    monkeypatch.setenv("SNAPSHOT_MIRROR", "http://127.0.0.1:9")  # a port where nobody is
    monkeypatch.setenv("no_proxy", "*")


def rows():
    code, out, errors = snapshot("data", "list")
    assert (code, errors) == (0, "")
    assert "…" not in out
    table, below = re.split(r"\n *\n(?=\S)", out)
    assert max(map(len, table.splitlines())) <= 80
    lines = [re.split("  +", line.strip()) for line in table.splitlines() if line.strip()]
    return [lines[0], *lines[2:]], below.splitlines()


def test_list_prepare_verify(tmp_path):
    terms = "no licence stated; the authors ask to cite Krizhevsky, 2009"
    cifar = ["32", "50,000", "10,000", "no"]
    digits = ["digits", "10", "8", "400", "1,397"]
    open_to_all = "CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)"
    before, below = rows()
    assert before[0] == ["name", "classes", "size", "train", "test", "prepared", "on disk"]
    assert before[1] == [*digits, "no"]
    assert below[:2] == [
        f"digits: scikit-learn's load_digits, installed with this program; {open_to_all}",
        f"cifar10: https://www.cs.toronto.edu/~kriz/cifar.html; {terms}",
    ]
    assert before[2:4] == [["cifar10", "10", *cifar], ["cifar100", "100", *cifar]]
    assert [row[:6] for row in before[4:]] == [
        ["svhn", "10", "32", "604,388", "26,032", "no"],
        ["svhn-without-extra", "10", "32", "73,257", "26,032", "no"],
        ["tiny-imagenet", "200", "64", "100,000", "10,000", "no"],
        ["imagenet", "1000", "224", "1,281,167", "50,000", "no"],
    ]
    assert snapshot("data", "prepare", "digits") == (0, DIGITS, "")
    assert snapshot("data", "prepare", "digits") == (0, DIGITS, "")
    after, below = rows()
    assert after[1] == [*digits, "yes", "0.4 MB"]
    assert below[0] == f"digits: scikit-learn's load_digits; {open_to_all}"
    assert snapshot("data", "verify", "digits") == (
        0, "digits: as prepared, 1,797 images, content hash 47dfa2e54589\n", ""
    )  # fmt: skip

    path = tmp_path / "data/digits/test-labels.npy"
    np.save(path, np.load(path)[::-1])
    code, out, errors = snapshot("data", "verify", "digits")
    assert (code, out) == (1, "")
    assert errors.startswith("data/digits: the manifest's content hash is 47dfa2e54589")
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
            "'birds' is not a known dataset (digits, cifar10, cifar100, svhn, svhn-without-extra, tiny-imagenet,"
            f" imagenet); for your own images type: {OWN.format('birds')}",
        ),
        (
            ["prepare", "cifar10"], 1,
            "cifar-10-binary.tar.gz could not be downloaded from http://127.0.0.1:9/cifar-10-binary.tar.gz:"
            " Connection refused; try again, or get cifar-10-binary.tar.gz another way and type:"
            " snapshot data prepare cifar10 --from PATH",
        ),
        (["show", "birds", "-o", "a.png"], 1, f"dataset 'birds' is not prepared in data; type: {OWN.format('birds')}"),
        (
            ["show", "birds", "-o", "a.txt"], 2,
            "-o a.txt: expected a name that ends in .svg, .png or .pdf",
        ),
        (["prepare", "cifar10", "--from", "nowhere"], 1, "nowhere: no such file or folder"),
        (
            ["prepare", "a/b", "--from", "x"], 2,
            "expected a dataset name of letters, digits, '.', '_' and '-' that does not start with '.', given 'a/b'",
        ),
        (
            ["prepare", "cifar10", "--split-seed", "3", "--test-share", "0.2"], 2,
            "cifar10 has its official classes and test set; leave --test-share and --split-seed out, or choose another"
            " name",
        ),
        (["prepare", "x", "--from", ".", "--split-seed", "3"], 2,
         "--split-seed 3: needs --test-share, the share of test images to draw"),
        (
            ["prepare", "digits", "--size", "5"], 2,
            "--size 5: expected a multiple of 4 up to 8, the side of Digits, in pixels",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be(words, code, message):
    assert snapshot("data", *words) == (code, "", message + "\n")


def test_show_draws_a_sheet(tmp_path):
    snapshot("data", "prepare", "digits")
    assert snapshot("data", "show", "digits", "-o", "folder/new.png", "--images", "10") == (
        0, "folder/new.png: 10 training images of digits, augmented 4 times\n", ""
    )  # fmt: skip
    with Image.open(tmp_path / "folder/new.png") as sheet:
        assert sheet.format == "PNG"


def test_prepare_downloads_from_the_mirror(tmp_path, monkeypatch):
    monkeypatch.setitem(catalogue.CATALOGUE, "cifar10", TINY["cifar10"])
    (tmp_path / "mirror").mkdir()
    write_archive(tmp_path / "mirror/cifar-10-binary.tar.gz", members_of("cifar10", images_of(TINY["cifar10"])))

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *words):
            super().__init__(*words, directory=tmp_path / "mirror")

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("SNAPSHOT_MIRROR", address)
        code, out, errors = snapshot("data", "prepare", "cifar10")
        server.shutdown()
    assert (code, errors) == (0, f"downloading {address}/cifar-10-binary.tar.gz (0 MB)\n")
    assert out == "cifar10: 20 training and 10 test images of 8x8 pixels in 10 classes: data/cifar10\n"
    assert (tmp_path / "data/.downloads/cifar-10-binary.tar.gz").is_file()
