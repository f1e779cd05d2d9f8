from dataclasses import replace

import numpy as np
import pytest
import torch

from snapshot_cli.datasets import augment, batches
from snapshot_cli.datasets.batches import Batches, subsets
from snapshot_cli.errors import UserError
from snapshot_cli.randomness import generator

CPU = torch.device("cpu")


def numbered(examples, *, padding=0, flip=False):
    """Images whose label is their row and whose pixels hold that number."""
    pixels = torch.arange(examples, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 4, 4, 3).contiguous()
    zero, one = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    bordered = augment.bordered(pixels, padding=padding, fill=(255, 255, 255))
    return Batches(bordered, torch.arange(examples), zero, one, flip)


def in_one(parts):
    images, labels = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(labels)


@pytest.mark.parametrize(
    ("examples", "size", "lengths"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (5, 1, [1] * 5)]
)
def test_an_epoch_visits_every_image_once_with_its_label(examples, size, lengths):
    parts = list(numbered(examples).training(0, 0, batch_size=size))
    assert [len(labels) for _, labels in parts] == lengths
    images, labels = in_one(parts)
    assert sorted(labels.tolist()) == list(range(examples))
    assert images[:, 0, 0, 0].tolist() == labels.tolist()


@pytest.mark.parametrize("start", range(8))
def test_an_epoch_goes_on_exactly(start):
    data = numbered(27, padding=2, flip=True)
    whole = list(data.training(5, 3, batch_size=4))
    rest = list(data.training(5, 3, batch_size=4, start=start))
    assert len(rest) == len(whole) - start
    for (images, labels), (expected_images, expected_labels) in zip(rest, whole[start:], strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


def test_order_and_augmentation_depend_on_seed_and_epoch_alone():
    data = numbered(40, padding=2, flip=True)
    seen = {}
    for key in [(0, 0), (0, 1), (1, 0)]:
        torch.manual_seed(len(seen))  # the global state must not matter
        seen[key] = in_one(data.training(*key, batch_size=16))
    again = in_one(data.training(0, 0, batch_size=7))
    assert torch.equal(again[0], seen[0, 0][0])
    assert torch.equal(again[1], seen[0, 0][1])
    for one, other in [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 0))]:
        assert not torch.equal(seen[one][1], seen[other][1])
        assert not torch.equal(seen[one][0], seen[other][0])


def test_augmentation_alone_depends_on_seed_and_epoch():
    pixels = torch.arange(16, dtype=torch.uint8).view(1, 4, 4, 1).expand(40, 4, 4, 3).contiguous()  # no order to see
    data = replace(numbered(40, flip=True), images=augment.bordered(pixels, padding=2, fill=(255, 255, 255)))
    same, epoch, seed = (in_one(data.training(*key, batch_size=16))[0] for key in [(0, 0), (0, 1), (1, 0)])
    assert torch.equal(same, in_one(data.training(0, 0, batch_size=16))[0])
    assert not torch.equal(same, epoch)
    assert not torch.equal(same, seed)


@pytest.mark.parametrize("size", [1, 4, 5, 10, 99])
def test_evaluation_is_in_order_once_each_and_unaugmented(size):
    images, labels = in_one(numbered(10, padding=2, flip=True).evaluation(size))
    assert labels.tolist() == list(range(10))
    assert torch.equal(images, torch.arange(10.0).view(-1, 1, 1, 1).expand(-1, 3, 4, 4))


UNEVEN = np.array([0] * 50 + [1] * 5 + [2] * 20 + [3] * 25)


def counts(rows, labels=UNEVEN):
    return np.bincount(labels[rows], minlength=4).tolist()


def test_all_images_when_nothing_is_asked_for():
    chosen = subsets(UNEVEN, train_size=None, holdout=0, seed=0)
    assert chosen.training.tolist() == list(range(100))
    assert chosen.holdout.tolist() == []


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("train_size", "holdout"), [(8, 0), (10, 3), (12, 8), (None, 12), (60, 40)])
def test_subsets_are_disjoint_sorted_and_of_the_size_asked_for(train_size, holdout, seed):
    chosen = subsets(UNEVEN, train_size=train_size, holdout=holdout, seed=seed)
    assert len(chosen.training) == (100 - holdout if train_size is None else train_size)
    assert len(chosen.holdout) == holdout
    for rows in (chosen.training, chosen.holdout):
        assert np.all(np.diff(rows) > 0)
    assert not set(chosen.training) & set(chosen.holdout)


