"""Parse YAML into plain values with line and column; numbers and booleans follow YAML 1.2."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel

from snapshot_cli.config.strict import DIGITS
from snapshot_cli.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""A place in a file: keys and indices from the root."""
MAX_CHARACTERS = 1_000_000  # characters; a study needs a few thousand
MAX_KEYS = 1000  # keys of a mapping; an experiment has thirty
MAX_DEPTH = 20  # nested lists and mappings; a study needs five


@dataclass
class Document:
    """A parsed file: its value and, for every place, line and column from 1."""

    value: Any
    marks: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def mark(self, place: KeyPath) -> tuple[int, int]:
        """Return line and column of a place, or of the nearest place around it."""
        while place and place not in self.marks:
            place = place[:-1]
        return self.marks.get(place, (1, 1))


class _Reader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2: 1e-1 is a number, yes is a string, 010 is ten."""

    yaml_implicit_resolvers: dict[str, Any] = {}

    def scan_to_next_token(self) -> None:
        """Skip white space between tokens; unlike PyYAML, also tabs, which YAML allows except as indentation."""
        super().scan_to_next_token()
        while self.peek() == "\t" and not self._indents():
            while self.peek() in ("\t", " "):
                self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> list[str] | None:
        """Return the white space, including tabs, within unquoted text."""
        length = 0
        while self.peek(length) in ("\t", " "):
            length += 1
        spaces: str = self.prefix(length)
        if "\t" not in spaces:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(length)
        if self.peek() in "\0\r\n\x85\u2028\u2029":
            return super().scan_plain_spaces(indent, start_mark)
        return [spaces]

    def _indents(self) -> bool:
        """Return whether the white space here indents a line that is not blank, outside brackets."""
        line = self.buffer[self.pointer - self.column : self.pointer]
        rest = re.match(r"[\t ]*(.?)", self.buffer[self.pointer :])
        blank = rest is not None and rest[1] in ("", "#", "\0", "\r")
        return not (line.strip(" \t") or self.flow_level or blank)


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


class _Writer(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """PyYAML's dumper, in C if available, which also quotes text that _Reader would read as another type."""

    yaml_implicit_resolvers: dict[str, Any] = {
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Reader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Reader.yaml_implicit_resolvers}
    }


def parse(text: str, name: str) -> Document:
    """Return the document of a YAML text.

    Raises ConfigError, with `name` and the place in front, for text that is not YAML, for repeated keys, lists and
    mappings as keys, anchors, aliases, tags, more than one document, and what is too long, too large or too deep.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"{name}: too long for a configuration: more than {MAX_CHARACTERS} characters")
    try:
        _check_events(text, name)
        root = yaml.compose(text, Loader=_Reader)
        document = Document(None)
        document.value = None if root is None else _value(root, (), document, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        raise ConfigError(f"{name}:{place}: not YAML: {_problem(error)}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        raise ConfigError(f"{name}:{place}: not YAML: the control character {text[error.position]!r}") from None
    return document


@cache
def written(model: BaseModel) -> str:
    """Return a frozen model as YAML, every field of it."""
    return dump(model.model_dump(mode="json"))


def dump(value: Any, **options: Any) -> str:
    """Return plain values as YAML that `parse` reads back; `options` are PyYAML's."""
    content: str = yaml.dump(value, Dumper=_Writer, sort_keys=False, **options)
    return content


def _problem(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, yaml.composer.ComposerError):
        return "expected one document, given another"
    if error.problem and "'\\t'" in error.problem:
        return "a tab indents the line; YAML takes spaces there"
    return str(error.problem or error.context).replace("'<stream end>'", "the end of the text")


def _check_events(text: str, name: str) -> None:
    loader, depth = _Reader(text), 0
    try:
        while loader.check_event():
            event: yaml.Event = loader.get_event()  # type: ignore[no-untyped-call]
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            reason = _refusal(event, depth)
            if reason:
                raise ConfigError(f"{name}:{_position(event)}: {reason}")
    except (ValueError, OverflowError):  # "\UFFFFFFFF"
        mark = loader.get_mark()
        raise ConfigError(f"{name}:{mark.line + 1}:{mark.column + 1}: not YAML: no such character") from None


def _refusal(event: yaml.Event, depth: int) -> str | None:
    if getattr(event, "anchor", None):
        return "anchors and aliases are not supported; write the value itself"
    if getattr(event, "tag", None):
        return "tags are not supported; write the value itself"
    if depth > MAX_DEPTH:
        return f"nested too deeply, more than {MAX_DEPTH} nested lists and mappings"
    if isinstance(event, yaml.ScalarEvent) and re.search("[\ud800-\udfff]", event.value):
        return "not YAML: half of a surrogate pair, which is no character"
    return None


def _value(node: yaml.Node, place: KeyPath, document: Document, name: str) -> Any:
    document.marks.setdefault(place, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, document, name)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, index), document, name) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    try:
        return _scalar(node)
    except ValueError:
        raise ConfigError(f"{name}:{_position(node)}: a whole number with more than {DIGITS} digits") from None


def _mapping(node: yaml.MappingNode, place: KeyPath, document: Document, name: str) -> dict[str, Any]:
    """Return a mapping; the place of an entry is that of its key."""
    result: dict[str, Any] = {}
    if len(node.value) > MAX_KEYS:
        raise ConfigError(f"{name}:{_position(node)}: a mapping of more than {MAX_KEYS} keys")
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(key, str):
            raise ConfigError(f"{name}:{_position(key_node)}: expected a name as key, given a list or mapping")
        if key == "<<":
            raise ConfigError(f"{name}:{_position(key_node)}: merge keys are not supported; write the keys themselves")
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
            number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
            if abs(number) >= 10**DIGITS:
                raise ValueError
            return number
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        case "null":
            return None
        case _:
            return text


def _position(part: yaml.Node | yaml.Event) -> str:
    mark = part.start_mark
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
