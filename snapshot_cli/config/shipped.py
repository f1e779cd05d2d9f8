"""Find the shipped experiments and studies by name, and the results folder that belongs to a file."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from snapshot_cli.errors import ConfigError
from snapshot_cli.files import find

# The folder with configs/: the checkout, which the package links to, or the package, if installed from a wheel.
CHECKOUT = (Path(__file__).parents[1] / "configs").resolve().parent
SIZES = ("demo", "small", "medium")
RUN_CONFIG = "config.yaml"  # in every run directory


def study_path(name: str) -> Path:
    """Return the file of a study, given its path or the bare name of one under configs/studies/ (table1, demo/table1).

    The file of an experiment or run directory is returned, too, so that the caller can say what to type for it. Raises
    ConfigError, naming the nearest study, for any other name.
    """
    if name.endswith((".yaml", ".yml")) or Path(name).is_file():
        return Path(name)
    for folder in _folders("studies"):
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    if config_path(name).is_file():
        return config_path(name)
    in_folder = [study for study in studies() if study.startswith(f"{name}/")]
    near = get_close_matches(name, in_folder or studies(), 1)
    names = f"expected {', '.join(in_folder)}." if in_folder else "snapshot list studies shows the names."
    hint = f"did you mean '{near[0]}'?" if near else names
    raise ConfigError(f"{name}: no such study; {hint} For a file of your own: give its path, ending in .yaml")


def studies() -> list[str]:
    """Return the bare names of all studies, as `study_path` takes them."""
    return _names("studies")


def experiments() -> list[str]:
    """Return the bare names of all experiments, as `config_path` takes them: demo/snapshot."""
    return [name for name in _names(".") if not name.startswith("studies/")]


def config_path(name: str) -> Path:
    """Return the file that a path, a run directory or the bare name of an experiment or study stands for."""
    if is_run_directory(name) and (Path(name) / RUN_CONFIG).is_file():
        return Path(name) / RUN_CONFIG
    return (None if Path(name).is_file() else _shipped(name)) or Path(name)


def is_run_directory(name: str) -> bool:
    """Return whether a name is a run directory's: a folder that has a config.yaml or no shipped file's name."""
    path = Path(name)
    return path.is_dir() and ((path / RUN_CONFIG).is_file() or _shipped(name) is None)


def _shipped(name: str) -> Path | None:
    files = (folder / f"{name}.yaml" for kind in (".", "studies") for folder in _folders(kind))
    return next((file for file in files if file.is_file()), None)


def name_of(path: Path) -> Path | str:
    """Return the bare name of a shipped file if it leads back there, else the path."""
    for kind in ("studies", "."):
        for folder in _folders(kind):
            if path.is_relative_to(folder):
                name = path.relative_to(folder).with_suffix("").as_posix()
                return name if config_path(name) == path else path
    return path


def nearest(path: Path) -> str:
    """Return the end of a message `no such file`: the nearest name, if there is one."""
    if path.suffix:
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], 1)
        return f"; did you mean '{path.parent / near[0]}'?" if near else ""
    meant = get_close_matches(str(path), experiments() + studies(), 1)
    hint = f"did you mean '{meant[0]}'?" if meant else "snapshot list shows the names"
    return f", run directory or name; {hint}"


def _names(kind: str) -> list[str]:
    folders = _folders(kind)
    return sorted({p.relative_to(f).with_suffix("").as_posix() for f in folders for p in find(f, "*.yaml")})


def _folders(kind: str) -> list[Path]:
    """Return where to look, the working folder first."""
    return [Path("configs") / kind, CHECKOUT / "configs" / kind]


def bare_name(path: Path) -> str | None:
    """Return the name that a study under configs/studies/ goes by (table1, demo/table1), None for one elsewhere."""
    parts = path.resolve().with_suffix("").parts
    for place in range(len(parts) - 2, 0, -1):
        if parts[place - 1 : place + 1] == ("configs", "studies"):
            return "/".join(parts[place + 1 :])
    return None


def size(path: Path) -> str:
    """Return the folder of results/ for a file: demo, small or medium by its folder, paper below configs/, else own."""
    parts = path.resolve().parts[:-1]
    if parts and parts[-1] in SIZES:
        return parts[-1]
    return "paper" if "configs" in parts else "own"


def results_folder(file: Path, results: Path | None) -> Path:
    """Return --results-dir, else the folder that a run's config.yaml is in, else results/SIZE by the file's folder.

    Raises ConfigError if --results-dir is a file.
    """
    if results is not None:
        if results.exists() and not results.is_dir():
            raise ConfigError(f"{results}: not a folder; give another --results-dir")
        return results
    path = file if len(file.parents) > 3 and ".." not in file.parts else Path(os.path.abspath(file))
    if path.name == "config.yaml" and len(path.parents) > 3 and path.parents[2].name == "runs":
        return path.parents[3]
    return Path("results") / size(file)