def test_classes_are_balanced_while_they_last():
    chosen = subsets(UNEVEN, train_size=10, holdout=6, seed=0)
    assert max(counts(chosen.training)) - min(counts(chosen.training)) <= 1
    # class 1 has only 5 images, and the other 55 places are shared by three
    assert counts(subsets(UNEVEN, train_size=60, holdout=0, seed=0).training) == [19, 5, 18, 18]


def test_a_holdout_is_in_proportion_and_leaves_every_class_an_image():
    def left_and_withheld(sizes, holdout):
        labels = np.repeat(np.arange(len(sizes)), sizes)
        chosen = subsets(labels, train_size=None, holdout=holdout, seed=0)
        return [np.bincount(labels[rows], minlength=len(sizes)).tolist() for rows in (chosen.training, chosen.holdout)]

    assert left_and_withheld([30, 3000, 2000], 300) == [[28, 2821, 1881], [2, 179, 119]]
    assert left_and_withheld([1, 1, 8], 7) == [[1, 1, 1], [0, 0, 7]]
    assert left_and_withheld([2, 2, 2], 3) == [[1, 1, 1], [1, 1, 1]]
    with pytest.raises(UserError, match=r"holdout: 8 of 10 training images leaves a class without any; .* at most 7"):
        left_and_withheld([1, 1, 8], 8)


@pytest.mark.parametrize(("train_size", "holdout"), [(None, 6), (7, 6), (20, 8), (11, 0), (4, 36)])
def test_of_classes_of_equal_size_the_same_rows_are_chosen_as_ever(train_size, holdout):
    """Runs that were trained before the holdout was in proportion resume with the same images."""
    labels = np.tile([0, 1, 2, 3], 10)
    shuffled = torch.randperm(40, generator=generator(5, "subset")).numpy()
    turns = {row: turn for k in range(4) for turn, row in enumerate(shuffled[labels[shuffled] == k])}
    ordered = sorted(range(40), key=lambda row: (turns[row], labels[row]))
    end = None if train_size is None else holdout + train_size
    chosen = subsets(labels, train_size=train_size, holdout=holdout, seed=5)
    assert chosen.holdout.tolist() == sorted(ordered[:holdout])
    assert chosen.training.tolist() == sorted(ordered[holdout:end])


def test_a_larger_subset_holds_the_smaller_and_a_seed_decides():
    def training(size, seed):
        return set(subsets(UNEVEN, train_size=size, holdout=6, seed=seed).training)

    for size in range(1, 94):
        assert training(size, 0) < training(size + 1, 0)
    assert training(20, 0) == training(20, 0) != training(20, 1)
    same_holdout = [subsets(UNEVEN, train_size=size, holdout=6, seed=0).holdout.tolist() for size in (None, 1, 50)]
    assert same_holdout[0] == same_holdout[1] == same_holdout[2]


def test_batches_of_a_run(tiny_dataset, tiny_run):
    found = batches.build_feeds(tiny_run(train_size=40, holdout=9), tiny_dataset, device=CPU)
    assert {name: split.examples for name, split in found.items()} == {"train": 40, "test": 23, "holdout": 9}
    assert {name: split.images.padding for name, split in found.items()} == {"train": 1, "test": 0, "holdout": 0}
    assert found["train"].flip
    assert not batches.build_feeds(tiny_run(flip=False), tiny_dataset, device=CPU)["train"].flip
    images, labels = in_one(found["test"].evaluation(7))
    mean, deviation = (np.float32(values) for values in (tiny_dataset.manifest.mean, tiny_dataset.manifest.std))
    expected = (tiny_dataset.test_images.astype(np.float32) - mean) / deviation
    np.testing.assert_array_equal(images.numpy(), expected.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels.numpy(), tiny_dataset.test_labels)


