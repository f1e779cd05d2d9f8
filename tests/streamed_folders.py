"""Write small JPEGs in ImageNet's layouts."""

import io

import numpy as np
from fabricated_images import write_folder
from PIL import Image

WNIDS = ("n00000001", "n00000002", "n00000003")
TRAIN, TEST = 7, 2  # images a class


def jpeg(seed, *, mode="RGB", kind="jpeg"):
    """Return a file of 10 to 17 pixels a side."""
    draw = np.random.default_rng(seed)
    height, width = draw.integers(10, 18, 2)
    content = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode).save(content, kind)
    return content.getvalue()


def train_files():
    return {
        f"train/{wnid}/{wnid}_{row}.JPEG": jpeg(100 * label + row)
        for label, wnid in enumerate(WNIDS)
        for row in range(TRAIN)
    }


def val_files():
    return {
        f"val/{wnid}/{row}.JPEG": jpeg(1000 + 100 * label + row)
        for label, wnid in enumerate(WNIDS)
        for row in range(TEST)
    }


def flat_val():
    """Return the same images without classes, and their labels by number, whose order is not that of the wnids."""
    images = {f"val/ILSVRC2012_val_{k + 1:08}.JPEG": content for k, content in enumerate(val_files().values())}
    return images | {"ILSVRC2012_validation_ground_truth.txt": b"3\n3\n1\n1\n2\n2\n"}


def write_meta(folder):
    """Write a meta.mat in which the wnids have the numbers 3, 1 and 2, and 4 is no class with images."""
    from scipy.io import savemat

    rows = [(3, WNIDS[0], "tench, Tinca tinca", 0), (1, WNIDS[1], "dog", 0), (2, WNIDS[2], "fox", 0)]
    rows.append((4, "n00000004", "animal", 2))
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=kinds)[:, None]})


def write(folder, **changes):
    """Write train and val in class folders; a change replaces a file's content, None removes it (__ stands for /)."""
    files = train_files() | val_files() | {name.replace("__", "/"): content for name, content in changes.items()}
    return write_folder(folder, {name: content for name, content in files.items() if content is not None})
