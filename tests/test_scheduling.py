import pytest

from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import scheduling


def test_longest_first_keeps_the_order_of_equals():
    assert scheduling.longest_first({"a": 1, "b": 3, "c": 1, "d": 2}) == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("costs", "count", "expected"),
    [
        ([5, 4, 3, 3, 3], 2, [[5, 3], [4, 3, 3]]),  # Graham's case: 10 where 9 is the best
        ([1, 1, 1, 1], 2, [[1, 1], [1, 1]]),
        ([7], 3, [[7], [], []]),
        ([], 1, [[]]),
        ([2, 9, 4], 1, [[9, 4, 2]]),
    ],
)
def test_shares(costs, count, expected):
    items = dict(enumerate(costs))
    lists = scheduling.shares(items, count)
    assert [[items[i] for i in each] for each in lists] == expected
    assert sorted(i for each in lists for i in each) == list(items)
    assert scheduling.shares(items, count) == lists


@pytest.mark.parametrize(
    ("durations", "workers", "expected"),
    [
        ([], 2, 0), ([3, 1, 2], 1, 6), ([3, 1, 2], 2, 3), ([1, 1, 4], 2, 5), ([4, 1, 1], 2, 4), ([2, 2], 9, 2),
    ],
)  # fmt: skip
def test_makespan(durations, workers, expected):
    assert scheduling.makespan(durations, workers) == expected


def test_parse_shard():
    assert scheduling.parse_shard("2/8") == (2, 8)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "1/2/3", "-1/4", "1.5/4", "", " 1/2"])
def test_what_is_no_shard(text):
    with pytest.raises(ConfigError) as error:
        scheduling.parse_shard(text)
    assert str(error.value) == f"--shard {text}: expected i/n with i from 1 to n, such as 1/8"
