"""Choose the network and budget of the demo by the rule in configs/studies/demo/pilot.yaml, on withheld images.

snapshot reproduce demo/pilot && snapshot eval demo/pilot --json | python scripts/demo_pilot.py
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any

Errors = dict[tuple[str, int], dict[str, float]]
"""The mean error of every method, in percent, by network and budget."""
SNAPSHOTS = ("snapshot 0.1", "snapshot 0.2")
OTHERS = ("single", "dropout", "nocycle", "singlecycle")


def mean_errors(cells: Iterable[Mapping[str, Any]]) -> Errors:
    """Return the mean error of whole ensembles over splits and seeds; ValueError for cells scored on test images."""
    errors: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        if cell["split"] != "holdout":
            raise ValueError(f"expected errors on withheld images, given {cell['split']}")
        name = f"snapshot {cell['alpha0']:g}" if cell["method"] == "snapshot" else cell["method"]
        errors[cell["network"], cell["budget"]][name].append(cell["ensembles"][-1]["top1_error"])
    return {design: {name: mean(values) for name, values in methods.items()} for design, methods in errors.items()}


def margin(methods: Mapping[str, float]) -> float:
    """Return the points by which the mean of the two Snapshots is below the best method of equal cost."""
    return min(methods[name] for name in OTHERS) - mean(methods[name] for name in SNAPSHOTS)


def main() -> None:
    """Print the errors, the margins and the choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    try:
        errors = mean_errors(json.load(sys.stdin)["cells"])
    except (ValueError, LookupError, TypeError) as problem:
        parser.error(f"standard input: expected the output of snapshot eval --json ({problem})")
    for (network, budget), methods in errors.items():
        values = "  ".join(f"{name} {error:.2f}" for name, error in methods.items())
        print(f"{network}, B = {budget}: {values}  margin {margin(methods):+.2f}")
    network, budget = max(errors, key=lambda design: margin(errors[design]))
    print(f"chosen: {network}, B = {budget}")


if __name__ == "__main__":
    main()
