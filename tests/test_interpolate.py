import csv

import numpy as np
import pytest
import torch

from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.batches import build_feeds
from snapshot_cli.errors import Stopped, UserError
from snapshot_cli.launch import in_process
from snapshot_cli.launch.progress import Lines
from snapshot_cli.networks import build
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import interpolate, loop
from snapshot_cli.training.predict import predict

CPU = torch.device("cpu")


class Silent(Lines):
    def __init__(self):
        pass

    def on_start(self, done, steps, epoch_length):
        pass

    def on_epoch(self, row):
        pass


@pytest.fixture(scope="module")
def trained(tiny_run, tiny_dataset, tmp_path_factory):
    """A finished run of M = 2 whose snapshots have different errors, with batch norm that matters to them."""
    run = tiny_run(dropout=0.2, budget=2, alpha0=0.5)
    directory = RunDirectory.of(run, tmp_path_factory.mktemp("results"))
    directory.start(run, {"dataset_hash": tiny_dataset.manifest.content_hash})
    loop.train(run, tiny_dataset, directory, Machine(device="cpu"), callback=Silent())
    return run, directory


def states(run, dataset, directory):
    network = build(run.network, 4, 8, run.dropout)
    return network, [interpolate._state(network, directory, k) for k in (1, 2)]


def test_rows_at_the_ends_and_between(trained, tiny_dataset):
    run, directory = trained
    interpolate.interpolate(run, tiny_dataset, directory, Machine(device="cpu"))
    assert directory.has_interpolation
    rows = directory.interpolation()
    assert [row[:3] for row in rows] == [
        (1, k / 10, statistics) for k in range(11) for statistics in ("mixed", "final", "reestimated")
    ]
    labels = directory.labels("test")
    last = 100 * float(np.mean(directory.predictions("test", 2).argmax(1) != labels))
    first = 100 * float(np.mean(directory.predictions("test", 1).argmax(1) != labels))
    assert rows[-2] == (1, 1.0, "final", last)
    assert [rows[0], rows[-3]] == [(1, 0.0, "mixed", first), (1, 1.0, "mixed", last)]
    assert len({first, last, rows[1][3]}) == 3  # the last snapshot's statistics give another error than its own

    network, (earlier, second) = states(run, tiny_dataset, directory)
    batches = build_feeds(run, tiny_dataset, device=CPU)
    half = dict(second)
    for name in second:
        if "running" not in name and "batches" not in name:
            half[name] = 0.5 * earlier[name] + 0.5 * second[name]
    network.load_state_dict(half)
    wrong = predict(network, batches["test"]).argmax(1) != labels
    assert rows[16] == (1, 0.5, "final", pytest.approx(100 * wrong.mean()))
    interpolate.reestimate(network, batches["train"])
    wrong = predict(network, batches["test"]).argmax(1) != labels
    assert rows[17] == (1, 0.5, "reestimated", pytest.approx(100 * wrong.mean()))
    with (directory.path / "interpolation.csv").open() as file:
        assert next(csv.reader(file)) == ["snapshot", "lambda", "statistics", "test_error"]


def test_a_point_between_is_mixed_by_hand():
    earlier = {
        "w": torch.tensor([2.0]),
        "n.running_mean": torch.tensor([8.0]),
        "n.num_batches_tracked": torch.tensor(3),
    }
    last = {"w": torch.tensor([4.0]), "n.running_mean": torch.tensor([1.0]), "n.num_batches_tracked": torch.tensor(9)}
    for names, running_mean in ((["w"], 1.0), (["w", "n.running_mean"], 6.25)):
        state = interpolate.mixed(earlier, last, 0.25, names)
        assert {name: float(value) for name, value in state.items()} == {
            "w": 2.5, "n.running_mean": running_mean, "n.num_batches_tracked": 9.0,
        }  # fmt: skip


def test_statistics_are_the_mean_over_batches_weighted_by_size(tiny_run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(interpolate, "BATCH_SIZE", 40)  # 90 images: 40, 40, 10
    batches = build_feeds(tiny_run(), tiny_dataset, device=CPU)["train"]
    network = build("resnet-8", 4, 8)
    momentum = network.norm.momentum
    interpolate.reestimate(network, batches)
    with torch.inference_mode():
        maps = [network.conv(images) for images, _ in batches.evaluation(40)]
    means = torch.stack([each.mean((0, 2, 3)) for each in maps])
    variances = torch.stack([each.var((0, 2, 3)) for each in maps])
    weights = torch.tensor([40.0, 40.0, 10.0])[:, None] / 90
    torch.testing.assert_close(network.norm.running_mean, (weights * means).sum(0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.norm.running_var, (weights * variances).sum(0), rtol=1e-4, atol=1e-5)
    assert (network.norm.momentum, network.training, network.norm.training) == (momentum, False, False)


def test_statistics_of_maps_of_one_value_where_one_image_would_be_left_over(tiny_run, tiny_dataset, monkeypatch):
    """ResNets halve the side of a map twice: images of 4x4 end in maps of 1x1."""
    monkeypatch.setattr(interpolate, "BATCH_SIZE", 16)
    batches = build_feeds(tiny_run(), tiny_dataset, device=CPU)["train"].at(torch.arange(33))

    class Small:
        examples = 33

        def evaluation(self, size):
            return ((images[..., :4, :4], labels) for images, labels in batches.evaluation(size))

    network = build("resnet-8", 4, 4)
    interpolate.reestimate(network, Small())
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())


def test_the_subset_is_the_same_every_time_and_no_larger_than_asked(tiny_run, tiny_dataset, monkeypatch):
    monkeypatch.setattr(interpolate, "IMAGES", 7)
    batches = build_feeds(tiny_run(), tiny_dataset, device=CPU)["train"]
    one, two = (interpolate._subset(batches, seed=0) for _ in range(2))
    assert one.examples == 7
    assert torch.equal(one.labels, two.labels)
    ((images, _),) = one.evaluation(10)
    whole = torch.cat([part for part, _ in batches.evaluation(90)])
    assert all(any(torch.equal(image, each) for each in whole) for image in images)


def test_stopping_stores_nothing(tiny_run, tiny_dataset, trained, tmp_path):
    run, directory = trained
    before = (directory.path / "manifest.json").read_bytes()
    with pytest.raises(Stopped):
        interpolate.interpolate(run, tiny_dataset, directory, Machine(device="cpu"), stop=lambda: True)
    assert (directory.path / "manifest.json").read_bytes() == before


def test_weights_that_were_not_kept(tiny_run, tiny_dataset, tmp_path):
    run = tiny_run()
    directory = RunDirectory.of(run, tmp_path)
    directory.start(run, {})
    directory.finish({})
    with pytest.raises(UserError, match="the weights of this snapshot were not kept"):
        interpolate.interpolate(run, tiny_dataset, directory, Machine(device="cpu"))
    assert not directory.has_interpolation


def test_the_step_is_done_once_and_only_for_several_snapshots(tiny_run, tiny_data, trained, monkeypatch):
    run, directory = trained
    machine = Machine(tiny_data, directory.path.parents[2], "cpu", threads=1)
    in_process.interpolate(run, machine)
    before = (directory.path / "interpolation.csv").read_bytes()
    monkeypatch.setattr(interpolate, "interpolate", None)  # a second call would not get past this
    in_process.interpolate(run, machine)
    in_process.interpolate(tiny_run(cycle=1), machine)
    assert (directory.path / "interpolation.csv").read_bytes() == before
    assert RunDirectory(directory.path).has_interpolation  # `directory` may hold the hashes of before
