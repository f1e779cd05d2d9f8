"""A study, one table or figure of the paper: settings in layers, spelled out into experiments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from snapshot_cli.config import kinds
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.strict import Model
from snapshot_cli.errors import CONTROL

Place = tuple[str | int, ...]
Split = Literal["test", "holdout"]


def _known_kind(value: str) -> str:
    modules = kinds.modules()
    if value not in modules:
        near = get_close_matches(value, modules, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected {', '.join(modules)}"
        raise ValueError(f"unknown kind of table or figure {value[:60]!r}; {hint}")
    return value


Kind = Annotated[str, AfterValidator(_known_kind)]


def _line(value: str) -> str:
    line = " ".join(value.split())  # a title may be written over several lines
    if CONTROL.search(line):
        raise ValueError("expected text without control characters")
    return line


Title = Annotated[str, AfterValidator(_line)]


class Where(Model):
    """Other settings, or no experiment at all, for the experiments that match."""

    match: dict[str, Any]
    """Settings that choose experiments, written as in the study: a value, or a list of allowed values."""

    set: dict[str, Any] = {}
    """Settings that override those of base and axes."""

    skip: bool = False
    """Leave out the experiments that match."""

    @field_validator("match")
    @classmethod
    def _fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        return _experiment_fields(value)

    def matches(self, settings: Mapping[str, Any]) -> bool:
        """Tell whether every field named by match has a value that fits."""
        return _fits(self.match, settings)


class Drawing(Model):
    """What a file shows, and of which experiments."""

    kind: Kind
    """Kind of table or figure."""

    match: dict[str, Any] | None = None
    """Settings that choose the experiments to draw, defaults included, as in where; null: all."""

    @field_validator("match")
    @classmethod
    def _fields(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else _experiment_fields(value)

    def shows(self, experiment: Experiment) -> bool:
        """Tell whether an experiment is drawn."""
        return _fits(self.match or {}, experiment.model_dump(mode="json"))


def _experiment_fields(match: dict[str, Any]) -> dict[str, Any]:
    unknown = [key for key in match if key not in Experiment.model_fields]
    if unknown or not match:
        raise ValueError(f"expected fields of an experiment, given {', '.join(unknown) or 'none'}")
    return match


def _fits(match: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(settings.get(key) in (want if isinstance(want, list) else [want]) for key, want in match.items())


PARTS: dict[str, type[Model]] = {"where": Where, "render": Drawing}


class StudyFile(Model):
    """What the YAML file of a study says."""

    title: Title
    """What the study shows, in one sentence."""

    base: dict[str, Any] = {}
    """Settings of all experiments."""

    axes: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    """Keys with several values; experiments are made for every combination."""

    methods: Annotated[list[Any], Field(min_length=1)]
    """Methods, or mappings with a method and settings for it."""

    where: list[Where] = []
    """Exceptions for some experiments, applied in order."""

    split: Split = "test"
    """Images to score on: test, or holdout, the withheld training images."""

    render: dict[str, Drawing] = {}
    """Tables and figures: a file name without ending, and its kind, or its kind and the experiments to show."""

    @field_validator("render", mode="before")
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        return _spelled_out(value)

    @field_validator("render")
    @classmethod
    def _stems(cls, value: dict[str, Drawing]) -> dict[str, Drawing]:
        wrong = [stem for stem in value if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", stem)]
        if wrong:
            raise ValueError(f"expected file names of letters, digits, '.', '_' and '-', given {wrong[0][:60]!r}")
        return value


class Study(Model):
    """A study with its experiments spelled out."""

    name: str
    title: Title
    experiments: tuple[Experiment, ...]
    split: Split = "test"
    render: dict[str, Drawing] = {}

    @field_validator("render", mode="before")
    @classmethod
    def _kinds(cls, value: Any) -> Any:
        return _spelled_out(value)


def _spelled_out(render: Any) -> Any:
    """Return what render says with a kind alone turned into a drawing of all experiments."""
    if not isinstance(render, dict):
        return render
    return {stem: {"kind": drawn} if isinstance(drawn, str) else drawn for stem, drawn in render.items()}


@dataclass(frozen=True)
class Setting:
    """A value and its place in the file, as a path of keys and indices; None: it comes from the command line."""

    value: Any
    place: Place | None


def spell_out(file: StudyFile, overrides: Mapping[str, Setting]) -> Iterator[dict[str, Setting]]:
    """Yield the settings of every experiment: base < axes < where < the method's own < overrides."""
    for common, chosen in _combinations(file):
        matching = [(i, rule) for i, rule in enumerate(file.where) if rule.matches(values(common | chosen))]
        if not any(rule.skip for _, rule in matching):
            exceptions = {
                key: Setting(value, ("where", i, "set", key)) for i, rule in matching for key, value in rule.set.items()
            }
            yield common | exceptions | chosen | dict(overrides)


def idle_rules(file: StudyFile) -> list[int]:
    """Return the indices of the where rules that match no experiment."""
    settings = [values(common | chosen) for common, chosen in _combinations(file)]
    return [i for i, rule in enumerate(file.where) if not any(map(rule.matches, settings))]


def combinations(file: StudyFile) -> int:
    """Return the number of combinations of a study's axes and methods, before any is skipped."""
    return prod(map(len, file.axes.values())) * len(file.methods)


def _combinations(file: StudyFile) -> Iterator[tuple[dict[str, Setting], dict[str, Setting]]]:
    base = {key: Setting(value, ("base", key)) for key, value in file.base.items()}
    for point in product(*(_axis(name, values) for name, values in file.axes.items())):
        for index, method in enumerate(file.methods):
            yield base | dict(point), _method(index, method)


def values(settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the settings without their places."""
    return {key: setting.value for key, setting in settings.items()}


def _axis(name: str, values: list[Any]) -> list[tuple[str, Setting]]:
    return [(name, Setting(value, ("axes", name, i))) for i, value in enumerate(values)]


def _method(index: int, method: Any) -> dict[str, Setting]:
    if isinstance(method, dict):
        return {key: Setting(value, ("methods", index, key)) for key, value in method.items()}
    return {"method": Setting(method, ("methods", index))}
