"""Where the studies that come with the runner are, and the size that a file's place gives its results."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from snapshot_cli.errors import ConfigError

CHECKOUT = Path(__file__).parents[2]
SIZES = ("demo", "small")


def study_path(name: str) -> Path:
    """Return the file of a study, given its path or the bare name of one under configs/studies/ (table1, demo/table1).

    Raises ConfigError, naming the nearest study, for a name that is neither.
    """
    if name.endswith((".yaml", ".yml")) or Path(name).is_file():
        return Path(name)
    folders = [Path("configs/studies"), CHECKOUT / "configs/studies"]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    known = sorted({p.relative_to(f).with_suffix("").as_posix() for f in folders for p in f.rglob("*.yaml")})
    near = get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known) or 'none here'}."
    raise ConfigError(f"{name}: no such study; {hint} For a file of your own: give its path, ending in .yaml")


def bare_name(path: Path) -> str | None:
    """Return the name that a study under configs/studies/ goes by (table1, demo/table1), None for one elsewhere."""
    parts = path.resolve().with_suffix("").parts
    for place in range(len(parts) - 2, 0, -1):
        if parts[place - 1 : place + 1] == ("configs", "studies"):
            return "/".join(parts[place + 1 :])
    return None


def size(path: Path) -> str:
    """Return the folder of results/ for a file: demo or small by its folder, paper below configs/, else own."""
    parts = path.resolve().parts[:-1]
    if parts and parts[-1] in SIZES:
        return parts[-1]
    return "paper" if "configs" in parts else "own"
