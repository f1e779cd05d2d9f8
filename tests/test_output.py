import io
import os
import select
import subprocess
import sys
import time

import pytest

from snapshot_cli import output
from snapshot_cli.__main__ import set_environment
from snapshot_cli.config import container

PRINT = """
import sys
from snapshot_cli import output
output.prepare()
{body}
sys.exit(output.finish(0))
"""


def run(body, *, to="", **environment):
    """Run a program that prints; return its exit code, output and errors. `to` is a redirection of a shell."""
    command = ["bash", "-c", f'exec "$@" {to}', "bash", sys.executable, "-c", PRINT.format(body=body)]
    done = subprocess.run(command, capture_output=True, check=False, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "iso8859-9", "gbk"])
def test_what_a_locale_cannot_print_is_replaced(encoding):
    code, out, errors = run("print('α₀ = 0.1'); print('₀', file=sys.stderr)", PYTHONIOENCODING=encoding)
    assert (code, out.decode(encoding)[1:], errors) == (0, "? = 0.1\n", b"?\n")


@pytest.mark.parametrize(("to", "words"), [("> /dev/full", "No space left on device"), (">&-", "closed")])
def test_an_output_that_cannot_be_written_is_named_in_a_line(to, words):
    line = f"standard output: {words}\n".encode()
    assert run("print(1)", to=to) == (1, b"", line)
    assert run("with output.optional(): print(1)\nprint(2)", to=to) == (0, b"", line)


@pytest.mark.parametrize("to", ["2> /dev/full", "2>&-"])
def test_messages_that_cannot_be_written_stop_nothing(to):
    assert run("print(1, file=sys.stderr, flush=True); print(2)", to=to) == (0, b"2\n", b"")


def test_files_do_not_take_the_numbers_of_closed_streams():
    assert run("print(open('/dev/null').fileno() > 2, file=sys.stderr)", to="<&- >&-")[2].startswith(b"True")


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["config", "show", "demo/snapshot"]])
def test_every_command_says_so(words):
    command = ["bash", "-c", 'exec "$@" > /dev/full', "bash", sys.executable, "-m", "snapshot_cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "standard output: No space left on device\n")


ENVIRONMENT = """
import os, sys
sys.argv = ["snapshot", "--version"]
from snapshot_cli.__main__ import main
try:
    main()
finally:
    print(*map(os.environ.get, ["MPLBACKEND", "PYTHONSAFEPATH", "COLUMNS", "LINES"]))
"""


def test_a_notebooks_backend_the_folders_modules_and_a_width_of_none_reach_no_process():
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "COLUMNS": "0", "LINES": "7"}
    done = subprocess.run([sys.executable, "-c", ENVIRONMENT], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[1:] == ["None 1 None 7"]


@pytest.mark.parametrize(
    ("given", "granted", "expected"),
    [
        ({"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_CPU_AFFINITY": "0-3"}, None, {}),
        ({"COLUMNS": "0", "LINES": "0"}, None, {}),
        ({"COLUMNS": "90", "LINES": "7"}, None, {"COLUMNS": "90", "LINES": "7"}),
        ({}, 0.5, {"OMP_NUM_THREADS": "1"}),
        ({"OMP_NUM_THREADS": "3"}, 0.5, {"OMP_NUM_THREADS": "3"}),
    ],
)
def test_what_clusters_terminals_and_containers_set(monkeypatch, given, granted, expected):
    monkeypatch.setattr(os, "environ", dict(given))
    monkeypatch.setattr(container, "processors", lambda: granted)
    set_environment()
    assert os.environ == expected | {"PYTHONSAFEPATH": "1"}


def test_an_output_that_another_program_made_non_blocking_loses_nothing():
    """As Node and some CI runners leave their pipes."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    size = 10 * select.PIPE_BUF * 16
    command = [sys.executable, "-c", PRINT.format(body=f"print('x' * {size})")]
    with subprocess.Popen(command, stdout=writing) as process, open(reading, "rb") as pipe:
        os.close(writing)
        while not pipe.read(1):
            pass
        time.sleep(0.05)  # the pipe is full by now
        assert len(pipe.read()) == size
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("environment", "file", "interactive"),
    [
        ({"TERM": "xterm"}, "tty", True),
        ({"TERM": "dumb"}, "tty", False),
        ({"TERM": "xterm"}, "pipe", False),
        ({"TERM": "xterm", "FORCE_COLOR": "1"}, "pipe", False),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_console_redraws_only_on_a_terminal_that_can(monkeypatch, environment, file, interactive, stream):
    for name in ("TERM", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = io.StringIO()
    text.isatty = lambda: file == "tty"
    monkeypatch.setattr(sys, stream, text)
    assert output.console(stderr=stream == "stderr").is_interactive is interactive
