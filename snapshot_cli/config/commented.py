"""YAML with a comment above every key: what `snapshot config show` prints and `snapshot init` writes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from snapshot_cli.config import yaml_file
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.study import Study, StudyFile

WIDTH = 80
MAX_WIDTH = 2**31 - 1  # a value is never wrapped; libyaml takes a C int
DEFAULT = "default"
Origins = Mapping[str, str]
"""The origins of the values that are set, by key."""


def starter(experiment: Experiment, header: Sequence[str]) -> str:
    """Return an experiment file with all keys explained: first those that are set, then the defaults, commented out."""
    written = experiment.model_dump(mode="json", exclude_defaults=True)
    rest = {key: value for key, value in experiment.model_dump(mode="json").items() if key not in written}
    lines = [*map(_comment, header), ""]
    for key, value in written.items():
        lines += [*_explain(type(experiment), key), _entry(key, value), ""]
    lines += [_comment("The other keys and their defaults. To change one, remove the # in front of it."), ""]
    for key, value in rest.items():
        lines += [*_explain(type(experiment), key), f"#{_entry(key, value)}", ""]
    return "\n".join(lines)


def recipe(values: Experiment | Run, origins: Origins, derived: Mapping[str, str], notes: Sequence[str]) -> str:
    """Return every value of an experiment or run with its meaning and origin; then notes as comments.

    `derived` has the values that replace null, by key.
    """
    lines: list[str] = []
    for key, value in values.model_dump(mode="json").items():
        origin = origins.get(key, DEFAULT) + (f": {derived[key]}" if key in derived else "")
        lines += [*_explain(type(values), key), f"{_entry(key, value)}  # {origin}", ""]
    return "\n".join([*lines, *(line for note in notes for line in _wrapped(note)), ""])


def study(study: Study, origins: Sequence[Origins], notes: Sequence[str]) -> str:
    """Return a study: values that its experiments share under base, the others under methods."""
    settings = [experiment.model_dump(mode="json") for experiment in study.experiments]
    keys = [key for key in Experiment.model_fields if key != "method"]
    shared = [key for key in keys if all(values[key] == settings[0][key] for values in settings)]
    lines = [*_explain(StudyFile, "title"), _entry("title", study.title), ""]
    lines += [*_explain(StudyFile, "split"), _entry("split", study.split), "", *_explain(StudyFile, "base"), "base:"]
    for key in shared:
        entry = f"{_entry(key, settings[0][key])}  # {origins[0].get(key, DEFAULT)}"
        lines += textwrap.indent("\n".join([*_explain(Experiment, key), entry]), "  ").split("\n")
    lines += ["", *_wrapped("The experiments, each with the settings that differ between them."), "methods:"]
    for values, where in zip(settings, origins, strict=True):
        differing = ["method", *(key for key in keys if key not in shared)]
        entries = [f"{_entry(key, values[key])}  # {where.get(key, DEFAULT)}" for key in differing]
        lines += textwrap.indent("\n".join(entries), "    ").replace("    ", "  - ", 1).split("\n")
    lines += ["", *_explain(StudyFile, "render"), "render:" if study.render else "render: {}"]
    for stem, drawing in study.render.items():
        match = {} if drawing.match is None else {"match": drawing.match}
        lines.append("  " + _entry(stem, {"kind": drawing.kind} | match if match else drawing.kind))
    lines.append("")
    return "\n".join([*lines, *(line for note in notes for line in _wrapped(note)), ""])


def _explain(model: type[Any], key: str) -> list[str]:
    """Return the description of a model's key as comment lines."""
    return _wrapped(model.model_fields[key].description or "")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _comment(line: str) -> str:
    return f"# {line}".rstrip()


def _entry(key: str, value: Any) -> str:
    """Return a key and its value on one line of YAML."""
    text = yaml_file.dump([value], allow_unicode=True, default_flow_style=True, width=MAX_WIDTH)
    return f"{key}: {text.rstrip()[1:-1]}"
