import importlib.util

import pytest

from snapshot_cli.config.shipped import CHECKOUT

SPEC = importlib.util.spec_from_file_location("generate", CHECKOUT / "docs" / "generate.py")
GENERATE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GENERATE)


@pytest.mark.parametrize("path", GENERATE.files(), ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_generated_files_are_as_the_code_has_them(path):
    written = path.read_text() if path.is_file() else None
    assert written == GENERATE.files()[path], "type make docs, which writes it again"


def test_a_row_of_a_table_is_a_line():
    model = {"properties": {"a": {"type": "string", "description": "One | two\n    three."}}, "required": ["a"]}
    assert GENERATE.table(model)[2:] == ["| `a` | text | required | One &#124; two three. |"]


def test_the_picture_has_the_layers_of_the_contract():
    assert GENERATE.layers()[-1] == ["errors", "words"]
    assert GENERATE.picture([["a"], ["b", "c"]]).splitlines()[2:5] == [
        '  layer0["a"]',
        '  layer1["b, c"]',
        "  layer0 --> layer1",
    ]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "integer", "minimum": 1}, "whole number at least 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number above 0 and below 1"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "`true`, `false` or `null`"),
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "array", "items": {"type": "number", "maximum": 2}}, "a list, each number at most 2"),
        ({"type": "array", "items": {}}, "a list"),
        ({"$ref": "#/$defs/Settings"}, "mapping"),
    ],
)
def test_values_run_label(field, words):
    assert GENERATE.kind(field) == words
