"""The parts of the benchmark that compute; its measurements are not part of the tests."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

from bench import marks, preparation  # noqa: E402
from bench.blocks import Estimate, Time, by_turns, estimate, ratio  # noqa: E402
from bench.contenders import Between  # noqa: E402
from bench.data import off_line  # noqa: E402
from bench.tables import MARKS, Row, merged, record, recorded, table  # noqa: E402


@pytest.mark.parametrize(
    ("count", "low", "high"), [(1, 0, 0), (5, 0, 4), (6, 0, 5), (9, 1, 7), (10, 1, 8), (12, 2, 9), (20, 5, 14)]
)
def test_estimate_takes_the_ranks_of_a_table_of_the_sign_test(count, low, high):
    assert estimate([*reversed(range(count))]) == Estimate((count - 1) / 2, low, high)


def test_ratio_is_taken_within_blocks():
    assert ratio([2, 40, 600], [1, 10, 100]) == Estimate(4, 2, 6)


def test_by_turns_begins_each_block_with_the_next_and_drops_the_first():
    order = []

    def work(name):
        order.append(name)
        return Time(len(order), 0)

    times = by_turns({name: lambda name=name: work(name) for name in "abc"}, blocks=3)
    assert "".join(order) == "cababcbcacab"
    assert [time.wall for time in times["a"]] == [4, 9, 11]


def test_between_hands_over_after_every_block_and_then_stops():
    calls = []
    watcher = Between(2, 3, {"other": lambda: calls.append(watcher.seen) or Time(1, 1)})
    while not watcher.enough():
        watcher.iteration(0, 0.1)
    assert calls == [2, 4, 6, 8]
    assert {name: len(times) for name, times in watcher.times.items()} == {"ours": 3, "other": 3}


def test_off_line():
    assert off_line((1, 2, 4), [3.0, 6.0, 12.0]) == pytest.approx(0)
    assert off_line((1, 1), [0.9, 1.1]) == pytest.approx(100 * (1 - 0.9 * 2 / (0.9**2 + 1.1**2)))


ROWS = [
    Row("a / b", Estimate(0.96, 0.9, 0.98), Estimate(0.95, 0.9, 1), least=0.97),
    Row("slow", Estimate(20, 16, 21), unit="s", most=15, when="24 November 2026, load 0.1 to 0.2"),
    Row("speed", Estimate(1234.5, 1000, 2000), unit="images/s"),
]


def test_a_goal_is_met_when_the_interval_reaches_it():
    assert [row.met for row in ROWS] == [True, False, None]


def test_table():
    stored = json.loads(json.dumps({"machine": "A machine.", "rows": [record(row) for row in ROWS]}))
    assert [recorded(values) for values in stored["rows"]] == ROWS
    on_gpu = {"machine": "A card", "rows": [record(Row("slow", Estimate(1, 1, 1), unit="s"))]}
    assert table(stored, on_gpu).splitlines() == [
        "A machine.; on a GPU: A card",
        "",
        "| measured | median | interval | by CPU time | goal | met | measured on | on a GPU |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| a / b | 0.96 | 0.9 to 0.98 | 0.95 | at least 0.97 | yes |  | not measured on a GPU |",
        "| slow | 20 s | 16 to 21 |  | at most 15 | no | 24 November 2026, load 0.1 to 0.2 | 1 s |",
        "| speed | 1,234 images/s | 1,000 to 2,000 |  |  |  |  | not measured on a GPU |",
    ]


def test_a_gpus_own_table_has_no_column_for_it():
    stored = {"machine": "A card", "rows": [record(ROWS[1])]}
    assert table(stored, gpu_column=False).splitlines() == [
        "A card",
        "",
        "| measured | median | interval | by CPU time | goal | met | measured on |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| slow | 20 s | 16 to 21 |  | at most 15 | no | 24 November 2026, load 0.1 to 0.2 |",
    ]


def test_rows_are_merged_by_name_and_only_on_one_machine():
    earlier = {"machine": "A", "rows": [{"name": "x", "wall": 1}, {"name": "y", "wall": 1}]}
    new = {"machine": "A", "rows": [{"name": "y", "wall": 2}, {"name": "z", "wall": 2}]}
    assert merged(earlier, new) == {"machine": "A", "rows": [earlier["rows"][0], *new["rows"]]}
    assert merged(earlier, new | {"machine": "B"}) == new | {"machine": "B"}
    assert merged(None, new) == new


def test_insert(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- make bench -->\nold\n<!-- end -->\nold\n")
    marks.insert(page, "new\n", *MARKS)
    assert page.read_text() == "before\n<!-- make bench -->\nnew\n<!-- end -->\nold\n"
    assert marks.inserted(page, *MARKS) == "new\n"


@pytest.mark.parametrize("text", ["all\n", "a\n<!-- make bench -->\nthe rest\n", "a\n<!-- end -->\nthe rest\n"])
def test_a_document_without_both_marks_stays_as_it_is(tmp_path, text):
    page = tmp_path / "page.md"
    page.write_text(text)
    message = f"{page}: has no <!-- make bench --> with <!-- end --> below it"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        marks.insert(page, "new\n", *MARKS)
    assert page.read_text() == text


def test_the_rows_of_prepare_on_a_few_images():
    speed, _, above, loaded = preparation.rows(train=60, test=20, train_size=40, passes=1)
    assert speed.name == "data prepare of 80 JPEGs in a zip"
    assert speed.wall.median > 0
    assert speed.cpu.median > 0
    assert loaded.name == "train_size 40 of 60: memory"
    assert (above.most, loaded.most) == (0.3, 0.1)
    assert 0 < above.wall.median < 1
    assert 0 < loaded.wall.median < 1


def test_one_page_shows_the_table_that_was_measured():
    kept = {path.stem: json.loads(path.read_text()) for path in (ROOT / "results/bench").glob("*.json")}
    assert marks.inserted(ROOT / "docs/performance.md", *MARKS) == table(kept["cpu"], kept.get("cuda"))
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert [page.name for page in pages if MARKS[0] in page.read_text()] == ["performance.md"]
