"""A study, such as one table or figure of the paper: layered settings that expand to experiments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from snapshot_cli.config import kinds
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.config.strict import Model
from snapshot_cli.config.yaml_file import KeyPath
from snapshot_cli.errors import CONTROL

Split = Literal["test", "holdout"]


def _check_kind(value: str) -> str:
    modules = kinds.modules()
    if value not in modules:
        near = get_close_matches(value, modules, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected {', '.join(modules)}"
        raise ValueError(f"unknown kind of table or figure {value[:60]!r}; {hint}")
    return value


Kind = Annotated[str, AfterValidator(_check_kind)]


def _single_line(value: str) -> str:
    line = " ".join(value.split())  # a title may span several lines of the file
    if CONTROL.search(line):
        raise ValueError("expected text without control characters")
    return line


Title = Annotated[str, AfterValidator(_single_line)]


def _check_match(match: dict[str, Any]) -> dict[str, Any]:
    unknown = [key for key in match if key not in Experiment.model_fields]
    if unknown or not match:
        raise ValueError(f"expected fields of an experiment, given {', '.join(unknown) or 'none'}")
    return match


def _check_no_method(settings: dict[str, Any]) -> dict[str, Any]:
    if "method" in settings:
        raise ValueError("method belongs under methods, which override it here")
    return settings


Match = Annotated[dict[str, Any], AfterValidator(_check_match)]
Settings = Annotated[dict[str, Any], AfterValidator(_check_no_method)]


class Where(Model):
    """An exception for the experiments that match: other settings, or leaving them out."""

    match: Match
    """Settings that choose experiments, written as in the study: a value, or a list of allowed values."""

    set: Settings = {}
    """Settings that override those of base and axes."""

    skip: bool = False
    """Leave out the experiments that match."""

    @model_validator(mode="after")
    def _check_effect(self) -> Self:
        if not self.set and not self.skip:
            raise ValueError("has no effect; write set, or skip: true")
        return self

    def matches(self, settings: Mapping[str, Any]) -> bool:
        """Return whether some settings have the values in match."""
        return _fits(self.match, settings)


class Drawing(Model):
    """A table or figure: its kind, and the experiments to show."""

    kind: Kind
    """Kind of table or figure."""

    match: Match | None = None
    """Settings that choose the experiments to draw, defaults included, as in where; null: all."""

    def shows(self, experiment: Experiment) -> bool:
        """Return whether an experiment is shown."""
        return _fits(self.match or {}, experiment.model_dump(mode="json"))


def _fits(match: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(settings.get(key) in (want if isinstance(want, list) else [want]) for key, want in match.items())


PARTS: dict[str, type[Model]] = {"where": Where, "render": Drawing}


def _spell_out_kinds(render: Any) -> Any:
    """Replace a kind alone by a drawing of all experiments."""
    if not isinstance(render, dict):
        return render
    return {stem: {"kind": drawing} if isinstance(drawing, str) else drawing for stem, drawing in render.items()}


Render = Annotated[dict[str, Drawing], BeforeValidator(_spell_out_kinds)]


class StudyFile(Model):
    """The YAML file of a study."""

    title: Title
    """What the study shows, in one sentence."""

    base: Settings = {}
    """Settings of all experiments."""

    axes: Annotated[dict[str, Annotated[list[Any], Field(min_length=1)]], AfterValidator(_check_no_method)] = {}
    """Keys with several values; experiments are made for every combination."""

    methods: Annotated[list[Any], Field(min_length=1)]
    """Methods, or mappings with a method and settings for it."""

    where: list[Where] = []
    """Exceptions for some experiments, applied in order."""

    split: Split = "test"
    """Images to score on: test, or holdout, the withheld training images."""

    render: Render = {}
    """Tables and figures: a file name without ending, and a kind, or kind and match. Default: a table of methods."""

    @field_validator("render")
    @classmethod
    def _check_stems(cls, value: dict[str, Drawing]) -> dict[str, Drawing]:
        wrong = [stem for stem in value if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", stem)]
        if wrong:
            raise ValueError(f"expected file names of letters, digits, '.', '_' and '-', given {wrong[0][:60]!r}")
        return value


class Study(Model):
    """A study and its experiments."""

    name: str
    title: Title
    experiments: tuple[Experiment, ...]
    split: Split = "test"
    render: Render = {}


@dataclass(frozen=True)
class Setting:
    """A value and its place in the file; None: it comes from the command line."""

    value: Any
    place: KeyPath | None


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
    """Return the number of combinations of a study's axes and methods, skipped ones included."""
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
