"""From a YAML file and --set to an Experiment or a Study; every mistake at once, each with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from snapshot_cli.config import yaml_file
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.study import Setting, Study, StudyFile, idle_rules, spell_out, values
from snapshot_cli.errors import ConfigError

T = TypeVar("T", bound=BaseModel)
LAST = sys.maxsize
OTHER_NAMES = {
    "M": "cycles", "snapshots": "cycles", "B": "budget", "epochs": "budget", "lr": "alpha0", "learning_rate": "alpha0",
    "data": "dataset", "model": "network", "arch": "network", "wd": "weight_decay", "bs": "batch_size",
}  # fmt: skip
EXPECTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "finite_number": "a finite number", "bool_type": "true or false", "string_type": "a name",
    "dict_type": "a mapping (key: value)", "model_type": "a mapping (key: value)", "list_type": "a list",
    "tuple_type": "a list of numbers", "too_short": "at least one value", "literal_error": "{expected}",
    "greater_than": "a number above {gt:g}", "greater_than_equal": "a number of at least {ge:g}",
    "less_than": "a number below {lt:g}", "less_than_equal": "a number of at most {le:g}",
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A parsed file and what is known besides it, to validate settings and to say where the wrong ones stand."""

    path: Path
    document: yaml_file.Document
    training_examples: Mapping[str, int] | None

    def validate(self, model: type[T], settings: Mapping[str, Setting]) -> T:
        """Return the model of some settings; ConfigError with a line for every mistake, in the file's order."""
        try:
            return model.model_validate(values(settings), context={"training_examples": self.training_examples})
        except ValidationError as error:
            fields = list(model.model_fields)
            details = _without_consequences(error.errors(include_url=False), fields)
            lines = [(self._place(settings, detail["loc"]), _words(detail, fields)) for detail in details]
            lines.sort(key=lambda line: self.document.mark(line[0]) if line[0] is not None else (LAST, 0))
            raise ConfigError("\n".join(f"{self.where(place)}: {words}" for place, words in lines)) from None

    def where(self, place: yaml_file.Place | None) -> str:
        """Return file, line and column of a place, or --set."""
        if place is None:
            return "--set"
        line, column = self.document.mark(place)
        return f"{self.path}:{line}:{column}"

    def _place(self, settings: Mapping[str, Setting], location: yaml_file.Place) -> yaml_file.Place | None:
        setting = settings.get(str(location[0]), Setting(None, ()))
        return None if setting.place is None else (*setting.place, *location[1:])


def load(
    path: Path, sets: Sequence[str] = (), *, training_examples: Mapping[str, int] | None = None
) -> Experiment | Study | Run:
    """Return what a YAML file asks for, with the KEY=VALUE pairs of --set in it.

    A file with methods or axes is a study, one with a schedule and no method is a run, as run directories hold it.
    `training_examples` names the known datasets and how many training images each has; without it neither the dataset's
    name nor whether the cycles fit is checked. Raises ConfigError with a line for every mistake.
    """
    document = yaml_file.parse(_read(path), str(path))
    overrides = {key: Setting(value, None) for key, value in _overrides(sets).items()}
    if document.value is None:
        raise ConfigError(
            f"{path}:1:1: the file is empty; expected an experiment (dataset, network, method, ...) or a study"
        )
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}:1:1: expected a mapping (key: value), given {_kind(document.value)}")
    source = Source(path, document, training_examples)
    settings = {key: Setting(value, (key,)) for key, value in document.value.items()}
    if {"methods", "axes", "base", "render"} & settings.keys():
        return _study(source, settings, overrides)
    if "schedule" in settings and "method" not in settings:
        return source.validate(Run, settings | overrides)
    return source.validate(Experiment, settings | overrides)


def _study(source: Source, settings: Mapping[str, Setting], overrides: Mapping[str, Setting]) -> Study:
    own = {key: setting for key, setting in overrides.items() if key in StudyFile.model_fields}
    others = {key: setting for key, setting in overrides.items() if key not in own}
    file = source.validate(StudyFile, dict(settings) | own)
    mistakes = [f"{source.where(('where', i, 'match'))}: where: matches no experiment" for i in idle_rules(file)]
    experiments = []
    for cell in spell_out(file, others):
        try:
            experiments.append(source.validate(Experiment, cell))
        except ConfigError as error:
            mistakes += str(error).splitlines()
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    return Study(
        name=source.path.stem,
        title=file.title,
        experiments=tuple(dict.fromkeys(experiments)),
        replicates=file.replicates,
        render=file.render,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        hint = f"; did you mean '{path.parent / near[0]}'?" if near else ""
        raise ConfigError(f"{path}: no such file{hint}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: expected a YAML file, given a folder") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not YAML: not a text file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _overrides(sets: Iterable[str]) -> dict[str, Any]:
    result = {}
    for item in sets:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {item}: expected KEY=VALUE, such as --set cycles=3")
        result[key.strip()] = yaml_file.parse(text, f"--set {item}").value
    return result


def _without_consequences(details: Sequence[ErrorDetails], fields: Sequence[str]) -> list[ErrorDetails]:
    """Drop the missing keys that are there under a wrong name."""
    meant = {_meant(detail, fields) for detail in details if detail["type"] == "extra_forbidden"}
    return [detail for detail in details if detail["type"] != "missing" or _shown(detail["loc"]) not in meant]


def _meant(detail: ErrorDetails, fields: Sequence[str]) -> str | None:
    key = _shown(detail["loc"])
    near = get_close_matches(key, fields, 1)
    return OTHER_NAMES.get(key) or (near[0] if near else None)


def _words(detail: ErrorDetails, fields: Sequence[str]) -> str:
    """Return `key: what was expected, what was given` for one of pydantic's errors."""
    key, kind, context = _shown(detail["loc"]), detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        meant = _meant(detail, fields)
        return f"{key}: unknown key; " + (f"did you mean '{meant}'?" if meant else f"known are {', '.join(fields)}")
    if kind == "missing":
        return f"{key}: missing"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    expected = EXPECTED.get(kind, detail["msg"]).format(**context)
    near = get_close_matches(str(detail["input"]), str(context.get("expected", "")).replace("'", "").split(", "), 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{key}: expected {expected}, given {_kind(detail['input'])}{hint}"


def _shown(place: yaml_file.Place) -> str:
    return ".".join(str(part) for part in place)


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else repr(value)
