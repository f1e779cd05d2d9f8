"""Load a YAML file and --set into an Experiment or a Study; report all mistakes at once, with file and line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from snapshot_cli.config import text_file, weights_file, yaml_file
from snapshot_cli.config.expected import EXPECTED, SYNONYMS
from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.study import (
    PARTS,
    Drawing,
    Setting,
    Study,
    StudyFile,
    combinations,
    idle_rules,
    spell_out,
    values,
)
from snapshot_cli.config.yaml_file import KeyPath
from snapshot_cli.errors import ConfigError, reason, visible

T = TypeVar("T", bound=BaseModel)
Mistake = tuple[tuple[int, int], str]  # line and column to sort by, and the message
WEIGHTS = "initial_weights"
LAST = (sys.maxsize, 0)
MAX_EXPERIMENTS = 10_000  # per study; the paper's largest has 48


@dataclass(frozen=True)
class Source:
    """A parsed file, to validate settings and to locate mistakes in it."""

    path: Path
    document: yaml_file.Document
    training_examples: Mapping[str, int | None] | None

    def validate(self, model: type[T], settings: Mapping[str, Setting]) -> T:
        """Return the model of some settings; ConfigError with a line for every mistake, in the file's order."""
        value, mistakes = self.attempt(model, settings)
        if value is None:
            raise _error(mistakes)
        return value

    def attempt(self, model: type[T], settings: Mapping[str, Setting]) -> tuple[T | None, list[Mistake]]:
        """Return the model of some settings, or None and the mistakes in them."""
        settings, unreadable = self._with_digest(settings)
        try:
            value = model.model_validate(values(settings), context={"training_examples": self.training_examples})
        except ValidationError as error:
            of_model = ("seed",)  # the only check of a whole model
            errors = [detail | {"loc": detail["loc"] or of_model} for detail in error.errors(include_url=False)]
            details = _without_consequences(errors, model)
            mistakes = [self.mistake(_place(settings, detail), _words(detail, model)) for detail in details]
            return None, mistakes + unreadable
        return (None, unreadable) if unreadable else (value, [])

    def _with_digest(self, settings: Mapping[str, Setting]) -> tuple[Mapping[str, Setting], list[Mistake]]:
        """Replace the path in initial_weights, relative to this file, by the sha256 of the weights file."""
        setting = settings.get(WEIGHTS)
        if setting is None or not isinstance(setting.value, str) or setting.value.startswith(weights_file.PREFIX):
            return settings, []
        path = setting.value if setting.place is None else self.path.parent / setting.value
        try:
            return dict(settings) | {WEIGHTS: Setting(weights_file.digest(Path(path).absolute()), setting.place)}, []
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            words = f"{WEIGHTS}: {path}: cannot be read: {reason(error)}"
            return dict(settings) | {WEIGHTS: Setting(None, setting.place)}, [self.mistake(setting.place, words)]

    def origin(self, place: KeyPath | None) -> str:
        """Return where a setting comes from: --set, or file and line, with the section of a study."""
        if place is None:
            return "--set"
        part = f" ({place[0]})" if len(place) > 1 else ""
        return visible(f"{self.path}:{self.document.mark(place)[0]}{part}")

    def mistake(self, place: KeyPath | None, words: str) -> Mistake:
        """Return a mistake whose message starts with file, line and column, or --set."""
        if place is None:
            return LAST, f"--set: {words}"
        line, column = self.document.mark(place)
        return (line, column), f"{self.path}:{line}:{column}: {words}"


def load(
    path: Path, sets: Sequence[str] = (), *, training_examples: Mapping[str, int | None] | None = None
) -> Experiment | Study | Run:
    """Load a YAML file, overridden by the KEY=VALUE pairs of --set.

    A file with methods or axes is a study; one with a schedule and no method is a run, as in run directories.
    `training_examples` maps dataset names to their number of training images, None if it cannot be told; without it
    neither the dataset's name nor whether the cycles fit is checked. Raises ConfigError with a line for every mistake.
    """
    return _load(*_read(path, sets, training_examples))


def as_study(loaded: Experiment | Study | Run, file: Path) -> Study:
    """Return a study; an experiment becomes a study of its own. ConfigError for a single run."""
    if isinstance(loaded, Study):
        return loaded
    if isinstance(loaded, Experiment):
        return Study(name=file.stem, title=file.stem, experiments=(loaded,))
    raise ConfigError(f"{file}: expected an experiment or a study, given a single run; give its directory instead")


