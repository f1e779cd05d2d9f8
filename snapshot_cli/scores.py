"""The scores of a cell: what tables, figures and claims need of it, in one sealed file of kilobytes; no torch."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from functools import cached_property
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
"""Of the definitions: raised whenever a number here is computed in another way."""
DIGITS = 9
"""Significant digits of a stored number, so that processors that differ in the last bits write the same file."""
LARGEST = 64_000_000  # bytes; the file of ten members on ImageNet has two million


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


class _Digits:
    """Round numbers as they are computed; in a file they are rounded already, and NaN, which JSON lacks, is a text."""

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
"""A number of nine significant digits; NaN is the text nan in a file."""


class _Stored(Model):
    model_config = ConfigDict(allow_inf_nan=True, validate_default=False)


class Reliability(_Stored):
    """The images in 15 bins of equal width of top-1 confidence, their mean confidence and accuracy; NaN where empty."""

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
    """One network or ensemble on the images of a split: errors in percent, NLL in nats, Brier 0 to 2."""

    error: Number
    top5_error: Number | None
    """None below six classes."""
    nll: Number
    brier: Number
    reliability: Reliability
    temperatures: tuple[Number, Number]
    """Of the two halves of the images, each fitted on the other half."""
    calibrated_nll: Number
    correct: str
    """A bit an image, in order, whether it is classified right: numpy.packbits in base64."""

    @property
    def ece(self) -> float:
        """The expected calibration error, a fraction."""
        return self.reliability.ece


class Curve(_Stored):
    """The rows of a run's metrics.csv, an entry an epoch."""

    step: list[Positive]
    train_loss: list[Number]
    train_error: list[Number]
    seconds: list[Number]


class Line(_Stored):
    """Test errors in percent on the line from a snapshot to the last one, at lambda = 0 to 1."""

    snapshot: Positive
    statistics: str
    """Where the batch-norm statistics come from: reestimated, final or mixed."""
    lambdas: list[Number]
    errors: list[Number]


class TrainedRun(_Stored):
    """A run behind a cell: its configuration, what it was trained on, where and how long."""

    config: Run
    dataset_hash: str
    train_examples: Positive
    steps: Positive
    machine: list[dict[str, Any]]
    """machine.json as of the start, then what differed whenever the run was resumed."""
    curve: Curve
    lines: list[Line] = []
    files: dict[str, str]
    """The sha256 of the run's files that the scores were computed from, as its manifest has them."""

    @property
    def seconds(self) -> float:
        """The seconds of its epochs, pauses left out."""
        return sum(self.curve.seconds)


class Member(_Stored):
    """A network of an ensemble: the k-th snapshot, from 1, of a run."""

    run: str
    snapshot: Positive


class Choice(_Stored):
    """Members chosen on withheld images, the error of their ensemble there and on test images."""

    rule: str
    """best: of its size the subset with the fewest errors; last M or greedy as in analysis.selection."""
    members: list[Positive]
    """By number, from 1, each as often as it counts."""
    withheld_error: Number
    error: Number


class Scores(_Stored):
    """The scores of an ensemble, of each of its members and of the ensembles of some of them, on one split."""

    version: Literal[1] = VERSION
    experiment: Experiment | None
    """The cell as an experiment of one replicate; None for run directories that are scored together."""
    split: Split
    images: Positive
    labels_sha256: str
    classes: Positive
    members: list[Member]
    runs: dict[str, TrainedRun]
    """By run id, in the order of the members."""
    alone: list[Metrics]
    """Each member."""
    later: list[Metrics]
    """The ensembles of the last m = 2..M members."""
    earlier: list[Metrics]
    """The ensembles of the first m = 2..M-1 members."""
    correlation: list[list[Number]]
    """Pearson's, of every two members, over all softmax entries."""
    disagreement: list[list[Number]]
    """The percentage of the images on which two members' most probable classes differ."""
    chosen: list[Choice] = []
    """Where images were withheld: the best subset of every size m = 1..M, the best last m, and the greedy choice."""
    cost: Number
    """What the runs cost, in full budgets."""

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
        """The run behind all members; None where there are several."""
        return next(iter(self.runs.values())) if len(self.runs) == 1 else None

    def right(self, metrics: Metrics) -> NDArray[np.bool_]:
        """Return for each image (images,) whether it is classified right."""
        import numpy as np

        packed = np.frombuffer(base64.b64decode(metrics.correct), np.uint8)
        return np.unpackbits(packed, count=self.images).astype(bool)


def pack(correct: NDArray[np.bool_]) -> str:
    """Return booleans (images,) as base64 of a bit an image."""
    import numpy as np

    return base64.b64encode(np.packbits(correct).tobytes()).decode()


def path(cell: Cell, results: Path, split: Split) -> Path:
    """Return where the scores of a cell lie below a folder of results."""
    return results / "scores" / f"{cell.cell_id}-{split}.json"


def write(scores: Scores, file: Path) -> None:
    """Write scores with the sha256 of their content."""
    content = _json(scores.model_dump(mode="json"))
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(file, f'{{"sha256":"{digest}",'.encode() + content[1:])


def read(file: Path) -> Scores:
    """Return the scores of a file; UserError where it is not what `write` wrote, or of another version."""
    remedy = "delete it; snapshot reproduce scores the runs again, or trains them where they are gone"
    if file.stat().st_size > LARGEST:
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
        return Scores.model_validate_json(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(f"{file}: {place}: {error.errors()[0]['msg']}; {remedy}") from None


def differences(one: Scores, other: Scores) -> list[str]:
    """Return the names of the fields that differ, numbers by more than processors differ in."""
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
