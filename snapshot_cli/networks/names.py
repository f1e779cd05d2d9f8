"""Parse the names of networks, such as resnet-110 and timm:mixer_b16_224. Imports no torch."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

# family: (the letters of its sizes, an example from the paper); the depth comes first
FAMILIES = {
    "resnet": ("D", "resnet-110"),
    "wide-resnet": ("D-K", "wide-resnet-32-4"),
    "densenet": ("L-K", "densenet-40-12"),
    "imagenet-resnet": ("50", "imagenet-resnet-50"),
}
# family: the depths that exist, in words and as (step, smallest)
DEPTHS = {"resnet": ("6n+2", 6, 8), "wide-resnet": ("6n+2", 6, 8), "densenet": ("3N+4", 3, 7)}
SOURCES = ("torchvision", "timm", "plugin")  # of external networks, before the colon: torchvision:resnet18
IN_TORCHVISION = (
    r"resnet(18|34|50|101|152)|wide_resnet(50|101)_2|densenet(121|161|169|201)"  # names that look like ours
)
SKIPPABLE = ("resnet", "wide-resnet")  # the families whose blocks stochastic depth can skip
MAX_SIZE = 2000
COUNTS = {1: "one size", 2: "two sizes"}


@dataclass(frozen=True)
class Architecture:
    """Hold a parsed name: resnet-110 has the family 'resnet' and the sizes (110,).

    An external network such as timm:mixer_b16_224 has the family 'timm' and no sizes.
    """

    family: str
    sizes: tuple[int, ...]


def parse(name: str) -> Architecture:
    """Return the family and the sizes in a network's name; raise ValueError with one line for the user.

    Of a name with a colon only the part before it is checked: only torch knows the networks of a source.
    """
    if is_external(name):
        return Architecture(_source(name), ())
    match = re.fullmatch(r"([a-z]+(?:-[a-z]+)*)((?:-[0-9]+)*)", name)
    if match is None or match[1] not in FAMILIES:
        raise ValueError(_unknown(name))
    family, digits = match[1], match[2].split("-")[1:]
    _check_sizes(name, family, digits)
    sizes = tuple(map(int, digits))
    _check_depth(family, sizes[0])
    return Architecture(family, sizes)


def is_external(name: str) -> bool:
    """Return whether a network is one of torchvision, timm or a plug-in: its name has a colon."""
    return ":" in name


def forms() -> list[str]:
    """Return the forms of the names: resnet-D, wide-resnet-D-K, ..."""
    return [f"{family}-{letters}" for family, (letters, _) in FAMILIES.items()]


def _source(name: str) -> str:
    source, _, inner = name.partition(":")
    if source not in SOURCES:
        near = difflib.get_close_matches(source, SOURCES, n=1)
        hint = f"did you mean '{near[0]}:{inner}'?" if near else f"a name with a colon begins with {_either(SOURCES)}"
        raise ValueError(f"unknown network {name!r}; {hint}")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", inner):
        raise ValueError(f"{name!r}: expected letters, digits, '_' and '-' after {source}:, given {inner!r}")
    return source


def _either(sources: tuple[str, ...]) -> str:
    return f"{', '.join(f'{source}:' for source in sources[:-1])} or {sources[-1]}:"


def _check_sizes(name: str, family: str, digits: list[str]) -> None:
    letters, example = FAMILIES[family]
    expected = len(letters.split("-"))
    if len(digits) != expected:
        form = f"{family}-{letters}"
        hint = "" if form == example else f", such as {example}"
        raise ValueError(f"{name!r} needs {COUNTS[expected]}: {form}{hint}")
    for size in digits:
        if size != "0" and size.startswith("0"):
            raise ValueError(f"size {size} of {name!r} must not begin with a zero")
        if not 1 <= int(size) <= MAX_SIZE:
            raise ValueError(f"size {size} of {name!r} must be between 1 and {MAX_SIZE}")


def _check_depth(family: str, depth: int) -> None:
    if family == "imagenet-resnet":
        if depth != 50:
            raise ValueError(f"depth {depth} is not available; imagenet-resnet comes with 50 layers only")
        return
    rule, step, smallest = DEPTHS[family]
    if depth < smallest:
        raise ValueError(f"depth {depth} is too small; the smallest {rule} is {smallest}")
    below = depth - (depth - smallest) % step
    if below != depth:
        raise ValueError(f"depth {depth} is not {rule}; the nearest are {below} and {below + step}")


def _unknown(name: str) -> str:
    words = re.sub(r"[^a-z]+", "-", name.lower()).strip("-")
    near = difflib.get_close_matches(words, FAMILIES, n=1)
    if not near:
        return f"unknown network {name!r}; the forms are {', '.join([*forms(), *(f'{s}:NAME' for s in SOURCES)])}"
    suggestions = [_suggestion(near[0], re.findall("[0-9]+", name))]
    if re.fullmatch(IN_TORCHVISION, name.lower()):
        suggestions.append(f"torchvision:{name.lower()}")
    return f"unknown network {name!r}; did you mean {' or '.join(map(repr, suggestions))}?"


def _suggestion(family: str, digits: list[str]) -> str:
    """Return the family with the given sizes if that network exists, else the paper's example."""
    try:
        parse(candidate := "-".join([family, *digits]))
    except ValueError:
        return FAMILIES[family][1]
    return candidate
