"""How often the tables' rule decides a true difference, and how many seeds that takes: python scripts/power.py.

The rule is `snapshot_cli.analysis.statistics.judge`: a t test of differences paired by seed and pooled over networks,
with Holm's correction over the claims of a table. The claim with the smallest p is tested at 0.05 / claims, the last
one at 0.05 when all others hold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from scipy.stats import nct, t

from snapshot_cli.analysis.statistics import ALPHA, MIN_SEEDS

MOST = 1000


def power(points: float, *, seeds: int, networks: int, std: float, alpha: float) -> float:
    """Return the probability of a yes for a true difference in points, of some std over seeds."""
    freedom = networks * (seeds - 1)
    shift = points / (std / math.sqrt(networks * seeds))
    return float(nct.sf(t.isf(alpha / 2, freedom), freedom, shift))


def seeds_needed(points: float, *, networks: int, std: float, alpha: float, wanted: float) -> int | None:
    """Return the fewest seeds of every network with a wanted power, None above a thousand."""
    for seeds in range(MIN_SEEDS, MOST + 1):
        if power(points, seeds=seeds, networks=networks, std=std, alpha=alpha) >= wanted:
            return seeds
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the power of one plan, and the seeds that other differences would take."""
    assert __doc__
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--points", type=float, default=0.9, help="the true difference of errors")
    parser.add_argument("--seeds", type=int, default=5, help="of every network")
    parser.add_argument("--networks", type=int, default=3, help="that are pooled")
    parser.add_argument("--std", type=float, default=0.6, help="of a seed's difference, in points")
    parser.add_argument("--claims", type=int, default=8, help="of the family")
    parser.add_argument("--power", type=float, default=0.8, help="that is wanted")
    given = parser.parse_args(arguments)
    levels = {"first": ALPHA / given.claims, "last": ALPHA}
    plan = {"networks": given.networks, "std": given.std}
    print(f"{given.points:g} points, {given.seeds} seeds of {given.networks} networks, std {given.std:g}:")
    for name, alpha in levels.items():
        value = power(given.points, seeds=given.seeds, alpha=alpha, **plan)
        print(f"  power {value:.3f} as the {name} of {given.claims} claims, at {alpha:.5f}")
    print(f"Seeds of each network for a power of {given.power:g}, as the first claim and as the last:")
    for points in sorted({0.2, 0.3, 0.5, given.points, 1.0, 2.0}):
        seeds = [seeds_needed(points, alpha=alpha, wanted=given.power, **plan) for alpha in levels.values()]
        first, last = (str(each or f"more than {MOST}") for each in seeds)
        print(f"  {points:g} points: {first}, {last}")


if __name__ == "__main__":
    main()
