"""The scores of a cell: everything that tables, figures and claims need, in one small sealed file."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import core_schema

from snapshot_cli.config.experiment import Experiment, Run
from snapshot_cli.config.plan import Cell
from snapshot_cli.config.strict import Count, Model, Positive
from snapshot_cli.config.study import Split
from snapshot_cli.errors import UserError
from snapshot_cli.files import write_atomically

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION: Literal[1] = 1
"""The version of the definitions; raise it whenever a number here is defined differently."""
DIGITS = 9
"""Significant digits of a stored number; processors differ in the digits after these."""
MAX_BYTES = 64_000_000  # bytes; ten members on ImageNet take two million


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


class _Digits:
    """Round computed numbers; numbers in a file are rounded already. JSON has no NaN, so it is the text nan there."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        number = core_schema.float_schema(strict=True, allow_inf_nan=True)
        undefined = core_schema.chain_schema(
            [core_schema.literal_schema(["nan"]), core_schema.no_info_plain_validator_function(float)]
        )
        return core_schema.json_or_python_schema(
            json_schema=core_schema.union_schema([number, undefined], mode="left_to_right"),
            python_schema=core_schema.no_info_after_validator_function(_rounded, number),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: "nan" if value != value else value, when_used="json"
            ),
        )


Number = Annotated[float, _Digits]
"""A float of nine significant digits."""


class _Stored(Model):
    model_config = ConfigDict(allow_inf_nan=True, validate_default=False)


def defined(value: float | None) -> float | None:
    """Return a number for JSON, which has no NaN: None for one that is not defined."""
    return None if value is None or math.isnan(value) else value


class Reliability(_Stored):
    """Images, mean confidence and accuracy in 15 equal-width bins of top-1 confidence; NaN for an empty bin."""

    count: list[Count]
    confidence: list[Number]
    accuracy: list[Number]

    @property
    def ece(self) -> float:
        """The expected calibration error: the mean over images of their bin's |accuracy - confidence|."""
        images = sum(self.count)
        bins = zip(self.count, self.confidence, self.accuracy, strict=True)
        return sum(count * abs(accuracy - confidence) for count, confidence, accuracy in bins if count) / images


class Metrics(_Stored):
    """The metrics of a network or ensemble on a split: errors in percent, NLL in nats, Brier score 0 to 2."""

    error: Number
    top5_error: Number | None
    """None for fewer than six classes."""
    nll: Number
    brier: Number
    reliability: Reliability
    temperatures: tuple[Number, Number]
    """For the even and the odd images, each fitted on the other half."""
    calibrated_nll: Number
    correct: str
    """One bit per image, 1 if it is classified correctly: numpy.packbits in base64."""

    @property
    def ece(self) -> float:
        """The expected calibration error, a fraction."""
        return self.reliability.ece

    @property
    def numbers(self) -> dict[str, float | None]:
        """The metrics for JSON, by name; None for one that is not defined."""
        names = ("top5_error", "nll", "brier", "ece", "calibrated_nll")
        return {"top1_error": defined(self.error)} | {name: defined(getattr(self, name)) for name in names}


class Curve(_Stored):
    """Columns of a run's metrics.csv, one entry per epoch."""

    step: list[Positive]
    train_loss: list[Number]
    train_error: list[Number]
    seconds: list[Number]


class Line(_Stored):
    """Test errors in percent on the line from a snapshot to the last one, at lambda = 0 to 1."""

    snapshot: Positive
    statistics: str
    """The source of the batch-norm statistics: reestimated, final or mixed."""
    lambdas: list[Number]
    errors: list[Number]


class TrainedRun(_Stored):
    """A run of a cell: its configuration, dataset, machine and training curve."""

    config: Run
    dataset_hash: str
    train_examples: Positive
    steps: Positive
    machine: list[dict[str, Any]]
    """machine.json at the start, then the differences at each resume."""
    curve: Curve
    lines: list[Line] = []
    files: dict[str, str]
    """The sha256, from the manifest, of the files that the scores were computed from."""

    @property
    def seconds(self) -> float:
        """The training time in seconds, without pauses."""
        return sum(self.curve.seconds)


class Member(_Stored):
    """A network of an ensemble: a snapshot, counted from 1, of a run."""

    run: str
    snapshot: Positive


