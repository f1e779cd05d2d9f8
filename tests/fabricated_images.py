"""Make small images in the layouts that the readers know."""

import io
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
from PIL import Image

from snapshot_cli.datasets.catalogue import CATALOGUE

SIDE = 8
TINY = {
    "cifar10": replace(CATALOGUE["cifar10"], size=SIDE, train=20, test=10, md5=None),
    "cifar100": replace(CATALOGUE["cifar100"], size=SIDE, train=200, test=100, md5=None),
}
FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}


def images_of(facts, seed=0):
    """Return (images, labels) of train and test, every class equally often, in a random order."""
    draw = np.random.default_rng(seed)
    splits = []
    for examples in (facts.train, facts.test):
        images = draw.integers(0, 256, (examples, facts.size, facts.size, 3), dtype=np.uint8)
        splits.append((images, draw.permutation(np.arange(examples) % facts.classes)))
    return splits


def records(images, labels, name):
    """Encode images as the records of a binary archive."""
    labels = labels.astype(np.uint8)[:, None]
    coarse = [labels // 5] if name == "cifar100" else []
    return np.hstack([*coarse, labels, images.transpose(0, 3, 1, 2).reshape(len(images), -1)]).tobytes()


def members_of(name, splits):
    """Return the members of the official binary archive that hold these images."""
    (train_images, train_labels), (test_images, test_labels) = splits
    names = "".join(f"{line}\n" for line in TINY[name].class_names).encode()
    if name == "cifar100":
        members = {"train.bin": records(train_images, train_labels, name), "fine_label_names.txt": names}
        members["coarse_label_names.txt"] = b"fish\n"
    else:
        parts = zip(np.split(train_images, 5), np.split(train_labels, 5), strict=True)
        members = {f"data_batch_{k}.bin": records(*part, name) for k, part in enumerate(parts, 1)}
        members["batches.meta.txt"] = names + b"\n"
    test = "test.bin" if name == "cifar100" else "test_batch.bin"
    return {
        f"{FOLDERS[name]}/{file}": content
        for file, content in {**members, test: records(test_images, test_labels, name)}.items()
    }


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def tree_files(splits, class_names):
    """Return the files of an image tree that holds these images."""
    return {
        f"{split}/{class_names[label]}/{row:04d}.png": png(image)
        for split, (images, labels) in zip(("train", "test"), splits, strict=True)
        for row, (image, label) in enumerate(zip(images, labels, strict=True))
    }


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_zip(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
