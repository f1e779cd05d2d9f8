"""Standard output and error: printable in any locale, with an error in words if they are full or closed."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console

NAME = "standard output"
CLOSED = "closed"


class _Output(io.TextIOWrapper):
    """Text whose errors name standard output; click handles a closed pipe."""

    def write(self, text: str, /) -> int:
        with _named():
            return super().write(text)

    def flush(self) -> None:
        with _named():
            super().flush()


class _Messages(io.TextIOWrapper):
    """Text that is dropped if it cannot be written: messages stop no work."""

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


class _Patient(io.FileIO):
    """A standard stream; waits where another program has made it non-blocking and its reader is slow."""

    def write(self, data: ReadableBuffer, /) -> int:
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


class _Closed(io.RawIOBase):
    """A standard output that the caller closed."""

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        raise OSError(errno.EBADF, CLOSED)


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console for progress and tables, which redraws only on a terminal.

    FORCE_COLOR, as CI systems set it, colours what goes into a file but must not make it live; TERM=dumb cannot redraw.
    """
    from rich.console import Console

    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, quiet=quiet, force_interactive=None if is_terminal else False)


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, NAME) from None


def prepare() -> None:
    """Replace characters that the locale cannot print, name standard output in errors, and let stderr raise none."""
    stdout, stderr = sys.stdout, sys.stderr
    _occupy()
    sys.stdout = _text(_Output, _Closed() if stdout is None else _raw(1), stdout)
    sys.stderr = _text(_Messages, _raw(2), stderr)


def finish(code: int) -> int:
    """Flush standard output and return the exit code; 1 instead of 0 if that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard()
        if code == 0:
            print(f"{error.filename or NAME}: {error.strerror}", file=sys.stderr)
            return 1
    return code


@contextmanager
def optional() -> Iterator[None]:
    """Continue, after a line on stderr, if standard output cannot be written."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename != NAME:
            raise
        _discard()
        print(f"{NAME}: {error.strerror}", file=sys.stderr)


def _discard() -> None:
    """Drop what is buffered and all later output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = _text(_Output, _raw(1), sys.stdout)


def _occupy() -> None:
    """Open /dev/null in place of closed standard streams: later files must not get their numbers."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _raw(descriptor: int) -> io.FileIO:
    """Return a standard stream, in C unless it is non-blocking: a signal between two lines of `_Patient.write` raises.

    What is written by then would be written again at the exit.
    """
    kind = io.FileIO if os.get_blocking(descriptor) else _Patient
    return kind(descriptor, "w", closefd=False)


def _text(kind: type[io.TextIOWrapper], raw: io.RawIOBase, like: TextIO | None) -> TextIO:
    """Return a text stream with the buffering and encoding of another."""
    encoding = "utf-8" if like is None else like.encoding
    by_line = like is not None and (like.isatty() or getattr(like, "line_buffering", False))
    return kind(io.BufferedWriter(raw), encoding=encoding, errors="replace", line_buffering=by_line)