class Choice(_Stored):
    """Members chosen on withheld images, with the error of their ensemble there and on test images."""

    rule: str
    """"best" (the subset of its size with the fewest errors), "last M" or "greedy"; see analysis.selection."""
    members: list[Positive]
    """Numbers from 1, repeated by weight."""
    withheld_error: Number
    error: Number


class Scores(_Stored):
    """The scores of an ensemble, its members and its sub-ensembles on one split."""

    version: Literal[1] = VERSION
    experiment: Experiment | None
    """The cell as an experiment with one replicate; None for run directories that are scored as one ensemble."""
    split: Split
    images: Positive
    labels_sha256: str
    classes: Positive
    members: list[Member]
    runs: dict[str, TrainedRun]
    """By run id, in the order of the members."""
    alone: list[Metrics]
    """One for each member."""
    later: list[Metrics]
    """The ensembles of the last m = 2..M members."""
    earlier: list[Metrics]
    """The ensembles of the first m = 2..M-1 members."""
    correlation: list[list[Number]]
    """Pairwise Pearson correlation of members over all softmax entries."""
    disagreement: list[list[Number]]
    """Pairwise percentage of images on which the members' most probable classes differ."""
    chosen: list[Choice] = []
    """If images were withheld: the best subset of every size m = 1..M of at most ten members, the best last m, and the
    greedy choice."""
    cost: Number
    """Training cost in full budgets."""

    @property
    def last(self) -> list[Metrics]:
        """The ensembles of the last m = 1..M members."""
        return [self.alone[-1], *self.later]

    @property
    def first(self) -> list[Metrics]:
        """The ensembles of the first m = 1..M members."""
        return [self.alone[0], *self.earlier, *self.later[-1:]]

    @property
    def ensemble(self) -> Metrics:
        """The ensemble of all members."""
        return self.last[-1]

    @cached_property
    def only_run(self) -> TrainedRun | None:
        """The run of all members, None if there are several."""
        return next(iter(self.runs.values())) if len(self.runs) == 1 else None

    def right(self, metrics: Metrics) -> NDArray[np.bool_]:
        """Return for each image (images,) whether it is classified correctly."""
        import numpy as np

        packed = np.frombuffer(base64.b64decode(metrics.correct), np.uint8)
        return np.unpackbits(packed, count=self.images).astype(bool)


def pack(correct: NDArray[np.bool_]) -> str:
    """Return booleans (images,) as base64 with one bit per image."""
    import numpy as np

    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def path(cell: Cell, results: Path, split: Split) -> Path:
    """Return the file of the scores of a cell in a results folder."""
    return results / "scores" / f"{cell.cell_id}-{split}.json"


def write(scores: Scores, file: Path) -> None:
    """Write scores with the sha256 of their content."""
    content = _json(scores.model_dump(mode="json"))
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(file, f'{{"sha256":"{digest}",'.encode() + content[1:])


def read(file: Path) -> Scores:
    """Return the scores of a file; UserError if it differs from what `write` wrote or has another version."""
    remedy = "delete it; the command that trained the runs scores them again, or trains them where they are gone"
    if file.stat().st_size > MAX_BYTES:
        raise UserError(f"{file}: too large to be scores; {remedy}")
    sealed = re.fullmatch(rb'\{"sha256":"([0-9a-f]{64})",("version":(\d+),.*)', file.read_bytes(), re.DOTALL)
    if sealed is None:
        raise UserError(f"{file}: not a file of scores; {remedy}")
    content = b"{" + sealed[2]
    if sealed[1].decode() != hashlib.sha256(content).hexdigest():
        raise UserError(f"{file}: differs from what was written; {remedy}")
    if int(sealed[3]) != VERSION:
        raise UserError(f"{file}: has version {int(sealed[3])} of the scores, this program {VERSION}; {remedy}")
    try:
        return _parse(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{file}: {place}: {error.errors()[0]['msg']}; {remedy}") from None


@lru_cache(maxsize=1000)
def _parse(content: bytes) -> Scores:
    """Return scores; the same content, which several studies of a report read, is validated once."""
    return Scores.model_validate_json(content)


def differences(one: Scores, other: Scores) -> list[str]:
    """Return the names of the fields that differ, beyond rounding differences between processors."""
    first, second = one.model_dump(mode="json"), other.model_dump(mode="json")
    return [name for name in first if not _alike(first[name], second[name])]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other)


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n").encode()
