"""The parts of the benchmark that compute; its measurements are not part of the tests."""

import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import benchmark  # noqa: E402
from bench import images, marks, packing, preparation  # noqa: E402
from bench.blocks import Estimate, Time, by_turns, estimate, ratio  # noqa: E402
from bench.contenders import Between, Way, _called, _least  # noqa: E402
from bench.data import off_line  # noqa: E402
from bench.tables import MARKS, Row, merged, record, recorded, table  # noqa: E402

from snapshot_cli.training import hardware  # noqa: E402


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
    callback = Between(2, 3, {"other": lambda: calls.append(callback.seen) or Time(1, 1)})
    while not callback.enough():
        callback.on_step(0, 0.1)
    assert calls == [2, 4, 6, 8]
    assert {name: len(times) for name, times in callback.times.items()} == {"ours": 3, "other": 3}


CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_rows_are_named_for_the_way_of_training():
    assert Way("resnet-8", CPU).name == "resnet-8"
    assert Way("resnet-8", GPU, "bfloat16", compile=True).name == "resnet-8, bfloat16, compiled"
    assert _called("plain", Way("resnet-8", CPU)) == "plain"
    assert _called("plain", Way("resnet-8", CPU, "bfloat16")) == "plain in float32"


@pytest.mark.parametrize(("unit", "least"), [("AMX", 4.0), ("AVX512-BF16", 2.5), (None, None)])
def test_the_goal_of_bfloat16_is_that_of_the_processor(monkeypatch, unit, least):
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: unit)
    assert _least("plain", Way("wide-resnet-32-4", CPU, "bfloat16")) == least
    assert _least("plain", Way("wide-resnet-32-4", CPU)) == 1.0
    assert _least("limit", Way("wide-resnet-32-4", GPU, "bfloat16")) == 0.95


def parts(monkeypatch, device, *words):
    monkeypatch.setattr(images, "prepared", lambda: None)
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    return list(benchmark._parts(benchmark._options(), device))


def test_what_a_gpu_measures_and_in_which_order(monkeypatch):
    networks = ("resnet-110", "densenet-40-12", "wide-resnet-32-4")
    assert parts(monkeypatch, GPU) == [
        *(f"networks {network}" for network in networks),
        *(f"bfloat16 {network}" for network in networks),
        "packing resnet-110 bfloat16",
        *(f"compiled {network} bfloat16" for network in networks),
        *(f"compiled {network} float32" for network in networks),
    ]


def test_what_a_cpu_measures(monkeypatch):
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: None)
    assert {name.split()[0] for name in parts(monkeypatch, CPU)} == {*benchmark.PARTS} - {"bfloat16", "compiled"}
    assert parts(monkeypatch, CPU, "--parts", "compiled", "--networks", "resnet-8") == [
        "compiled resnet-8 bfloat16", "compiled resnet-8 float32",
    ]  # fmt: skip
    monkeypatch.setattr(hardware, "bfloat16_unit", lambda: "AMX")
    assert parts(monkeypatch, CPU, "--parts", "bfloat16", "--networks", "resnet-8") == ["bfloat16 resnet-8"]


@pytest.fixture
def turns(monkeypatch):
    """Let trainings side by side have a speed of 10 images/s, and 4 for each further one; return who had a turn."""
    order = []

    @contextmanager
    def waiting(way, threads):
        yield [*threads]

    monkeypatch.setattr(packing, "_waiting", waiting)
    monkeypatch.setattr(packing, "_together", lambda workers, steps: order.append(workers) or 6 + 4 * len(workers))
    return order


def test_packing_on_a_cpu_alternates_and_drops_the_first_round(turns):
    (row,) = packing.on_cpu("resnet-20", "bfloat16", blocks=2)
    assert (row.name, row.wall) == (
        "resnet-20, bfloat16: two runs of one thread / one of two",
        Estimate(1.4, 1.4, 1.4),
    )
    assert turns == [[1, 1], [2], [2], [1, 1], [1, 1], [2]]


def test_packing_on_a_gpu_has_a_goal_for_eight_runs(turns):
    rows = packing.on_gpu("resnet-110", "bfloat16", blocks=1)
    assert [row.name.removeprefix("resnet-110, bfloat16: ") for row in rows] == [
        "1 on one GPU", "2 on one GPU", "2 on one GPU / 1", "4 on one GPU", "4 on one GPU / 1", "8 on one GPU",
        "8 on one GPU / 1",
    ]  # fmt: skip
    assert (rows[-1].wall.median, rows[-1].met) == (3.8, True)


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


def test_the_rows_of_a_part_replace_all_of_its_earlier_rows_on_one_machine():
    earlier = {"machine": "A", "rows": [{"name": "old name", "part": "report"}, {"name": "x", "part": "data"}]}
    new = {"machine": "A", "rows": [{"name": "new name", "part": "report"}, {"name": "z", "part": "linear"}]}
    assert merged(earlier, new) == {"machine": "A", "rows": [earlier["rows"][1], *new["rows"]]}
    assert merged(earlier, new | {"machine": "B"}) == new | {"machine": "B"}
    assert merged(None, new) == new


def test_a_row_that_was_stored_without_its_part_is_replaced_by_its_name():
    earlier = {"machine": "A", "rows": [{"name": "x"}, {"name": "y"}]}
    new = {"machine": "A", "rows": [{"name": "y", "part": "data"}]}
    assert merged(earlier, new)["rows"] == [{"name": "x"}, {"name": "y", "part": "data"}]


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
