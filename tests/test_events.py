import io
from itertools import pairwise

import numpy as np
import pytest
from event_files import read, scalars, settings
from PIL import Image

from snapshot_cli.errors import UserError
from snapshot_cli.tracking import events
from snapshot_cli.tracking.curves import Point
from snapshot_cli.tracking.event_file import extend

POINTS = [Point(10, 103.5, {"a": 1 / 3, "b/c": -2.0}), Point(20, 107.0, {"a": float("nan")}), Point(5, 108.0, {"d": 4})]


def test_what_tensorboard_reads(tmp_path):
    given = {"method": "snapshot", "cycles": 4, "alpha0": 0.2, "nesterov": True}
    extend(tmp_path, events.session_file("mine", given, POINTS, start=100.0))
    found = scalars(tmp_path)
    assert {tag: [step for step, _ in points] for tag, points in found.items()} == {
        "a": [10, 20],
        "b/c": [10],
        "d": [5],
    }
    assert found["a"][0][1] == np.float32(1 / 3)
    assert np.isnan(found["a"][1][1])
    assert [event.wall_time for event in read(tmp_path).Scalars("a")] == [103.5, 107.0]
    assert settings(tmp_path) == given


def test_more_points_only_add_bytes():
    given = dict.fromkeys("abcdefghijklm", 1)
    parts = [events.session_file("mine", given, POINTS[:k], start=100.0) for k in range(4)]
    assert all(longer.startswith(shorter) for shorter, longer in pairwise(parts))
    assert len(set(map(len, parts))) == 4
    assert events.session_file("mine", dict(reversed(given.items())), POINTS, start=100.0) == parts[3]


def test_a_tensorboard_that_reads_on_forgets_what_was_replaced(tmp_path):
    extend(tmp_path, events.session_file("mine", {}, POINTS, start=100.0))
    reader = read(tmp_path)
    extend(tmp_path, events.session_file("mine", {}, [Point(10, 103.5, {"a": 7.0})], start=100.0))
    reader.Reload()
    assert [(event.step, event.value) for event in reader.Scalars("a")] == [(10, 7.0)]


def test_pictures(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(content, "PNG")
    extend(tmp_path, events.picture_file({"figures/one": content.getvalue()}, time=5.0))
    (image,) = read(tmp_path).Images("figures/one")
    assert (image.width, image.height, image.encoded_image_string) == (30, 20, content.getvalue())


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(events, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        events.require()
    assert str(caught.value) == (
        "snapshot tensorboard needs tensorboard, which is not installed; type: pip install 'snapshot-cli[tensorboard]'"
    )
