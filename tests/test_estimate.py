import os
from dataclasses import replace

import pytest
import torch

from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.launch import estimate
from snapshot_cli.training import trial

# resnet-8 with 4 classes: 10 have 75,290 parameters, 65 a class; batch norm has statistics and a count besides.
PARAMETERS, WEIGHTS = 75_290 - 65 * 6, 301_576


@pytest.fixture
def machine(tiny_data, tmp_path):
    return Machine(tiny_data, tmp_path, "cpu")


def test_what_runs_take(machine, tiny_run):
    runs = [tiny_run(), tiny_run(seed=1), tiny_run(cycle=1, seed=2)]
    (found,) = estimate.needs(runs, machine, steps=0)
    assert (found.runs, found.images) == (3, 270 + 270 + 135)
    assert found.seconds is None
    assert found.disk == 5 * (WEIGHTS + 23 * 4 * 4)
    assert found.resume == 2 * (WEIGHTS + 4 * PARAMETERS)
    assert found.memory > 12 * PARAMETERS + 3 * (90 * 10 * 10 + 23 * 64)


def test_runs_that_differ_in_what_they_take_stand_apart(machine, tiny_run):
    runs = [tiny_run(), tiny_run(dropout=0.2), tiny_run(batch_size=8), tiny_run(network="resnet-14"), tiny_run(seed=1)]
    found = estimate.needs(runs, machine, steps=0)
    assert [each.runs for each in found] == [2, 1, 1, 1]
    plain, dropped, half, deep = (each.memory for each in found)
    assert half < plain < dropped
    assert plain < deep


def test_time_is_that_of_all_steps(machine, tiny_run, monkeypatch):
    monkeypatch.setattr(
        "snapshot_cli.training.measure.seconds_per_step", lambda *_, **__: {"float32": 0.5, "bfloat16": 0.2}
    )
    monkeypatch.setattr("snapshot_cli.training.hardware.bfloat16_unit", lambda: "AMX")
    lines = []
    (found,) = estimate.needs([tiny_run()], machine, steps=3, note=lines.append)
    assert found.seconds == 9
    assert estimate.needs([tiny_run(precision="bfloat16")], machine, steps=3)[0].seconds == pytest.approx(3.6)
    assert lines == [
        "resnet-8 on tiny: 0.5 s per step, the median of 3 on cpu; "
        "bfloat16 is 2.5 times as fast as float32 (the processor has AMX)"
    ]


def test_time_is_that_of_as_many_threads_as_are_asked_for(machine, tiny_run, monkeypatch):
    seen, before = [], torch.get_num_threads()

    def measured(*_, **__):
        seen.append(torch.get_num_threads())
        return {"float32": 0.5, "bfloat16": 0.2}

    monkeypatch.setattr("snapshot_cli.training.measure.seconds_per_step", measured)
    try:
        for threads in (None, before + 1):
            estimate.needs([tiny_run()], replace(machine, threads=threads), steps=1)
    finally:
        torch.set_num_threads(before)
    assert seen == [before, before + 1]


def test_images_on_the_device(tiny_run, machine):
    manifest = estimate.manifest_of("tiny", machine)
    assert estimate.image_bytes(tiny_run(), manifest) == 3 * (90 + 23) * 8**2
    assert estimate.image_bytes(tiny_run(holdout=10), manifest) == 3 * (80 + 33) * 8**2


def test_what_a_gpu_would_need_is_counted_without_one(tiny_data, tmp_path, tiny_run):
    run, machines = tiny_run(network="densenet-22-12"), [Machine(tiny_data, tmp_path, d) for d in ("cpu", "cuda")]
    on_cpu, on_gpu = (estimate.needs([run], machine, steps=0)[0].memory for machine in machines)
    assert on_cpu < on_gpu


def test_streamed_images_are_not_held(tiny_run, machine):
    run = tiny_run(dataset="imagenet", network="imagenet-resnet-50")
    assert estimate.image_bytes(run, estimate.manifest_of("imagenet", machine)) == 0


def test_a_dataset_that_is_not_prepared(machine):
    manifest = estimate.manifest_of("cifar100", machine)
    assert (manifest.train, manifest.test, manifest.size, len(manifest.classes)) == (50_000, 10_000, 32, 100)
    assert len(estimate.manifest_of("tiny-imagenet", machine).classes) == 200
    with pytest.raises(UserError) as caught:
        estimate.manifest_of("mine", machine)
    assert str(caught.value) == (
        f"dataset 'mine' is not prepared in {machine.data}; type: snapshot data prepare mine --from PATH --size PIXELS"
        " (PATH: a folder or zip with one folder per class; without a test set, add --test-share 0.2)"
    )


def test_a_last_batch_of_one_image_is_refused_where_batch_norm_has_one_value(machine, tiny_run, monkeypatch):
    """ResNets halve the side of a map twice: images of 4x4 end in maps of 1x1."""
    manifest = replace(estimate.manifest_of("tiny", machine), size=4, train=129, test=1)
    monkeypatch.setattr(estimate, "manifest_of", lambda *_: manifest)
    with pytest.raises(ConfigError) as caught:
        estimate.needs([tiny_run(batch_size=64)], machine, steps=0)
    assert "cannot be trained on a batch of 1 image, as the last of an epoch is here" in str(caught.value)
    assert str(caught.value).endswith("choose another batch_size or train_size, such as batch_size: 65")
    assert estimate.needs([tiny_run(batch_size=65)], machine, steps=0)
    manifest = replace(manifest, size=8)
    assert estimate.needs([tiny_run(batch_size=64)], machine, steps=0)


@pytest.mark.parametrize(("ranks", "train", "size"), [(1, 129, 65), (4, 71, 71)])
def test_the_batch_size_that_is_suggested_works_for_all_ranks(machine, tiny_run, ranks, train, size):
    """71 images: batches of 65 to 68 leave 6 to 3, of 69 leave 2; only 71 leave four ranks two images or more."""
    manifest = replace(estimate.manifest_of("tiny", machine), size=4, train=train)
    with pytest.raises(ConfigError) as caught:
        trial.check(tiny_run(batch_size=64), manifest, smallest=1, ranks=ranks)
    assert str(caught.value).endswith(f"such as batch_size: {size}")


@pytest.mark.parametrize(("free", "is_said"), [(64_000_000, True), (10**12, False), (None, False)])
def test_shared_memory_that_is_too_small_for_streamed_batches(machine, tiny_run, monkeypatch, free, is_said):
    monkeypatch.setattr(estimate.shared_memory, "free", lambda: free)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(2))
    runs = [tiny_run(dataset="imagenet", network="imagenet-resnet-50", batch_size=256), tiny_run()]
    line = (
        "imagenet: 2 workers can need 193 MB in /dev/shm for batches of 256 images, 64 MB are free; give a container "
        "more (docker run --shm-size 8g), or train with fewer --workers"
    )
    monkeypatch.setattr(estimate, "_group_needs", lambda *_, **__: None)
    lines = []
    estimate.needs(runs, machine, steps=0, note=lines.append)
    assert lines == ([line] if is_said else [])


def test_one_image_for_which_no_batch_size_is_right(machine, tiny_run):
    manifest = replace(estimate.manifest_of("tiny", machine), size=4)
    with pytest.raises(ConfigError, match=r"choose another batch_size or train_size$"):
        trial.check(tiny_run(train_size=1), manifest, smallest=1)


def test_more_cycles_than_steps_are_timed(machine, tiny_run):
    (needs,) = estimate.needs([tiny_run(cycles=12, budget=4)], machine, steps=1)
    assert needs.seconds > 0
