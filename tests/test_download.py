import errno
import hashlib
import re
import threading
import time
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from fabricated_images import TINY

from snapshot_cli.datasets import download
from snapshot_cli.datasets.catalogue import CATALOGUE, OfficialFile
from snapshot_cli.datasets.download import fetch, fetch_official, find_urls
from snapshot_cli.errors import ConfigError, UserError

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
FILE = OfficialFile("images.tar.gz", hashlib.md5(CONTENT).hexdigest(), ())
REMEDY = "the remedy"


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every path as its behaviours tell, one a request, the last for all others too."""

    daemon_threads = True

    def __init__(self, *behaviours):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours, self.requests, self.content = list(behaviours), [], CONTENT
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.over = threading.Event()

    def handle_error(self, request, client_address):  # a client that goes away is no error here
        pass


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append((self.path, self.headers.get("Range")))
        behaviour = server.behaviours.pop(0) if len(server.behaviours) > 1 else server.behaviours[0]
        if isinstance(behaviour, int):
            self.send_error(behaviour)
            return
        content, start = server.content, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and "no range" not in behaviour:
            start = int(asked[1])
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if "no length" not in behaviour:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if "stuck" in behaviour:
            server.over.wait()
            return
        content = b"wrong" + content[5:] if "wrong" in behaviour else content
        rest = content[start : start + 100_000] if "cut" in behaviour else content[start:]
        for first in range(0, len(rest), 30_000):
            self.wfile.write(rest[first : first + 30_000])
            time.sleep(0.02 if "slow" in behaviour else 0)


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(*behaviours):
        server = Server(*behaviours)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


def get(folder, *servers, file=FILE, seen=None):
    places = tuple(server if isinstance(server, str) else f"{server.address}/{file.name}" for server in servers)
    progress = (lambda *facts: None) if seen is None else lambda *facts: seen.append(facts)
    return fetch(file, folder, urls=places, remedy=REMEDY, progress=progress)


def refusal(folder, *servers, **options):
    with pytest.raises(UserError) as caught:
        get(folder, *servers, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("behaviour", ["", "slow", "no length", "no range"])
def test_a_file_arrives_and_its_progress_is_told(tmp_path, serve, behaviour):
    server, seen = serve(behaviour), []
    path = get(tmp_path / "new/folder", server, seen=seen)
    assert path == tmp_path / "new/folder/images.tar.gz"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["images.tar.gz"]
    whole = None if behaviour == "no length" else len(CONTENT)
    address = f"{server.address}/images.tar.gz"
    assert (seen[0], seen[-1]) == ((address, 0, whole), (address, len(CONTENT), whole))


def test_what_is_there_is_not_fetched_again_unless_it_is_wrong(tmp_path, serve):
    server = serve("")
    get(tmp_path, server)
    get(tmp_path, server)
    assert len(server.requests) == 1
    (tmp_path / FILE.name).write_bytes(CONTENT[:-1])
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_cut_is_resumed(tmp_path, serve):
    server, seen = serve("cut", "cut slow", ""), []
    assert get(tmp_path, server, seen=seen).read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=100000-", "bytes=200000-"]
    assert {whole for _, _, whole in seen} == {len(CONTENT)}


def test_a_later_call_goes_on_from_what_was_kept(tmp_path, serve):
    part = tmp_path / "images.tar.gz.part"
    assert refusal(tmp_path, serve("cut", 500)).endswith(f"; 100,000 bytes are kept in {part}; {REMEDY}")
    server = serve("")
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests == [("/images.tar.gz", "bytes=100000-")]


def test_a_server_that_ignores_ranges_sends_everything_again(tmp_path, serve):
    server = serve("cut", "no range")
    assert get(tmp_path, server).read_bytes() == CONTENT
    assert server.requests[1][1] == "bytes=100000-"


def test_a_server_that_always_cuts_and_ignores_ranges_is_given_up(tmp_path, serve):
    server = serve("cut no range")
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: the connection broke;"
        f" 100,000 bytes are kept in {tmp_path}/images.tar.gz.part; {REMEDY}"
    )
    assert len(server.requests) == 2


def test_a_server_that_cuts_again_and_again_is_given_up(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    server = serve("cut")
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: the connection broke 2 times;"
        f" 200,000 bytes are kept in {tmp_path}/images.tar.gz.part; {REMEDY}"
    )
    assert len(server.requests) == 2


def test_everything_had_arrived_before(tmp_path, serve):
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT)
    assert get(tmp_path, serve("")).read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["wrong", "wrong no length", "wrong slow"])
def test_wrong_content_is_deleted(tmp_path, serve, behaviour):
    server = serve(behaviour)
    found = hashlib.md5(b"wrong" + CONTENT[5:]).hexdigest()
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: wrong content: its md5 is {found},"
        f" the official one {FILE.md5}; it was deleted; {REMEDY}"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [b"older version", CONTENT + b"too much"])
def test_a_kept_part_of_something_else_does_not_stay(tmp_path, serve, kept):
    (tmp_path / "images.tar.gz.part").write_bytes(kept)
    server = serve("")
    assert ": wrong content: its md5 is " in refusal(tmp_path, server)
    assert get(tmp_path, server).read_bytes() == CONTENT


def test_a_file_cut_short_without_a_length_is_wrong_bytes(tmp_path, serve):
    assert ": wrong content: its md5 is " in refusal(tmp_path, serve("cut no length"))


@pytest.mark.parametrize(("code", "words"), [(404, "Not Found"), (500, "Internal Server Error"), (403, "Forbidden")])
def test_http_errors(tmp_path, serve, code, words):
    server = serve(code)
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: the server answers {code} {words};"
        f" {REMEDY}"
    )


def test_the_next_address_is_tried_and_goes_on(tmp_path, serve):
    first, second, third = serve(404), serve("cut", 503), serve("")
    assert get(tmp_path, first, second, third).read_bytes() == CONTENT
    assert third.requests == [("/images.tar.gz", "bytes=100000-")]


def test_every_address_is_named_when_none_works(tmp_path, serve):
    first, second = serve(404), serve(500)
    assert refusal(tmp_path, first, second) == (
        f"images.tar.gz could not be downloaded from {first.address}/images.tar.gz: the server answers 404 Not Found;"
        f" {second.address}/images.tar.gz: the server answers 500 Internal Server Error; {REMEDY}"
    )


def test_a_server_that_falls_silent(tmp_path, serve, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server = serve("stuck")
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: no answer within 0.2 s; {REMEDY}"
    )


def test_nobody_there(tmp_path, serve):
    server = serve("")
    server.shutdown()
    server.server_close()
    assert refusal(tmp_path, server) == (
        f"images.tar.gz could not be downloaded from {server.address}/images.tar.gz: Connection refused; {REMEDY}"
    )


def test_no_network(tmp_path, monkeypatch):
    def lookup(*words, **options):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", lookup)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError) as caught:
        fetch_official(CATALOGUE["cifar10"], tmp_path, progress=print, environment={})
    assert str(caught.value) == (
        "cifar-10-binary.tar.gz could not be downloaded from https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz:"
        " Name or service not known;"
        " https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz:"
        " Name or service not known; try again, or get cifar-10-binary.tar.gz another way and type:"
        " snapshot data prepare cifar10 --from PATH"
    )


def test_too_little_room_is_told_before_anything_is_fetched(tmp_path, serve, monkeypatch):
    usage = namedtuple("usage", "free")(299_999)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    assert refusal(tmp_path, serve("")) == (
        f"{tmp_path}: images.tar.gz needs 300,000 bytes, 299,999 are free; make room"
    )


def test_no_space_left_on_the_way(tmp_path, serve, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert refusal(tmp_path, serve("")) == (
        f"{tmp_path}/images.tar.gz.part: no space left on the device; make room and try again"
    )


def test_a_folder_that_cannot_be_written_is_not_the_networks_fault(tmp_path, serve):
    (tmp_path / "images.tar.gz.part").mkdir()
    with pytest.raises(IsADirectoryError):
        get(tmp_path, serve(""))


@pytest.mark.parametrize("mirror", ["http://mirror/pub", "http://mirror/pub/", "https://mirror/pub"])
def test_a_mirror_replaces_all_urls(mirror):
    scheme = mirror.split(":")[0]
    found = find_urls(CATALOGUE["cifar10"].files[0], {"SNAPSHOT_MIRROR": mirror})
    assert found == (f"{scheme}://mirror/pub/cifar-10-binary.tar.gz",)


@pytest.mark.parametrize("environment", [{}, {"SNAPSHOT_MIRROR": ""}])
def test_without_a_mirror_the_official_url_is_first(environment):
    found = find_urls(CATALOGUE["tiny-imagenet"].files[0], environment)
    assert found[0] == "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
    assert len(found) == 2


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://mirror", "mirror/pub"])
def test_a_mirror_that_is_no_web_address(mirror):
    with pytest.raises(ConfigError) as caught:
        find_urls(FILE, {"SNAPSHOT_MIRROR": mirror})
    assert str(caught.value) == (
        f"SNAPSHOT_MIRROR: expected a base URL that starts with http:// or https://, given '{mirror}'"
    )


@pytest.mark.parametrize(
    ("name", "place", "files"),
    [
        ("cifar10", ".downloads/cifar-10-binary.tar.gz", ["cifar-10-binary.tar.gz"]),
        ("svhn", ".downloads/svhn", ["train_32x32.mat", "extra_32x32.mat", "test_32x32.mat"]),
        ("svhn-without-extra", ".downloads/svhn", ["train_32x32.mat", "test_32x32.mat"]),
        ("tiny-imagenet", ".downloads/tiny-imagenet-200.zip", ["tiny-imagenet-200.zip"]),
    ],
)
def test_what_is_downloaded_of_a_dataset(tmp_path, serve, name, place, files):
    server = serve("")
    path = fetch_official(
        TINY[name], tmp_path, progress=lambda *facts: None, environment={"SNAPSHOT_MIRROR": server.address}
    )
    assert path == tmp_path / place
    assert [asked for asked, _ in server.requests] == [f"/{file}" for file in files]
    folder = path if path.is_dir() else Path(tmp_path / ".downloads")
    assert sorted(file.name for file in folder.iterdir()) == sorted(files)
