import numpy as np
import pytest

from snapshot_cli.datasets.examples import augmented, rows_of_classes

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
