import pytest

from snapshot_cli.words import counted, duration, some


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (60, "1 min 00 s"), (192.4, "3 min 12 s"),
        (3599, "59 min 59 s"), (3600, "1 h 00 min"), (7530, "2 h 05 min"), (86399, "23 h 59 min"), (86400, "1 d 00 h"),
        (273600, "3 d 04 h"),
    ],
)  # fmt: skip
def test_the_two_largest_units(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 runs"), (1, "1 run"), (2, "2 runs"), (1200, "1,200 runs")])
def test_only_one_is_singular(number, words):
    assert counted(number, "run") == words


def test_the_first_names_and_how_many_more():
    assert [some("abcde", most) for most in (5, 3)] == ["a, b, c, d, e", "a, b, c and 2 more"]
