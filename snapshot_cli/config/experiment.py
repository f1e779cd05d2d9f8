"""The settings of a run and of an experiment, explained in the docstring of every field."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator, model_validator

from snapshot_cli import schedule as schedules
from snapshot_cli.config.dataset_name import check_name
from snapshot_cli.config.strict import DIGITS, Count, Fraction, Model, Name, PlainOptions, Positive
from snapshot_cli.errors import UserError
from snapshot_cli.networks import names

Precision = Literal["float32", "bfloat16"]
MEMBER_STRIDE = 1000  # an experiment has at most 1,000 replicates, so that no two of their members share a seed
MAX_SEED = 10**DIGITS - 1
Method = Literal["single", "dropout", "nocycle", "singlecycle", "snapshot", "ensemble"]


class Recipe(Model):
    """The settings that runs and experiments share. Never change a default: ids hash the other settings only."""

    dataset: Name
    """Dataset: digits, cifar10, cifar100, svhn, tiny-imagenet, imagenet, a smaller version (cifar10-16 is
    averaged to 16x16 pixels), or your own."""

    network: Name
    """Network: family and sizes as in the paper (resnet-110, wide-resnet-32-4, densenet-40-12), or torchvision:NAME,
    timm:NAME, plugin:NAME."""

    network_options: PlainOptions = {}
    """Arguments of a torchvision, timm or plug-in network: a mapping of names to plain values."""

    initial_weights: str | None = None
    """File of initial weights, .safetensors or .pt; the run id depends on its sha256, not on its path."""

    budget: Positive
    """B, the budget of one full training, in epochs."""

    batch_size: Positive = 64
    """Images per step; the last batch of an epoch may be smaller."""

    train_size: Positive | None = None
    """Number of training images to use, a class-balanced subset drawn with split_seed; null: all."""

    holdout: Count = 0
    """Number of training images to withhold, drawn with split_seed; choose settings on them."""

    split_seed: Count = 0
    """Seed of train_size and holdout, the same for all members and replicates."""

    cycles: Positive
    """M, the number of cycles and of snapshots; the step schedule takes snapshots at the same steps."""

    alpha0: Annotated[float, Field(gt=0)] = 0.1
    """Initial learning rate, and the learning rate after every restart."""

    drops: Annotated[tuple[Fraction, ...], Field(strict=False)] = (0.5, 0.75)
    """Fractions of the budget at which the step schedule divides the lr by 10; ImageNet's files set 1/3 and 2/3."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of SGD."""

    nesterov: bool = True
    """Use Nesterov momentum, as the authors' code does."""

    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    """L2 penalty on all parameters, batch norm and biases included."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout probability, with any method; the method dropout uses 0.2 instead of 0."""

    stochastic_depth: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability of skipping the last block of a ResNet in training; for earlier blocks it is proportionally lower."""

    padding: Count | None = None
    """Border for random crops, in pixels, of the mean colour; null: the dataset's setting, usually side / 8."""

    flip: bool | None = None
    """Mirror half of the training images; null: the dataset's setting."""

    lighting: Annotated[float, Field(ge=0)] | None = None
    """Strength of PCA colour noise (Krizhevsky et al., 2012); null: the dataset's setting (0.1 for Tiny ImageNet)."""

    precision: Precision = "float32"
    """Arithmetic of the forward and backward pass; bfloat16 is autocast, the weights stay float32."""

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of the initial weights, image order, augmentation, dropout and skipped blocks."""

    @field_validator("dataset")
    @classmethod
    def _check_dataset(cls, value: str, info: ValidationInfo) -> str:
        check_name(value)
        datasets = (info.context or {}).get("training_examples")
        if datasets is not None and value not in datasets:
            near = get_close_matches(value, datasets, 1)
            hint = f"did you mean '{near[0]}'?" if near else "snapshot list shows the datasets."
            raise ValueError(
                f"unknown dataset '{value}'; {hint} For images of your own: snapshot data prepare {value} --from FOLDER"
            )
        return value

    @field_validator("network")
    @classmethod
    def _check_network(cls, value: str) -> str:
        names.parse(value)
        return value

    @field_validator("network_options")
    @classmethod
    def _check_network_options(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        network = info.data.get("network", ":")
        if value and not names.is_external(network):
            raise ValueError(f"expected none, as {network} takes none, given {', '.join(value)}")
        return value

    @field_validator("initial_weights")
    @classmethod
    def _check_initial_weights(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("sha256:[0-9a-f]{64}", value):
            raise ValueError(f"expected the path of a file, or sha256: and 64 hex digits, given '{value}'")
        return value

    @field_validator("train_size")
    @classmethod
    def _check_train_size(cls, value: int | None, info: ValidationInfo) -> int | None:
        available = _available(info)
        if value is not None and available is not None and value > available:
            of = info.data["dataset"]
            raise ValueError(f"expected at most {available}, the training images of {of}, given {value}")
        return value

    @field_validator("holdout")
    @classmethod
    def _check_holdout(cls, value: int, info: ValidationInfo) -> int:
        available = _available(info)
        left = value if available is None else available - (info.data.get("train_size") or 1)
        if value > left:
            raise ValueError(f"expected at most {left}, the training images that are not trained on, given {value}")
        return value

    @field_validator("cycles")
    @classmethod
    def _check_cycles(cls, value: int, info: ValidationInfo) -> int:
        if not {"budget", "batch_size", "train_size", "holdout"} <= info.data.keys():
            return value
        available = _available(info)
        examples = info.data["train_size"] or (None if available is None else available - info.data["holdout"])
        if examples is not None:
            steps = info.data["budget"] * steps_per_epoch(examples, info.data["batch_size"])
            try:
                schedules.snapshot_steps(steps, value)
            except UserError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("dropout")
    @classmethod
    def _check_dropout(cls, value: float, info: ValidationInfo) -> float:
        if value and _has_no_dropout(info):
            raise ValueError(f"expected 0, as {info.data['network']} has no place for dropout, given {value:g}")
        return value

    @field_validator("stochastic_depth")
    @classmethod
    def _check_stochastic_depth(cls, value: float, info: ValidationInfo) -> float:
        network = info.data.get("network", "resnet-8")
        if value and names.is_external(network):
            raise ValueError(
                f"expected 0 for {network}, as only the paper's networks support it; its network_options may have it"
            )
        if value and names.parse(network).family not in names.SKIPPABLE:
            raise ValueError(f"expected 0, as {network} has no blocks to skip, given {value:g}")
        return value

    @field_validator("nesterov")
    @classmethod
    def _check_nesterov(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0:
            raise ValueError("expected false, as momentum is 0, given true")
        return value

    def training_examples(self, available: int) -> int:
        """Return the number of training images of a run, given those of its dataset."""
        return self.train_size or available - self.holdout

    def smallest_batch(self, available: int) -> int:
        """Return the number of images in the last batch of an epoch, given the training images of the dataset."""
        return self.training_examples(available) % self.batch_size or self.batch_size


def _available(info: ValidationInfo) -> int | None:
    """Return the number of training images of the dataset, if the caller's context has it."""
    datasets: Mapping[str, int | None] = (info.context or {}).get("training_examples") or {}
    return datasets.get(info.data.get("dataset", ""))


