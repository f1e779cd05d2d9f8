"""Draw the tables and figures of studies from the available scores, as files and as one page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from snapshot_cli.analysis.outcomes import Outcome, collect, count_cells, relabel
from snapshot_cli.config import kinds
from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.drawn import Drawn, Request

INDEX = "drawn.json"
"""The file that stores, for every table, figure and page of a results folder, what it shows."""
PAGE = "report.html"


class Shown(NamedTuple):
    """What a table, figure or page shows: the title of its study or its own, and the number of scored cells."""

    title: str
    cells: int


@dataclass(frozen=True)
class Sheet:
    """The tables and figures of a study, its experiments, and its command-line argument.

    `empty` has the tables and figures that show nothing, each with what it needs: "figure4 needs two budgets".
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
    """The written files, and the names of the tables, figures and pages that were kept because they show more."""

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
        [f"{stem} needs {needs(study.render[stem].kind)}" for stem, artifacts in drawn.items() if not artifacts],
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

    Keeps files that show more scored cells of the same study than the new ones, unless `force` is set.
    """
    index = _read_index(results)
    paths: list[Path] = []
    kept: list[str] = []
    for artifact in drawn:
        stem, shown = artifact.request.stem, Shown(artifact.request.title, artifact.cells)
        if any(results.glob(f"{stem}.*")) and _shows_less(shown, index.get(stem)) and not force:
            kept.append(stem)
            continue
        paths += artifact.write(results)
        index[stem] = shown
    _write_index(index, results)
    return Written(paths, kept)


def write_page(sheets: Sequence[Sheet], results: Path, *, title: str, force: bool = False) -> Written:
    """Write report.html for studies; keeps one of that title that shows more scored cells, unless `force` is set."""
    from snapshot_cli.reporting import page

    shown = Shown(title, sum(sheet.cells for sheet in sheets))
    index, path = _read_index(results), results / PAGE
    if path.exists() and _shows_less(shown, index.get(PAGE)) and not force:
        return Written([], [PAGE])
    content = page.page(sheets, title=title).encode()
    write_atomically(path, content)
    _write_index(index | {PAGE: shown}, results)
    return Written([path], [])


def _shows_less(new: Shown, old: Shown | None) -> bool:
    """Return whether the new one shows fewer cells of the same study."""
    return old is not None and new.title == old.title and new.cells < old.cells


def _read_index(results: Path) -> dict[str, Shown]:
    """Return what the index says; nothing for what is not an entry."""
    try:
        index = json.loads((results / INDEX).read_text("utf-8"))
        return {name: Shown(str(entry["title"]), int(entry["cells"])) for name, entry in index.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return {}


def _write_index(index: Mapping[str, Shown], results: Path) -> None:
    if index:
        entries = {name: shown._asdict() for name, shown in sorted(index.items())}
        write_atomically(results / INDEX, (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode())
