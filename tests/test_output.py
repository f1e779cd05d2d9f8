import os
import subprocess
import sys

import pytest

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
    print(os.environ.get("MPLBACKEND"), os.environ.get("PYTHONSAFEPATH"))
"""


def test_a_notebooks_backend_and_the_folders_modules_reach_no_process():
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = subprocess.run([sys.executable, "-c", ENVIRONMENT], capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines()[1:] == ["None 1"]
