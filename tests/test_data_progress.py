import io

from rich.console import Console

from snapshot_cli.commands.data_progress import Downloads, files_read


def console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, force_interactive=terminal, width=100)


def test_a_line_for_every_download_off_a_terminal():
    out = console(terminal=False)
    with Downloads(out) as progress:
        for done in (0, 5, 10):
            progress("https://example.org/a/train.mat", done, 10_000_000)
        progress("https://example.org/a/test.mat", 0, None)
    assert out.file.getvalue() == (
        "downloading https://example.org/a/train.mat (10 MB)\ndownloading https://example.org/a/test.mat\n"
    )


def test_one_line_for_all_files_off_a_terminal():
    out = console(terminal=False)
    with files_read(out) as progress:
        progress(0, 1_331_167)
        progress(4096, 1_331_167)
    assert out.file.getvalue() == "reading 1,331,167 files\n"


def test_a_bar_of_files_on_a_terminal():
    out = console(terminal=True)
    with files_read(out) as progress:
        progress(0, 10)
        progress(4, 10)
    assert "4/10" in out.file.getvalue()


def test_nothing_where_no_file_is_read():
    for terminal in (False, True):
        out = console(terminal=terminal)
        with files_read(out):
            pass
        assert "reading" not in out.file.getvalue()


def test_a_download_has_the_terminal_before_files_are_read():
    out = console(terminal=True)
    with files_read(out) as progress:
        with Downloads(out) as downloads:
            downloads("https://example.org/a.zip", 1, 2)
        progress(0, 10)
