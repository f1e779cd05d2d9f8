import pytest

from snapshot_cli.reporting.threads import in_threads


def test_results_are_in_order():
    assert in_threads(lambda x: x**2, range(20)) == [x**2 for x in range(20)]
    assert in_threads(len, []) == []


def test_the_first_items_error_is_raised():
    def work(item):
        if item in (3, 7):
            raise ValueError(item)

    with pytest.raises(ValueError, match="3"):
        in_threads(work, range(10))
