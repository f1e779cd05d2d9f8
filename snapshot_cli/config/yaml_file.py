"""YAML text to plain values, each with its place; numbers and booleans as in YAML 1.2, and nothing that surprises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from snapshot_cli.errors import ConfigError

Place = tuple[str | int, ...]
LARGEST = 1_000_000  # characters; a study needs a few thousand


@dataclass
class Document:
    """A parsed file: its value and, for every path of keys and indices, line and column from 1."""

    value: Any
    marks: dict[Place, tuple[int, int]] = field(default_factory=dict)

    def mark(self, place: Place) -> tuple[int, int]:
        """Return line and column of a place, or of the nearest place around it."""
        while place and place not in self.marks:
            place = place[:-1]
        return self.marks.get(place, (1, 1))


class _Reader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2: 1e-1 is a number, yes is a string, 010 is ten."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
]:
    _Reader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def parse(text: str, name: str) -> Document:
    """Return the document of a YAML text.

    Raises ConfigError, with `name` and the place in front, for text that is not YAML, for repeated keys, keys that are
    no strings, anchors, aliases, tags and more than one document.
    """
    if len(text) > LARGEST:
        raise ConfigError(f"{name}: too long for a configuration: {len(text)} characters, at most {LARGEST}")
    try:
        _refuse_aliases(text, name)
        root = yaml.compose(text, Loader=_Reader)
        document = Document(None)
        document.value = None if root is None else _value(root, (), document, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ConfigError(f"{name}:{place}: not YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{name}: not YAML: a character that no text has at position {error.position}") from None
    except ValueError:
        raise ConfigError(f"{name}: not a configuration: a number with thousands of digits") from None
    except RecursionError:
        raise ConfigError(f"{name}: not a configuration: nested too deeply") from None
    return document


def _refuse_aliases(text: str, name: str) -> None:
    for event in yaml.parse(text, Loader=_Reader):
        tag = getattr(event, "tag", None)
        what = "anchors and aliases" if getattr(event, "anchor", None) else "tags" if tag and tag != "!" else None
        if what:
            raise ConfigError(f"{name}:{_position(event)}: {what} are not understood here; write the value itself")


def _value(node: yaml.Node, place: Place, document: Document, name: str) -> Any:
    document.marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, document, name)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, index), document, name) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


def _mapping(node: yaml.MappingNode, place: Place, document: Document, name: str) -> dict[str, Any]:
    """Return a mapping; the place of an entry is that of its key."""
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
            raise ConfigError(f"{name}:{_position(key_node)}: expected a name as key, given a list or mapping")
        if key in result:
            first = document.marks[(*place, key)][0]
            raise ConfigError(f"{name}:{_position(key_node)}: {key}: repeated key, first given in line {first}")
        document.marks[(*place, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        result[key] = _value(value_node, (*place, key), document, name)
    return result


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    match node.tag.rpartition(":")[2]:
        case "bool":
            return text.lower() == "true"
        case "int":
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case "null":
            return None
        case _:
            return text


def _position(thing: yaml.Node | yaml.Event) -> str:
    mark = thing.start_mark
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
