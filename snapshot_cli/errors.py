"""Errors that a person can fix, in words; any other exception is a bug."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

# control characters, ends of lines, changes of direction, and what Python makes of bytes that are no UTF-8
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Escape control characters, so that a file name cannot control the terminal."""
    return CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


class UserError(Exception):
    """Say what happened, where, and what to type next."""

    exit_code = 1


class ConfigError(UserError):
    """Say what is wrong in a configuration or on the command line: one line a mistake, all mistakes at once."""

    exit_code = 2


class Stopped(UserError):
    """Training was stopped on request, and a checkpoint is saved."""

    exit_code = 75


def words_of(error: UserError | OSError) -> str:
    """Return an error as a line, with the file if the system raised it."""
    if not isinstance(error, OSError):
        return str(error)
    return reason(error) if error.filename is None else f"{error.filename}: {reason(error)}"


def reason(problem: object) -> str:
    """Return an exception or a message on one line: what the system says, else the text, else the kind of exception."""
    return " ".join(str(getattr(problem, "strerror", None) or problem).split()) or type(problem).__name__


def command(*words: str | Path) -> str:
    """Return a `snapshot` command to type."""
    return f"snapshot {arguments(*words)}"


def arguments(*words: str | Path) -> str:
    """Return arguments of a command to type: quoted for a shell, a path that begins with - after ./"""
    return shlex.join(map(as_argument, words))


def as_argument(word: str | Path) -> str:
    """Return a word as an argument; a path that begins with - gets ./ in front, or it would be an option."""
    return f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)


def unfinished_run(directory: Path) -> UserError:
    """Return the error for a run that is not finished."""
    return UserError(f"{directory}: training is not finished; type {command('train', directory)}")


def other_images(directory: Path, dataset: str) -> UserError:
    """Return the error for a run that was trained on other images than those prepared now."""
    return UserError(
        f"{directory}: was trained on other images than those prepared as '{dataset}' now; "
        f"prepare the dataset that it was trained on, or delete the directory and train it again"
    )


def other_dataset(directory: Path, dataset: str, first: Path, expected: str) -> UserError:
    """Return the error for a member that was trained on another dataset than the first."""
    return UserError(f"{directory}: was trained on {dataset}, but {first} on {expected}; an ensemble needs one dataset")