def load_with_origins(
    path: Path, sets: Sequence[str] = (), *, training_examples: Mapping[str, int | None] | None = None
) -> tuple[Experiment | Study | Run, list[dict[str, str]]]:
    """Return what `load` returns and, for every experiment, the origin of its settings that are not defaults."""
    source, settings, overrides = _read(path, sets, training_examples)
    loaded = _load(source, settings, overrides)
    cells = [settings | overrides]
    if isinstance(loaded, Study):
        study_overrides, others = _split_overrides(overrides)
        first: dict[Experiment, dict[str, Setting]] = {}  # a study keeps the first of equal experiments
        for cell in spell_out(source.validate(StudyFile, settings | study_overrides), others):
            first.setdefault(source.validate(Experiment, cell), cell)
        cells = list(first.values())
    return loaded, [{key: source.origin(setting.place) for key, setting in cell.items()} for cell in cells]


def _load(source: Source, settings: dict[str, Setting], overrides: dict[str, Setting]) -> Experiment | Study | Run:
    if {"methods", "axes", "base", "render"} & settings.keys():
        return _study(source, settings, overrides)
    if "schedule" in settings and "method" not in settings:
        return source.validate(Run, settings | overrides)
    return source.validate(Experiment, settings | overrides)


def _read(
    path: Path, sets: Sequence[str], training_examples: Mapping[str, int | None] | None
) -> tuple[Source, dict[str, Setting], dict[str, Setting]]:
    """Return a parsed file, its settings and those of --set."""
    document = yaml_file.parse(text_file.read(path), str(path))
    overrides = {key: Setting(value, None) for key, value in _overrides(sets).items()}
    if document.value is None:
        raise ConfigError(
            f"{path}:1:1: the file is empty; expected an experiment (dataset, network, method, ...) or a study"
        )
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}:1:1: expected a mapping (key: value), given {_kind(document.value)}")
    settings = {key: Setting(value, (key,)) for key, value in document.value.items()}
    return Source(path, document, training_examples), settings, overrides


def _split_overrides(overrides: Mapping[str, Setting]) -> tuple[dict[str, Setting], dict[str, Setting]]:
    """Return the overrides of a study's own keys, then those of its experiments' keys."""
    study_overrides = {key: setting for key, setting in overrides.items() if key in StudyFile.model_fields}
    return study_overrides, {key: setting for key, setting in overrides.items() if key not in study_overrides}


def _study(source: Source, settings: Mapping[str, Setting], overrides: Mapping[str, Setting]) -> Study:
    study_overrides, others = _split_overrides(overrides)
    written = dict(settings) | study_overrides
    file, mistakes = source.attempt(StudyFile, written)
    if file is None:  # a mistake in the other keys must not hide those in the experiments
        plain = {"title": "", "split": "test", "render": {}}
        file, _ = source.attempt(StudyFile, written | {key: Setting(plain[key], None) for key in plain})
    if file is None:
        raise _error(mistakes)
    experiments = _experiments(source, file, others, mistakes)
    if file.split == "holdout" and not all(experiment.holdout for experiment in experiments):
        words = "split: holdout needs holdout: N in every experiment, the number of training images to withhold"
        mistakes.append(source.mistake(written["split"].place, words))
    mistakes = mistakes or _idle_drawings(source, file)
    if mistakes:
        raise _error(mistakes)
    return Study(
        name=source.path.stem,
        title=file.title,
        experiments=tuple(dict.fromkeys(experiments)),
        split=file.split,
        render=file.render or {source.path.stem: Drawing(kind="methods")},
    )


def _experiments(
    source: Source, file: StudyFile, overrides: Mapping[str, Setting], mistakes: list[Mistake]
) -> list[Experiment]:
    """Return the valid experiments of a study, and add the mistakes of the others to `mistakes`."""
    if combinations(file) > MAX_EXPERIMENTS:
        words = f"axes: expected at most {MAX_EXPERIMENTS} experiments, given {combinations(file)}"
        mistakes += [source.mistake(("axes",), words)]
        return []
    mistakes += [source.mistake(("where", i, "match"), "where: matches no experiment") for i in idle_rules(file)]
    cells = list(spell_out(file, overrides))
    if not cells:
        mistakes += [source.mistake(("where",), "where: skips every experiment")]
    experiments = []
    for cell in cells:
        experiment, wrong = source.attempt(Experiment, cell)
        experiments += [experiment] if experiment else []
        mistakes += wrong
    return experiments


