"""The kinds of tables and figures: the names of the modules of `reporting.tables` and `reporting.figures`."""

from __future__ import annotations

import pkgutil
from importlib.util import find_spec

PACKAGES = {"table": "snapshot_cli.reporting.tables", "figure": "snapshot_cli.reporting.figures"}


def modules() -> dict[str, str]:
    """Return the drawing modules by kind, tables first; ensemble_size.py draws the kind ensemble-size."""
    return {kind: module for package in PACKAGES for kind, module in _kinds(package).items()}


def figures() -> list[str]:
    """Return the kinds that are figures."""
    return list(_kinds("figure"))


def _kinds(package: str) -> dict[str, str]:
    spec = find_spec(PACKAGES[package])
    assert spec is not None
    names = sorted(module.name for module in pkgutil.iter_modules(spec.submodule_search_locations))
    return {name.replace("_", "-"): f"{PACKAGES[package]}.{name}" for name in names}
