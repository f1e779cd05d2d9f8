"""The tables and figures of studies, drawn from whatever is scored, as files and as one page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from snapshot_cli.config import kinds
from snapshot_cli.config.study import Drawing, Study
from snapshot_cli.files import write_atomically
from snapshot_cli.reporting.drawn import Drawn, Request
from snapshot_cli.reporting.outcomes import Outcome, collect, relabel

INDEX = "drawn.json"
"""How many scored cells each table and figure in a folder of results rests on, by the stem of its files."""


@dataclass(frozen=True)
class Sheet:
    """Hold the tables and figures of a study, its experiments, and its name for people to type.

    `empty` are the stems of tables and figures of which nothing is finished.
    """

    study: Study
    called: str | None
    drawn: Sequence[Drawn]
    outcomes: Sequence[Outcome]
    empty: Sequence[str] = ()

    @property
    def cells(self) -> int:
        """The scored cells of the study."""
        return sum(len(outcome.scores) for outcome in self.outcomes)


@dataclass(frozen=True)
class Written:
    """Hold the files that were written, and the stems of those that were kept, as they rest on more scores."""

    paths: Sequence[Path]
    kept: Sequence[str]


def draw(study: Study, results: Path, dataset_hashes: Mapping[str, str], *, called: str | None = None) -> Sheet:
    """Return every table and figure that a study renders, from what is scored below a folder of results.

    `called` is what a person gives to `snapshot reproduce` for this study, told beside what is missing.
    """
    outcomes = collect(study, results, dataset_hashes)
    drawn = {
        stem: _draw(outcomes, drawing, Request(stem, study.title, called)) for stem, drawing in study.render.items()
    }
    return Sheet(
        study,
        called,
        [one for several in drawn.values() for one in several],
        outcomes,
        [stem for stem, several in drawn.items() if not several],
    )


def draw_kind(kind: str, outcomes: Sequence[Outcome], request: Request) -> list[Drawn]:
    """Return the tables or figures of a kind; none where nothing finished can be drawn."""
    drawn: list[Drawn] = import_module(kinds.modules()[kind]).draw(outcomes, request)
    return drawn


def fields_of_one(kind: str) -> tuple[str, ...]:
    """Return the settings of which one file of a kind shows one value, such as the network."""
    return getattr(import_module(kinds.modules()[kind]), "PER", ())


def needs(kind: str) -> str:
    """Return what a kind cannot be drawn without, in words."""
    return getattr(import_module(kinds.modules()[kind]), "NEEDS", "a finished experiment")


def _draw(outcomes: Sequence[Outcome], drawing: Drawing, request: Request) -> list[Drawn]:
    """Return the tables or figures of a drawing that rest on anything finished."""
    chosen = relabel([outcome for outcome in outcomes if drawing.shows(outcome.experiment)])
    return [one for one in draw_kind(drawing.kind, chosen, request) if one.cells]


def write(drawn: Iterable[Drawn], results: Path, *, force: bool = False) -> Written:
    """Write tables and figures into a folder of results.

    One whose files rest on more scored cells than now is kept, unless `force` is set.
    """
    index = _read_index(results)
    paths: list[Path] = []
    kept: list[str] = []
    for one in drawn:
        stem = one.request.stem
        if _is_poorer(one.cells, stem, index, results) and not force:
            kept.append(stem)
            continue
        paths += one.write(results)
        index[stem] = one.cells
    _write_index(index, results)
    return Written(paths, kept)


def write_page(sheets: Sequence[Sheet], results: Path, *, title: str, force: bool = False) -> Written:
    """Write report.html over the studies that have anything finished, unless it rests on more scored cells than now."""
    from snapshot_cli.reporting import page

    cells = sum(sheet.cells for sheet in sheets)
    index, path = _read_index(results), results / "report.html"
    if _is_poorer(cells, "report", index, results) and not force:
        return Written([], ["report"])
    content = page.page(sheets, title=title).encode()
    write_atomically(path, content)
    _write_index(index | {"report": cells}, results)
    return Written([path], [])


def _is_poorer(cells: int, stem: str, index: Mapping[str, int], results: Path) -> bool:
    """Return whether files of a stem are there that rest on more cells."""
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