def _idle_drawings(source: Source, file: StudyFile) -> list[Mistake]:
    """Return the drawings that match no experiment of the file, before --set, as mistakes."""
    experiments = [source.attempt(Experiment, cell)[0] for cell in spell_out(file, {})]
    if None in experiments:
        return []
    return [
        source.mistake(("render", stem, "match"), f"render.{stem}.match: matches no experiment")
        for stem, drawing in file.render.items()
        if drawing.match and not any(drawing.shows(experiment) for experiment in experiments if experiment)
    ]


def _error(mistakes: Iterable[Mistake]) -> ConfigError:
    lines = (visible(words) for _, words in sorted(mistakes, key=lambda mistake: mistake[0]))
    return ConfigError("\n".join(dict.fromkeys(lines)))


def _overrides(sets: Iterable[str]) -> dict[str, Any]:
    result = {}
    for item in sets:
        key, equals, text = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {_printable(item)}: expected KEY=VALUE, such as --set cycles=3")
        try:
            result[key.strip()] = yaml_file.parse(text, "--set").value
        except ConfigError as error:
            raise ConfigError(f"--set {_printable(item)}: {str(error).partition(': ')[2]}") from None
    return result


def _place(settings: Mapping[str, Setting], detail: ErrorDetails) -> KeyPath | None:
    """Return the place of a mistake: of the setting, the unknown axis, or the incomplete method."""
    key, *rest = detail["loc"]
    if detail["type"] == "missing" and key == "method":
        places = (setting.place for setting in settings.values())
        return next((place[:2] for place in places if place and place[0] == "methods"), ())
    place = settings.get(str(key), Setting(None, ())).place
    if place is None:
        return None
    return place[:2] if detail["type"] == "extra_forbidden" and place[0] == "axes" else (*place, *rest)


def _without_consequences(details: Sequence[ErrorDetails], model: type[BaseModel]) -> list[ErrorDetails]:
    """Drop errors about missing keys that are present under a wrong name."""
    meant = {_meant(detail, _fields(detail, model)) for detail in details if detail["type"] == "extra_forbidden"}
    return [detail for detail in details if detail["type"] != "missing" or str(detail["loc"][-1]) not in meant]


def _part(detail: ErrorDetails, model: type[BaseModel]) -> type[BaseModel]:
    """Return the model of the mapping that has the mistake."""
    first, *rest = detail["loc"]
    return PARTS.get(str(first), model) if rest else model


def _fields(detail: ErrorDetails, model: type[BaseModel]) -> Sequence[str]:
    """Return the keys that are allowed at the place of a mistake."""
    return list(_part(detail, model).model_fields)


def _description(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what a missing key means, from the docstring of its field, without its last details."""
    key = str(detail["loc"][-1])
    text = " ".join(str(_part(detail, model).model_fields[key].description).split())
    text = text.removeprefix(f"{key.capitalize()}: ").partition(";")[0].rstrip(".")
    return text[0].lower() + text[1:] if text[1].islower() else text


def _meant(detail: ErrorDetails, fields: Sequence[str]) -> str | None:
    key = str(detail["loc"][-1])
    if SYNONYMS.get(key) in fields:
        return SYNONYMS[key]
    return next(iter(get_close_matches(key.lower(), fields, 1, 0.7)), None)


def _words(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return `key: what was expected, what was given` for one of pydantic's errors."""
    key, kind, context = _shown(detail["loc"]), detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{key}: unknown key{_unknown(detail, model)}"
    if kind == "missing":
        return f"{key}: missing; {_description(detail, model)}"
    if kind == "value_error":
        return f"{key}: {context['error']}"
    expected = EXPECTED.get(kind, detail["msg"]).format(**context)
    if isinstance(context.get("ge"), int):
        expected = expected.replace("a number", "a whole number")
    given = detail["input"]
    choices = re.findall("'([^']*)'", str(context.get("expected", "")))
    near = get_close_matches(given, choices, 1) if isinstance(given, str) else []
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"{key}: expected {expected}, given {_kind(given)}{hint}"


def _unknown(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return what to write instead of an unknown key."""
    fields = _fields(detail, model)
    meant = _meant(detail, fields)
    if meant:
        return f"; did you mean '{meant}'?"
    setting = _meant(detail, list(Experiment.model_fields)) if model is StudyFile and len(detail["loc"]) == 1 else None
    return f" of a study; write {setting} under base or axes" if setting else f"; expected one of {', '.join(fields)}"


def _shown(place: KeyPath) -> str:
    return _printable(".".join(str(part) for part in place))


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return ("a" if value else "an empty") + (" mapping" if isinstance(value, dict) else " list")
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else _short(repr(value))


def _printable(text: str) -> str:
    return _short(text if text.isprintable() else repr(text))


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:60]} ... ({len(text)} characters)"
