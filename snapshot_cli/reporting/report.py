"""Draw the tables and figures of studies from the available scores, as files and as one page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from snapshot_cli.analysis.outcomes import Outcome, collect, count_cells, relabel
from snapshot_cli.config import kinds
from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.drawn import Drawn, Request

INDEX = "drawn.json"
"""The file that stores, for every stem in a results folder, the number of scored cells in its table or figure."""


@dataclass(frozen=True)
class Sheet:
    """The tables and figures of a study, its experiments, and its command-line argument.

    `empty` has the stems of tables and figures without finished experiments.
    """

    study: Study
    argument: str | None
    drawn: Sequence[Drawn]
    outcomes: Sequence[Outcome]
    empty: Sequence[str] = ()

    @property
    def cells(self) -> int:
        """The number of scored cells of the study."""
        return count_cells(self.outcomes)


@dataclass(frozen=True)
class Written:
    """The written files, and the stems of the files that were kept because they show more scores."""

    paths: Sequence[Path]
    kept: Sequence[str]


def draw(study: Study, results: Path, dataset_hashes: Mapping[str, str], *, argument: str | None = None) -> Sheet:
    """Draw all tables and figures of a study from the scores in a results folder.

    `argument` is the argument of `snapshot reproduce` for this study, for messages about missing runs.
    """
    outcomes = collect(study, results, dataset_hashes)
    drawn = {
        stem: _draw(outcomes, drawing, Request(stem, study.title, argument)) for stem, drawing in study.render.items()
    }
    return Sheet(
        study,
        argument,
        [artifact for artifacts in drawn.values() for artifact in artifacts],
        outcomes,
        [stem for stem, artifacts in drawn.items() if not artifacts],
    )


def drawing_module(kind: str) -> Any:
    """Return the module of a kind of table or figure.

    It has `draw`, and may have `PER`, the settings that must be equal in one file, such as the network, and `NEEDS`,
    see `needs`.
    """
    return import_module(kinds.modules()[kind])


def needs(kind: str) -> str:
    """Return the requirement for drawing a kind of table or figure, in words."""
    return str(getattr(drawing_module(kind), "NEEDS", "a finished experiment"))


def _draw(outcomes: Sequence[Outcome], drawing: Drawing, request: Request) -> list[Drawn]:
    """Return the tables or figures of a drawing that show at least one scored cell."""
    shown = relabel([outcome for outcome in outcomes if drawing.shows(outcome.experiment)])
    return [artifact for artifact in drawing_module(drawing.kind).draw(shown, request) if artifact.cells]


def write(drawn: Iterable[Drawn], results: Path, *, force: bool = False) -> Written:
    """Write tables and figures into a results folder.

    Keeps files that show more scored cells than the new ones, unless `force` is set.
    """
    index = _read_index(results)
    paths: list[Path] = []
    kept: list[str] = []
    for artifact in drawn:
        stem = artifact.request.stem
        if _has_fewer_cells(artifact.cells, stem, index, results) and not force:
            kept.append(stem)
            continue
        paths += artifact.write(results)
        index[stem] = artifact.cells
    _write_index(index, results)
    return Written(paths, kept)


def write_page(sheets: Sequence[Sheet], results: Path, *, title: str, force: bool = False) -> Written:
    """Write report.html for studies; keeps a page that shows more scored cells, unless `force` is set."""
    from snapshot_cli.reporting import page

    cells = sum(sheet.cells for sheet in sheets)
    index, path = _read_index(results), results / "report.html"
    if _has_fewer_cells(cells, "report", index, results) and not force:
        return Written([], ["report"])
    content = page.page(sheets, title=title).encode()
    write_atomically(path, content)
    _write_index(index | {"report": cells}, results)
    return Written([path], [])


def _has_fewer_cells(cells: int, stem: str, index: Mapping[str, int], results: Path) -> bool:
    """Return whether the existing files of a stem show more cells."""
    return cells < index.get(stem, 0) and any(results.glob(f"{stem}.*"))


def _read_index(results: Path) -> dict[str, int]:
    try:
        index = json.loads((results / INDEX).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return (
        {str(stem): cells for stem, cells in index.items() if isinstance(cells, int)} if isinstance(index, dict) else {}
    )


def _write_index(index: Mapping[str, int], results: Path) -> None:
    if index:
        content = (json.dumps(dict(sorted(index.items())), indent=1) + "\n").encode()
        write_atomically(results / INDEX, content)
