"""Compute the statistical power of the tables' claims, and the seeds needed for a given power.

    python scripts/power.py

The test is `snapshot_cli.analysis.statistics.judge`: a t test of differences paired by seed and pooled over networks,
with Holm's correction over the claims of a table. The claim with the smallest p is tested at 0.05 / claims; the last
one at 0.05, if all others hold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from scipy.stats import nct, t

from snapshot_cli.analysis.statistics import ALPHA, MIN_SEEDS

MAX_SEEDS = 1000


def power(points: float, *, seeds: int, networks: int, std: float, alpha: float) -> float:
    """Return the probability that the test confirms a true difference in points, with some std over seeds."""
    degrees_of_freedom = networks * (seeds - 1)
    noncentrality = points / (std / math.sqrt(networks * seeds))
    return float(nct.sf(t.isf(alpha / 2, degrees_of_freedom), degrees_of_freedom, noncentrality))


def seeds_needed(points: float, *, networks: int, std: float, alpha: float, target: float) -> int | None:
    """Return the fewest seeds per network that give the target power, None above a thousand."""
    for seeds in range(MIN_SEEDS, MAX_SEEDS + 1):
        if power(points, seeds=seeds, networks=networks, std=std, alpha=alpha) >= target:
            return seeds
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the power of one design, and the seeds needed for other differences."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--points", type=float, default=0.9, help="true difference of the errors, in points")
    parser.add_argument("--seeds", type=int, default=5, help="seeds per network")
    parser.add_argument("--networks", type=int, default=3, help="networks that are pooled")
    parser.add_argument("--std", type=float, default=0.6, help="std of the difference over seeds, in points")
    parser.add_argument("--claims", type=int, default=8, help="claims of the table")
    parser.add_argument("--power", type=float, default=0.8, help="target power")
    options = parser.parse_args(arguments)
    counts_fit = options.seeds >= 2 and options.networks >= 1 and options.claims >= 1
    if not (counts_fit and options.points > 0 and options.std > 0 and 0 < options.power < 1):
        parser.error("expected points and std above 0, 2 or more seeds, 1 or more networks and claims, power in (0, 1)")
    levels = {"first": ALPHA / options.claims, "last": ALPHA}
    design = {"networks": options.networks, "std": options.std}
    print(f"{options.points:g} points, {options.networks} networks with {options.seeds} seeds, std {options.std:g}:")
    for name, alpha in levels.items():
        value = power(options.points, seeds=options.seeds, alpha=alpha, **design)
        print(f"  power {value:.3f} as the {name} of {options.claims} claims, at {alpha:.5f}")
    print(f"Seeds per network for a power of {options.power:g}, as the first claim and as the last:")
    for points in sorted({0.2, 0.3, 0.5, options.points, 1.0, 2.0}):
        seeds = [seeds_needed(points, alpha=alpha, target=options.power, **design) for alpha in levels.values()]
        first, last = (str(count or f"more than {MAX_SEEDS}") for count in seeds)
        print(f"  {points:g} points: {first}, {last}")


if __name__ == "__main__":
    main()
