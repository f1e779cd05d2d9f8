"""The base class and the types of configuration values."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

DIGITS = 18  # at most, so that a whole number fits into 64 bits
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(max_length=100)]


class Options(dict[str, Any]):
    """A hashable mapping of plain values, for frozen models; it must not be changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(json.dumps(self, sort_keys=True))


def _options(value: dict[str, Any]) -> Options:
    for name, option in value.items():
        if not all(_is_plain(value) for value in (option if isinstance(option, list) else [option])):
            raise ValueError(
                f"expected numbers, texts, true, false, null or lists of them, given {option!r} for {name}"
            )
    return Options(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


PlainOptions = Annotated[dict[str, Any], AfterValidator(_options)]


class Model(BaseModel):
    """A frozen model that refuses unknown keys, wrong types, infinities and NaN."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