def _has_no_dropout(info: ValidationInfo) -> bool:
    return names.parse(info.data.get("network", "resnet-8")).family == "imagenet-resnet"


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch, including a smaller last one."""
    return -(-examples // batch_size)


def short_hash(recipe: Recipe) -> str:
    """Return eight hex digits over all settings that differ from their default."""
    settings = recipe.model_dump(mode="json", exclude_defaults=True)
    if "independent_runs" in settings:
        settings["replicas"] = settings.pop("independent_runs")  # its first name, which stored ids depend on
    canonical = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


class Experiment(Recipe):
    """The settings of an experiment file: a recipe, a method and its repetitions."""

    independent_runs: Annotated[Positive, Field(validation_alias=AliasChoices("independent_runs", "replicas"))] = 1
    """K, the number of runs with different seeds whose snapshots form one ensemble; for the method snapshot only."""

    method: Method
    """Which runs are trained and which snapshots are averaged: single, dropout, nocycle, singlecycle, snapshot or
    ensemble."""

    replicates: Annotated[int, Field(ge=1, le=1000)] = 1
    """Number of repetitions with different seeds, for means and confidence intervals."""

    @property
    def networks(self) -> int:
        """The number of runs of one replicate."""
        return self.cycles if self.method in ("singlecycle", "ensemble") else self.independent_runs

    @model_validator(mode="after")
    def _check_seed(self) -> Experiment:
        last = self.seed + self.replicates - 1 + MEMBER_STRIDE * (self.networks - 1)
        if last > MAX_SEED:
            raise ValueError(
                f"expected at most {self.seed - (last - MAX_SEED)}, as its networks count on from it, and a "
                f"seed has at most {len(str(MAX_SEED))} digits; given {self.seed}"
            )
        return self

    @field_validator("method")
    @classmethod
    def _check_method(cls, value: Method, info: ValidationInfo) -> Method:
        if value == "dropout" and _has_no_dropout(info):
            raise ValueError(f"expected another method, as {info.data['network']} has no place for dropout")
        runs = info.data.get("independent_runs", 1)
        if value != "snapshot" and runs > 1:
            raise ValueError(f"expected snapshot, as independent_runs is {runs}, given '{value}'")
        return value


class Run(Recipe):
    """All settings that change the results of one training, and no others."""

    schedule: Literal["step", "cosine"]
    """step: alpha0, divided by 10 at each of the drops; cosine: Eq. 2, restarted in every cycle."""

    cycle: Positive | None = None
    """Train only this cycle of the schedule, from fresh weights, with one snapshot (SingleCycle)."""

    @field_validator("cycle")
    @classmethod
    def _check_cycle(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("schedule") == "step":
            raise ValueError(f"expected none, as a step schedule has no cycles to train alone, given {value}")
        if value is not None and value > info.data.get("cycles", value):
            raise ValueError(f"expected at most {info.data['cycles']}, the number of cycles, given {value}")
        return value

    @property
    def snapshots(self) -> int:
        """The number of snapshots that this run takes."""
        return self.cycles if self.cycle is None else 1

    @property
    def run_id(self) -> str:
        """Dataset, network and schedule, then eight hex digits over all settings that differ from their default."""
        words = [self.network.replace(":", "-"), self.schedule, f"M{self.cycles}"]
        words += [f"cycle{self.cycle}"] if self.cycle else []
        words += [f"seed{self.seed}"] if self.seed else []
        return f"{self.dataset}/{'-'.join(words)}-{short_hash(self)}"

    def total_steps(self, examples: int) -> int:
        """Return T, the number of steps of a full training, given the number of training examples."""
        return self.budget * steps_per_epoch(examples, self.batch_size)

    def snapshot_steps(self, examples: int) -> list[int]:
        """Return the steps, counted from 1, after which this run takes its snapshots; the last one ends it."""
        if self.cycle is None:
            return schedules.snapshot_steps(self.total_steps(examples), self.cycles)
        return [schedules.steps_per_cycle(self.total_steps(examples), self.cycles)[self.cycle - 1]]

    def lr(self, step: int, examples: int) -> float:
        """Return the learning rate of a step, counted from 1."""
        total = self.total_steps(examples)
        if self.schedule == "step":
            return schedules.step_lr(step, alpha0=self.alpha0, total_steps=total, drops=self.drops)
        return schedules.cosine_lr(step, alpha0=self.alpha0, length=schedules.cycle_length(total, self.cycles))
