import numpy as np
import pytest
from PIL import Image
from streamed_folders import write

from snapshot_cli.datasets import store
from snapshot_cli.datasets.examples import augmented, rows_of_classes, stored
from snapshot_cli.datasets.prepare import prepare

LABELS = np.repeat([0, 1, 2], [10, 2, 5])


@pytest.mark.parametrize(
    ("examples", "counts"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (7, [3, 2, 2]), (99, [10, 2, 5])]
)
def test_classes_take_turns(examples, counts):
    rows = rows_of_classes(LABELS, examples)
    assert np.bincount(LABELS[rows], minlength=3).tolist() == counts
    assert rows == sorted(set(rows))


def test_versions_are_those_of_the_image(tiny_dataset):
    rows = [80, 3, 40]
    made = augmented(tiny_dataset, rows, versions=3)
    assert (made.shape, made.dtype) == ((3, 3, 8, 8, 3), np.uint8)
    border = np.rint(tiny_dataset.manifest.mean).astype(np.uint8)
    for version in made:
        for place, row in enumerate(rows):
            image, whole = version[place], tiny_dataset.train_images[row]
            framed = np.broadcast_to(border, (10, 10, 3)).copy()
            framed[1:-1, 1:-1] = whole
            crops = [framed[top : top + 8, left : left + 8] for top in range(3) for left in range(3)]
            assert any((image == crop).all() or (image == crop[:, ::-1]).all() for crop in crops)
    assert not (made[0] == made[1]).all()


def test_an_image_as_it_is_stored(tiny_dataset):
    assert (stored(tiny_dataset, 7) == tiny_dataset.train_images[7]).all()


def test_of_a_streamed_image_the_square_in_its_middle(tmp_path):
    prepare("photos", tmp_path / "data", source=write(tmp_path / "photos"), size=8, streamed=True)
    dataset, shapes = store.load(tmp_path / "data", "photos"), set()
    for row in range(5):
        with Image.open(dataset.train_images.path(row)) as image:
            width, height = image.size
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            expected = np.array(image.convert("RGB").crop((left, top, left + side, top + side)))
        assert (stored(dataset, row) == expected).all()
        shapes.add((width > height) - (width < height))
    assert {-1, 1} <= shapes
