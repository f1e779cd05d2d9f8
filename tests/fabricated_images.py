"""Make small images in the layouts that the readers know."""

import io
import struct
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
from PIL import Image

from snapshot_cli.datasets.catalogue import CATALOGUE

SIDE = 8


def unchecked(known, **changes):
    """Return facts whose official files may have any checksum."""
    files, also = (tuple(replace(file, md5=None) for file in group) for group in (known.files, known.also))
    return replace(known, files=files, also=also, **changes)


TINY = {
    "cifar10": unchecked(CATALOGUE["cifar10"], size=SIDE, train=20, test=10),
    "cifar100": unchecked(CATALOGUE["cifar100"], size=SIDE, train=200, test=100),
    "svhn": unchecked(
        CATALOGUE["svhn"], size=SIDE, train=35, test=12,
        train_counts=(4, 3, 4, 4, 4, 4, 3, 3, 3, 3), test_counts=(2, 2, *[1] * 8),
    ),
    "svhn-without-extra": unchecked(
        CATALOGUE["svhn-without-extra"], size=SIDE, train=20, test=12,
        train_counts=(2,) * 10, test_counts=(2, 2, *[1] * 8),
    ),
    "tiny-imagenet": unchecked(CATALOGUE["tiny-imagenet"], classes=3, size=SIDE, train=12, test=6),
}  # fmt: skip
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


def python2(value):
    """Encode plain data and uint8 arrays as Python 2's cPickle did at protocol 2, without STOP."""
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(key) + python2(inner) for key, inner in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, int):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, np.ndarray):
        dtype = b"cnumpy\ndtype\nq\x07U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        shape = b"(" + b"".join(map(python2, value.shape)) + b"t"
        by_column = b"\x89" if value.flags.c_contiguous else b"\x88"
        return (
            b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87R"
            b"(K\x01" + shape + dtype + by_column + python2(value.tobytes("A")) + b"tb"
        )
    text = value.encode() if isinstance(value, str) else value
    return (b"U" + bytes([len(text)]) if len(text) < 256 else b"T" + struct.pack("<i", len(text))) + text


def pickled(value):
    return b"\x80\x02" + python2(value) + b"."


def python_members_of(name, splits):
    """Return the members of the official Python archive that hold these images."""
    (train_images, train_labels), (test_images, test_labels) = splits
    fine = name == "cifar100"

    def batch(images, labels):
        files = [f"some_image_s_{row:06d}.png" for row in range(len(images))]
        flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        # CIFAR-10's training arrays lie by column in the official files
        content = {"data": flat if fine else np.asfortranarray(flat), "filenames": files, "batch_label": "batch 1"}
        labels = labels.tolist()
        extra = {"fine_labels": labels, "coarse_labels": [k // 5 for k in labels]} if fine else {"labels": labels}
        return pickled(content | extra)

    names = list(TINY[name].class_names)
    if fine:
        meta = {"fine_label_names": names, "coarse_label_names": ["fish"]}
        files = {"train": batch(train_images, train_labels), "test": batch(test_images, test_labels)}
        return {f"cifar-100-python/{file}": content for file, content in {**files, "meta": pickled(meta)}.items()}
    parts = zip(np.split(train_images, 5), np.split(train_labels, 5), strict=True)
    files = {f"data_batch_{k}": batch(*part) for k, part in enumerate(parts, 1)}
    files["test_batch"] = batch(test_images, test_labels)
    files["batches.meta"] = pickled({"num_cases_per_batch": 4, "label_names": names, "num_vis": 192})
    return {f"cifar-10-batches-py/{file}": content for file, content in files.items()}


def write_mats(folder, name="svhn", seed=0, **changes):
    """Write official-format .mat files of SVHN and return (images, labels) of train and test, label 0 for a 10."""
    from scipy.io import savemat

    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for file, labels in SVHN_LABELS.items():
        if file == "extra_32x32.mat" and name == "svhn-without-extra":
            continue
        images = draw.integers(0, 256, (len(labels), SIDE, SIDE, 3), dtype=np.uint8)
        variables = {"X": images.transpose(1, 2, 3, 0), "y": np.array(labels, np.uint8)[:, None]}
        variables |= changes.get(file.split("_")[0], {})
        savemat(folder / file, {key: v for key, v in variables.items() if v is not None}, do_compression=True)
        made[file] = images, np.array(labels) % 10
    train = [made[file] for file in made if not file.startswith("test")]
    return [tuple(np.concatenate(parts) for parts in zip(*train, strict=True)), made["test_32x32.mat"]]


SVHN_LABELS = {
    "train_32x32.mat": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] * 2,
    "extra_32x32.mat": [10, 10, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9],
    "test_32x32.mat": [10, 10, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9],
}
WNIDS = ("n01443537", "n02231487", "n04398044")


def tiny_imagenet_files(seed=0):
    """Return files in Tiny ImageNet's layout: 3 classes of 4 images to train, one of them grey, and 2 to test."""
    draw = np.random.default_rng(seed)

    def image(grey=False):
        return png(draw.integers(0, 256, (SIDE, SIDE) if grey else (SIDE, SIDE, 3), dtype=np.uint8))

    files = {"wnids.txt": "".join(f"{wnid}\n" for wnid in reversed(WNIDS)).encode()}
    files["words.txt"] = b"n01443537\tgoldfish, Carassius auratus\nn04398044\tteapot\nn00001740\tentity\n"
    for wnid in WNIDS:
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"0 0 8 8\n"
        for row in range(4):
            files[f"train/{wnid}/images/{wnid}_{row}.JPEG"] = image(grey=row == 3)
    lines = []
    for row in range(6):
        files[f"val/images/val_{row}.JPEG"] = image()
        lines.append(f"val_{row}.JPEG\t{WNIDS[row * 5 % 3]}\t0\t0\t8\t8\n")
    files["val/val_annotations.txt"] = "".join(lines).encode()
    files["test/images/test_0.JPEG"] = image()
    return {f"tiny-imagenet-200/{name}": content for name, content in files.items()}


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
