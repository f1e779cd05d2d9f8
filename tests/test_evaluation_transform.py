"""Image files are classified as the test images of their dataset were, from a run, its exported files and in Python."""

import csv
import io
import tracemalloc

import numpy as np
import pytest
import streamed_folders
from command_line import snapshot
from fabricated_images import images_of, png, tiny_imagenet_files, tree_files, unchecked, write_folder
from silent import Silent

from snapshot_cli import SnapshotEnsemble
from snapshot_cli.analysis.metrics import softmax
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import store
from snapshot_cli.datasets.catalogue import CATALOGUE
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.file_bytes import file_reader
from snapshot_cli.datasets.image_files import pixels
from snapshot_cli.datasets.index import ImageFiles
from snapshot_cli.datasets.prepare import prepare
from snapshot_cli.launch import in_process
from snapshot_cli.serving.classifier import transform_of

SMALL = unchecked(CATALOGUE["cifar10"], size=8, train=20, test=10)


def photos(folder):
    """Write images of all shapes, at least 12 pixels a side, of two classes."""
    draw = np.random.default_rng(5)
    files = {
        f"{split}/{name}/{row}.png": png(draw.integers(0, 256, (*draw.integers(12, 40, 2), 3), dtype=np.uint8))
        for split, images in (("train", 8), ("test", 5))
        for name in ("cat", "dog")
        for row in range(images)
    }
    return write_folder(folder, files)


def squares(folder):
    return write_folder(folder, tree_files(images_of(SMALL), SMALL.class_names))


def tiny(folder):
    return write_folder(folder, tiny_imagenet_files())


KINDS = {
    "squares": ("mine", squares, {}),
    "averaged": ("mine", photos, {"size": 12}),
    "catalogue": ("cifar10-4", squares, {}),
    "tiny-layout": ("mine", tiny, {}),
    "streamed": ("mine", photos, {"size": 16, "streamed": True}),
    "streamed-jpeg": ("mine", streamed_folders.write, {"size": 8, "streamed": True}),
}


@pytest.fixture(scope="module", params=KINDS)
def trained(request, tmp_path_factory):
    """Folder of prepared data, of the original files and directory of a run of two snapshots."""
    name, write, options = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CATALOGUE, "cifar10", SMALL)
        prepare(name, folder / "data", source=write(folder / "files"), **options)
        run = Run(
            dataset=name, network="resnet-8", budget=1, batch_size=8, cycles=2, alpha0=0.1, schedule="cosine",
        )  # fmt: skip
        directory = in_process.train(run, Machine(folder / "data", folder / "results", device="cpu"), callback=Silent())
    return folder / "data", folder / "files", directory


def original_files(files):
    """List the image files of the test split."""
    split = "val/images" if (files / "tiny-imagenet-200").exists() else "test" if (files / "test").exists() else "val"
    top = files / "tiny-imagenet-200" if split == "val/images" else files
    return sorted(path for path in (top / split).rglob("*") if path.is_file())


def stored_rows(data, name, files):
    """Return the row of each file in the stored predictions: told by its path or, in arrays, by its pixels."""
    dataset = store.load(data, name)
    images = dataset.test_images
    if isinstance(images, ImageFiles):
        rows = {images.path(row): row for row in range(len(images))}
        return [rows[path.resolve()] for path in files]
    transform = EvaluationTransform.of(dataset.manifest)
    rows = {image.tobytes(): row for row, image in enumerate(np.array(images))}
    return [rows[transform(pixels(file_reader(path), str(path))).tobytes()] for path in files]


@pytest.mark.parametrize("kind", ["run", "pt2", "onnx", "python"])
def test_probabilities_are_those_that_the_run_stored(trained, tmp_path, kind):
    data, folder, directory = trained
    files = original_files(folder)
    stored = softmax(np.stack([directory.predictions("test", k) for k in (1, 2)])).mean(0)
    stored = stored[stored_rows(data, directory.run.dataset, files)]
    assert len({tuple(row) for row in stored.round(4)}) > 1  # else any transform would do
    if kind == "python":
        ensemble = SnapshotEnsemble.load(directory.path, data=data)
        np.testing.assert_allclose(ensemble(ensemble.open_images(*files)).numpy(), stored, atol=1e-5)
        return
    ensemble = directory.path if kind == "run" else tmp_path / f"e.{kind}"
    if kind != "run":
        if kind == "onnx":
            pytest.importorskip("onnxscript")
        assert snapshot("export", directory.path, "-o", ensemble, "--data-dir", data)[0] == 0

    code, out, errors = snapshot("predict", ensemble, *files, "--data-dir", data)
    assert (code, errors) == (0, "")
    answers = list(csv.DictReader(io.StringIO(out)))
    assert [answer["file"] for answer in answers] == [str(path) for path in files]
    np.testing.assert_allclose([float(answer["probability"]) for answer in answers], stored.max(1), atol=1e-5)


def test_facts_of_a_transform_are_read_back():
    for transform in (EvaluationTransform(32), EvaluationTransform.cropping(224)):
        assert EvaluationTransform.from_facts(transform.facts()) == transform
    assert EvaluationTransform.cropping(224).shorter_side == 256
    assert transform_of({"side": 32}) == EvaluationTransform(32)  # a file of an older version


@pytest.mark.parametrize(
    "facts",
    [
        {"side": 8},
        {"side": 0, "shorter_side": None, "interpolation": None},
        {"side": 8, "shorter_side": 7, "interpolation": "bilinear"},
        {"side": 8, "shorter_side": 10**9, "interpolation": "bilinear"},
        {"side": 8, "shorter_side": 9, "interpolation": "lanczos"},
    ],
)
def test_facts_of_no_transform(facts):
    with pytest.raises((ValueError, LookupError)):
        transform_of({"side": facts["side"], "transform": facts})


def test_the_transform_has_the_side_of_the_images():
    with pytest.raises(ValueError, match="another side"):
        transform_of({"side": 8, "transform": EvaluationTransform(9).facts()})


def test_the_card_says_how_images_are_transformed():
    assert EvaluationTransform.cropping(224).description == (
        "resized so that the shorter side has 256 pixels (bilinear, antialiased), then the central 224x224 pixels"
    )
    assert EvaluationTransform(32).description == (
        "the central square, averaged over areas to 32x32 pixels; smaller images are refused"
    )


def test_a_long_thin_image_is_cropped_in_little_memory():
    transform, draw = EvaluationTransform.cropping(8), np.random.default_rng(0)
    line = draw.integers(0, 256, (1, 65_000, 3), dtype=np.uint8)
    expected = transform(np.ascontiguousarray(line[:, 32_500 - 40 : 32_500 + 40]))
    tracemalloc.start()
    for image in (line, line.transpose(1, 0, 2)):
        found = transform(image)
        np.testing.assert_array_equal(found if image is line else found.transpose(1, 0, 2), expected)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
