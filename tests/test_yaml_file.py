import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshot_cli.config import yaml_file
from snapshot_cli.config.yaml_file import MAX_DEPTH, parse
from snapshot_cli.errors import ConfigError

NO_ALIAS = "anchors and aliases are not supported; write the value itself"
NO_TAG = "tags are not supported; write the value itself"
TOO_DEEP = "nested too deeply, more than 20 nested lists and mappings"
TOO_LARGE = "a whole number with more than 18 digits"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1f", 31),
        ("0X1f", "0X1f"),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("999999999999999999", 10**18 - 1),
        ("1e-1", 0.1),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("1.5e+2", 150.0),
        (".", "."),
        ("1e", "1e"),
        ("1.2.3", "1.2.3"),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("inf", "inf"),
        ("nan", "nan"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("null", None),
        ("Null", None),
        ("~", None),
        ("", None),
        ("none", "none"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("2017-04-24", "2017-04-24"),
        ("2017-04-24 10:00:00", "2017-04-24 10:00:00"),
        ("=", "="),
        ("'1'", "1"),
        ('"true"', "true"),
        ("'~'", "~"),
        ("''", ""),
    ],
)
def test_scalars_of_yaml_1_2(text, value):
    given = parse(f"key: {text}", "a.yaml").value["key"]
    assert (given, type(given)) == (value, type(value))


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text):
    assert math.isnan(parse(text, "a.yaml").value)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null", "~\n", "\ufeff"])
def test_nothing(text):
    assert parse(text, "a.yaml").value is None


def test_lists_and_mappings_in_both_styles():
    text = "a:\n  - 1\n  - {b: [x, 2.5], c: }\nd: |\n  two\n  lines\n1: one\n~: none\n"
    assert parse(text, "a.yaml").value == {
        "a": [1, {"b": ["x", 2.5], "c": None}],
        "d": "two\nlines\n",
        "1": "one",
        "~": "none",
    }


def test_places_of_keys_and_values():
    document = parse("# first\na: 1\nb:\n  - x\n  - {c: 2,  d: [3, 4]}\n", "a.yaml")
    assert document.marks == {
        (): (2, 1),
        ("a",): (2, 1),
        ("b",): (3, 1),
        ("b", 0): (4, 5),
        ("b", 1): (5, 5),
        ("b", 1, "c"): (5, 6),
        ("b", 1, "d"): (5, 13),
        ("b", 1, "d", 0): (5, 17),
        ("b", 1, "d", 1): (5, 20),
    }
    assert document.mark(("b", 1, "d", 1)) == (5, 20)
    assert document.mark(("b", 1, "e", 7)) == (5, 5)
    assert document.mark(("z",)) == (2, 1)
    assert parse("", "a.yaml").mark(("z",)) == (1, 1)


def test_byte_order_mark_moves_no_place():
    assert parse("\ufeffa: 1\n", "a.yaml").marks == {(): (1, 1), ("a",): (1, 1)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: a: repeated key, first given in line 1"),
        ("x:\n  - {a: 1, a: 1}\n", "2:12: a: repeated key, first given in line 2"),
        ("1: a\n'1': b\n", "2:1: 1: repeated key, first given in line 1"),
        ("a: &x 1\n", f"1:4: {NO_ALIAS}"),
        ("a: *x\n", f"1:4: {NO_ALIAS}"),
        ("a: &x [1]\nb: *x\n", f"1:4: {NO_ALIAS}"),
        ("a: !!float 3\n", f"1:4: {NO_TAG}"),
        ("a: ! 3\n", f"1:4: {NO_TAG}"),
        ("a: !!python/object/apply:os.getcwd []\n", f"1:4: {NO_TAG}"),
        ("a: 1\n---\nb: 2\n", "2:1: not YAML: expected one document, given another"),
        ("a: 1\n[b]: 2\n", "2:1: expected a name as key, given a list or mapping"),
        ("? {a: b}\n: 2\n", "1:3: expected a name as key, given a list or mapping"),
        ("[" * 21 + "]" * 21, f"1:21: {TOO_DEEP}"),
        ("[" * 20_000, f"1:21: {TOO_DEEP}"),
        ("{a: " * 20_000, f"1:81: {TOO_DEEP}"),
        ("a: 1000000000000000000\n", f"1:4: {TOO_LARGE}"),
        ("a: -" + "9" * 5000, f"1:4: {TOO_LARGE}"),
        ("a: 0x" + "f" * 5000, f"1:4: {TOO_LARGE}"),
        ("a: [1\n", "2:1: not YAML: expected ',' or ']', but got the end of the text"),
        ("a: b: c\n", "1:5: not YAML: mapping values are not allowed here"),
        ("a:\n\tb: 1\n", "2:1: not YAML: a tab indents the line; YAML takes spaces there"),
        ("a: @b\n", "1:4: not YAML: found character '@' that cannot start any token"),
        ("a: 'b\n", "2:1: not YAML: found unexpected end of stream"),
        ("a: 1\nb: \x07\n", "2:4: not YAML: the control character '\\x07'"),
        ("\x00", "1:1: not YAML: the control character '\\x00'"),
        ('a: "\\UFFFFFFFF"\n', "1:7: not YAML: no such character"),
        ('a: "\\U00110000"\n', "1:7: not YAML: no such character"),
        ('a: "\\ud800"\n', "1:4: not YAML: half of a surrogate pair, which is no character"),
    ],
)
def test_refused_with_the_place(text, message):
    with pytest.raises(ConfigError, match=f"^{re.escape(f'a.yaml:{message}')}$"):
        parse(text, "a.yaml")


def test_deep_enough():
    value = parse("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.yaml").value
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


def test_too_long(monkeypatch):
    monkeypatch.setattr(yaml_file, "MAX_CHARACTERS", 10)
    assert parse("#" * 10, "a.yaml").value is None
    with pytest.raises(ConfigError, match=r"^a\.yaml: too long for a configuration: more than 10 characters$"):
        parse("#" * 11, "a.yaml")


def test_a_mapping_of_very_many_keys():
    text = "".join(f"k{number}: 1\n" for number in range(1001))
    with pytest.raises(ConfigError) as caught:
        parse(text, "a.yaml")
    assert str(caught.value) == "a.yaml:1:1: a mapping of more than 1000 keys"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\tb\n", {"a": "b"}),
        ("a: b\t# note\n", {"a": "b"}),
        ("a: b\tc\t\n", {"a": "b\tc"}),
        ("-\t1\n-\t2\n", [1, 2]),
        ("a: [1,\t2]\t\n", {"a": [1, 2]}),
        ("\t\na: 1\n\t# note\nb: 2\n", {"a": 1, "b": 2}),
        ('a: "x\ty"\n', {"a": "x\ty"}),
    ],
)
def test_a_tab_separates(text, value):
    assert parse(text, "f.yaml").value == value


LOOK_LIKE_OTHERS = [
    "1e3",
    "0o17",
    "25921e05",
    "0x1F",
    "yes",
    "null",
    ".inf",
    "1:30",
    "~",
    "-",
    "=",
    "1_000",
    "2001-01-01",
]


@given(st.one_of(st.sampled_from(LOOK_LIKE_OTHERS), st.text("0123456789eExXo._-+", min_size=1), st.text()))
def test_text_that_is_written_is_read_back_as_that_text(text):
    assert parse(yaml_file.dump({"a": text}), "f.yaml").value == {"a": text}
    assert parse(yaml_file.dump({"a": text}, allow_unicode=True), "f.yaml").value == {"a": text}
