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
def test_values_in_words(field, words):
    assert GENERATE.kind(field) == words