def test_all_images_of_a_split_are_held_once(tiny_dataset, tiny_run):
    whole, part = (batches.build_feeds(tiny_run(train_size=size), tiny_dataset, device=CPU) for size in (None, 40))
    assert whole["train"].images.pixels.data_ptr() == tiny_dataset.train_images.ctypes.data
    assert part["train"].images.pixels.shape == (40, *tiny_dataset.train_images.shape[1:])
    assert part["test"].images.pixels.data_ptr() == tiny_dataset.test_images.ctypes.data


@pytest.mark.parametrize(
    ("own", "asked", "size", "expected"),
    [(None, None, 8, 1), (None, None, 32, 4), (None, None, 4, 0), (3, None, 32, 3), (3, 0, 32, 0), (None, 2, 32, 2)],
)
def test_border(tiny_dataset, tiny_run, own, asked, size, expected):
    dataset = replace(tiny_dataset, manifest=replace(tiny_dataset.manifest, padding=own, size=size))
    assert batches.border(tiny_run(padding=asked), dataset) == expected


def test_light_is_added_before_normalisation_to_the_whole_image_and_its_border():
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in ([100.0, 110.0, 120.0], [50.0, 40.0, 20.0]))
    grey = torch.full((30, 4, 4, 3), 255, dtype=torch.uint8)  # grey and as bright as it can be: nothing is clipped
    bordered = augment.bordered(grey, padding=1, fill=(255, 255, 255))
    plain = Batches(bordered, torch.arange(30), mean, deviation, flip=True)
    lit = replace(plain, lighting=0.1)
    draws = augment.draw(30, padding=1, flip=True, lighting=0.1, generator=generator(5, "augmentation", 2))
    (images, labels), (dark, _) = (next(each.training(5, 2, batch_size=30)) for each in (lit, plain))
    added = (images - dark) * deviation
    assert bool(images.isfinite().all())
    torch.testing.assert_close(added, draws.light[:, :, None, None].expand(30, 3, 4, 4), rtol=0, atol=1e-4)
    assert sorted(labels.tolist()) == list(range(30))
    assert torch.equal(in_one(lit.evaluation(7))[0], in_one(plain.evaluation(7))[0])


@pytest.mark.parametrize("start", [1, 4, 6])
def test_a_lit_epoch_goes_on_exactly(start):
    data = replace(numbered(27, padding=2, flip=True), lighting=0.1)
    whole = list(data.training(5, 3, batch_size=4))
    rest = list(data.training(5, 3, batch_size=4, start=start))
    assert all(torch.equal(one[0], other[0]) for one, other in zip(rest, whole[start:], strict=True))
    assert not torch.equal(whole[0][0], next(data.training(5, 4, batch_size=4))[0])


@pytest.mark.parametrize(
    ("own", "asked", "lighting"), [(0.0, None, 0.0), (0.1, None, 0.1), (0.1, 0.0, 0.0), (0.0, 0.2, 0.2)]
)
def test_lighting_is_the_runs_or_else_the_datasets(tiny_dataset, tiny_run, own, asked, lighting):
    dataset = replace(tiny_dataset, manifest=replace(tiny_dataset.manifest, lighting=own))
    found = batches.build_feeds(tiny_run(lighting=asked), dataset, device=CPU)
    assert found["train"].lighting == lighting


def test_the_drawn_rows_never_change():
    """Other rows would be another run under the same name."""
    chosen = subsets(UNEVEN, train_size=6, holdout=4, seed=1)
    assert (chosen.training.tolist(), chosen.holdout.tolist()) == ([24, 43, 51, 54, 57, 94], [28, 31, 68, 87])


def test_the_rows_of_a_run_are_drawn_by_its_split_seed(tiny_dataset, tiny_run):
    def labels(split_seed):
        run = tiny_run(train_size=40, holdout=20, split_seed=split_seed)
        found = batches.build_feeds(run, tiny_dataset, device=CPU)
        return torch.cat([images.mean((1, 2, 3)) for images, _ in found["holdout"].evaluation(20)])

    assert torch.equal(labels(0), labels(0))
    assert not torch.equal(labels(0), labels(1))
