import pickle
import re
import struct
import time
import tracemalloc

import numpy as np
import pytest
from fabricated_images import pickled

from snapshot_cli.datasets.plain_pickle import loads, to_array

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 300), dtype=np.uint8)
PLAIN = {
    "number": 7, "large": 70_000, "negative": -3, "text": "a", "long": "b" * 300, "list": [1, [2, "c"], {}],
    "many": list(range(2500)), "again": ["x", "x"],
}  # fmt: skip


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
def test_plain_data_of_python_3(protocol):
    value = PLAIN | {"none": None, "yes": True, "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]}
    assert loads(pickle.dumps(value, protocol)) == value


def test_plain_data_of_python_2():
    assert loads(pickled(PLAIN)) == pickle.loads(pickled(PLAIN), encoding="latin-1") == PLAIN


@pytest.mark.parametrize("pixels", [PIXELS, np.asfortranarray(PIXELS), PIXELS[:0]])
def test_arrays_are_those_of_pythons_unpickler(pixels):
    content = pickled({"data": pixels})
    expected = pickle.loads(content, encoding="latin-1")["data"]
    np.testing.assert_array_equal(expected, pixels)
    np.testing.assert_array_equal(to_array(loads(content)["data"]), pixels)
    np.testing.assert_array_equal(to_array(loads(pickle.dumps(pixels, 3))), pixels)


SYSTEM = b"cos\nsystem\n(S'true'\ntR."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (SYSTEM, "the pickle holds more than plain data: it names os.system"),
        (b"cnumpy\nload\n.", "the pickle holds more than plain data: it names numpy.load"),
        (b"(S'true'\nios\nsystem\n.", "the pickle holds more than plain data: opcode INST"),
        (b"(cnumpy\nndarray\no.", "the pickle holds more than plain data: opcode OBJ"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "the pickle holds more than plain data: opcode NEWOBJ"),
        (b"\x80\x02\x82\x01.", "the pickle holds more than plain data: opcode EXT1"),
        (b"Pfile\n.", "the pickle holds more than plain data: opcode PERSID"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "the pickle holds more than plain data: opcode SHORT_BINUNICODE"),
        (b"cnumpy\nndarray\n)R.", "the pickle holds more than plain data: it calls something"),
        (b"U\x01a)R.", "the pickle holds more than plain data: it calls something"),
        (b"}}b.", "the pickle holds more than plain data: it sets up an object"),
        (b"}q\x00(h\x00K\x01u.", "a dict has keys that are not text"),
        (b"}((K\x01tK\x02u.", "a dict has keys that are not text"),
        (b"}(U\x01au.", "a dict has keys that are not text"),
        (b"]U\x01aK\x01s.", "the pickle is damaged"),
        (b"}K\x01a.", "the pickle is damaged"),
        (b"t.", "the pickle is damaged"),
        (b"h\x05.", "the pickle is damaged"),
        (b"K\x01K\x02.", "the pickle is damaged"),
        (b".", "the pickle is damaged"),
        (b"K\x01", "the pickle is truncated or damaged (pickle exhausted before seeing STOP)"),
    ],
)
def test_whatever_is_no_plain_data_is_refused(content, reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        loads(content)


def test_every_cut_and_every_changed_byte_is_plain_data_or_a_value_error():
    content = pickled({"data": PIXELS[:1, :8], "labels": [1, 300], "names": ["a" * 300]})
    broken = [content[:length] for length in range(len(content))]
    broken += [content[:k] + bytes([byte]) + content[k + 1 :] for k in range(len(content)) for byte in b"\x00R.bt(\xff"]
    refused = 0
    for each in broken:
        try:
            found = loads(each)
            to_array(found["data"] if isinstance(found, dict) and "data" in found else found)
        except ValueError:
            refused += 1
    assert refused > len(content)


def test_bombs_take_neither_memory_nor_time():
    text = b"T" + struct.pack("<i", 1_000_000) + bytes(1_000_000)
    state = b"(K\x01(J\x40\x42\x0f\x00t}\x89h\x00tb"
    one = b"cnumpy\ndtype\n)R" + state
    bombs = {
        "memo": b"r\xff\xff\xff\x7f",
        "length": b"\x8e" + struct.pack("<Q", 1 << 60),
        "arrays of one text": b"\x80\x02" + text + b"q\x00](" + one * 3000 + b"e.",
        "dicts in dicts": b"}q\x00" + b"".join(b"}(U\x01ah\x00U\x01bh\x00uq\x00" for _ in range(200)) + b".",
        "tuples as keys": b")q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(200)) + b"}h\x00K\x01s.",
        "marks": b"(" * 200_000 + b"1" * 10,
    }
    tracemalloc.start()
    begun = time.process_time()
    for bomb in bombs.values():
        with pytest.raises(ValueError, match=r"pickle|array|bytes|key"):
            to_array(loads(bomb))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    "state",
    [
        None, (), (1, (2,), None, False), (1, (3,), None, False, b"ab"), (1, 2, None, False, b"ab"),
        (1, (-1, -2), None, False, b"ab"), (1, (True, 2), None, False, b"ab"), (1, (2,), None, False, ["a", "b"]),
        (1, (10**30, 10**30), None, False, b""),
    ],
)  # fmt: skip
def test_a_state_that_makes_no_array(state):
    stored = loads(pickle.dumps(PIXELS, 3))
    stored.state = state
    with pytest.raises(ValueError, match="array"):
        to_array(stored)
