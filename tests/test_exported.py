"""Both formats, run where this package cannot be imported, answer as the members' stored predictions do."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from command_line import CHECKOUT
from silent import Silent

from snapshot_cli.analysis.metrics import softmax
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import UserError
from snapshot_cli.files import sha256
from snapshot_cli.launch import in_process
from snapshot_cli.serving import classifier, finished
from snapshot_cli.serving.export import export
from snapshot_cli.serving.load import load

EXPORT_PAGE = (CHECKOUT / "docs/export.md").read_text()
EXAMPLES = dict(zip((".pt2", ".onnx"), re.findall(r"```python\n(.*?)```", EXPORT_PAGE, re.DOTALL), strict=True))
WITHOUT_US = """
import sys
sys.modules["snapshot_cli"] = None  # importing it fails
import numpy as np
images = np.load("images.npy")
if sys.argv[1] == ".pt2":
    import torch
    images = torch.from_numpy(images)
for size in (1, 2, 23):
    names = {"images": images[:size]}
    exec(open("example.py").read(), names)
    np.savez(f"{size}.npz", np.asarray(names["probabilities"]), np.asarray(names["agreement"]))
print(names["classes"], any(name.startswith("snapshot_cli.") for name in sys.modules))
"""

NO_FILE = "damaged, or neither a run's directory nor a file that snapshot export has written; export it again"


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


@pytest.fixture(scope="module")
def directory(tiny_run, tiny_data, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return in_process.train(tiny_run(budget=1, cycles=3), Machine(tiny_data, results, device="cpu"), callback=Silent())


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_file_runs_without_this_package(directory, tiny_data, tiny_dataset, tmp_path, suffix):
    output = tmp_path / f"ensemble{suffix}"
    card = export(finished.all_snapshots([directory])[-2:], tiny_data, output)
    images = np.ascontiguousarray(np.array(tiny_dataset.test_images).transpose(0, 3, 1, 2))
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "elsewhere.py").write_text(WITHOUT_US)
    (tmp_path / "example.py").write_text(EXAMPLES[suffix])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "elsewhere.py", suffix],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "['a', 'b', 'c', 'd'] False\n"), done.stderr
    members = [directory.predictions("test", k) for k in (2, 3)]
    expected = softmax(np.stack(members)).mean(0)
    chosen = [member.argmax(1) for member in members]
    agreeing = np.mean([each == expected.argmax(1) for each in chosen], axis=0)
    assert 0.5 in agreeing
    for size in (1, 2, 23):
        with np.load(tmp_path / f"{size}.npz") as answers:
            assert [answers[name].dtype for name in answers] == [np.float32] * 2
            np.testing.assert_allclose(answers["arr_0"], expected[:size], atol=1e-5)
            np.testing.assert_allclose(answers["arr_1"], agreeing[:size])

    read = load(output, tmp_path / "no data needed")
    assert (read.classes, read.transform.side) == (tuple("abcd"), 8)
    np.testing.assert_allclose(read.answer(images)[0], expected, atol=1e-5)

    assert json.loads(output.with_name(f"{output.name}.json").read_text()) == json.loads(json.dumps(card))
    assert card["sha256"] == sha256(output)
    assert card["test"]["ensemble"]["top1_error"] == pytest.approx(
        100 * np.mean(expected.argmax(1) != directory.labels("test"))
    )
    assert [(member["run"], member["snapshot"]) for member in card["members"]] == [
        (directory.run.run_id, 2), (directory.run.run_id, 3)
    ]  # fmt: skip
    assert card["members"][1]["weights_sha256"] == sha256(directory.snapshot_path(3))
    text = output.with_name(f"{output.name}.md").read_text()
    assert text.startswith(f"# ensemble{suffix}\n")
    assert card["sha256"] in text
    assert card["data"]["content_hash"] in text


def test_a_run_answers_like_its_files(directory, tiny_data, tiny_dataset):
    images = np.ascontiguousarray(np.array(tiny_dataset.test_images).transpose(0, 3, 1, 2))
    expected = softmax(np.stack([directory.predictions("test", k) for k in (1, 2, 3)])).mean(0)
    probabilities, agreement = load(directory.path, tiny_data).answer(images)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    assert set(np.unique(agreement.round(3))) <= {np.float32(0.333), np.float32(0.667), np.float32(1)}


@pytest.mark.parametrize("name", ["text.pt2", "text.onnx", "foreign.pt2", "foreign.onnx"])
def test_files_of_another_kind(tmp_path, name):
    path = tmp_path / name
    path.write_text("no program")
    if name == "foreign.pt2":
        program = torch.export.export(torch.nn.Identity(), (torch.ones(1),))
        torch.export.save(program, path)
    elif name == "foreign.onnx":
        import onnx

        graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["a"], ["b"])], "g", *(
            [onnx.helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, [1])] for each in "ab"
        ))  # fmt: skip
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10), path)
    with pytest.raises(UserError) as raised:
        load(path, tmp_path)
    assert str(raised.value) == f"{path}: {NO_FILE}"


@pytest.fixture(scope="module")
def exported(directory, tiny_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("exported") / "ensemble.pt2"
    export(finished.all_snapshots([directory]), tiny_data, output)
    return output


def trap():
    content = io.BytesIO()
    torch.save(Trap(), content)
    return content.getvalue()


def changed(**facts):
    return lambda name, data: json.dumps(json.loads(data) | facts).encode() if name.endswith(classifier.FACTS) else data


def replaced(ending, old, new):
    return lambda name, data: data.replace(old, new) if name.endswith(ending) else data


WEIGHTS = "model_weights_config.json"
DAMAGE = {
    "a pickle among the weights": lambda name, data: trap() if name.endswith("/weight_0") else data,
    "all weights": lambda name, data: pickle.dumps(Trap()) if "/weight_" in name else data,
    "a weight elsewhere": replaced(WEIGHTS, b'"weight_0"', b'"../../../../../../etc/hostname"'),
    "weights that are no mapping": replaced(WEIGHTS, b'{"config"', b'{"other"'),
    "text that is nested too deeply": lambda name, data: b"[" * 10**5 if name.endswith(classifier.FACTS) else data,
    "no members": changed(members=[]),
    "members without weights": changed(members=[{"run": "x"}]),
    "another side": changed(side=6),
    "a side that is none": changed(side=float("inf")),
    "a name that commands a terminal": changed(classes=["a", "b", "c", "\x1b[31m"]),
    "classes that are none": changed(classes=3),
    "an absurd network": replaced(classifier.FACTS, b'"resnet-8"', b'"wide-resnet-1994-2000"'),
    "no network": replaced(classifier.FACTS, b'"resnet-8"', b'"resnet-9"'),
}


def rewritten(exported, path, change, **options):
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(path, "w", **options) as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))


def refusal(path):
    with pytest.raises(UserError) as raised:
        load(path, path.parent)
    return str(raised.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", DAMAGE)
def test_files_that_somebody_changed_are_refused_and_run_no_code(exported, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    rewritten(exported, tmp_path / "e.pt2", DAMAGE[kind])
    assert refusal(tmp_path / "e.pt2") == NO_FILE
    assert [path.name for path in tmp_path.iterdir()] == ["e.pt2"]


def test_a_program_that_would_run_code_is_not_run(exported, tiny_dataset, tmp_path, monkeypatch):
    """torch.export.load unpickles the example of an input: what it runs then, predict does not."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "e.pt2"
    rewritten(exported, path, lambda name, data: trap() if "sample_inputs" in name else data)
    images = np.ascontiguousarray(np.array(tiny_dataset.test_images).transpose(0, 3, 1, 2))
    answers = [load(each, tmp_path).answer(images)[0] for each in (path, exported)]
    np.testing.assert_array_equal(*answers)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_packed_or_cut_are_refused(exported, tmp_path):
    rewritten(exported, tmp_path / "packed.pt2", lambda name, data: data, compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "cut.pt2").write_bytes(exported.read_bytes()[:50_000])
    assert {refusal(tmp_path / name) for name in ("packed.pt2", "cut.pt2")} == {NO_FILE}


def constants(path, probabilities, agreement, *, names=("probabilities", "agreement"), facts=None):
    """Write an ONNX file that answers the same whatever the images are."""
    import onnx
    from onnx import TensorProto, helper

    arrays = zip(names, (probabilities, agreement), strict=True)
    nodes = [
        helper.make_node(
            "Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(array, np.float32), name)
        )
        for name, array in arrays
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 3, 8, 8])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "g", [images], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {classifier.FACTS: json.dumps(facts or {"classes": ["a", "b"], "side": 8})})
    onnx.save(model, path)


IMAGE = np.zeros((1, 3, 8, 8), np.uint8)


def test_answers_of_onnx_that_are_not_numbers_stay_so(tmp_path):
    constants(tmp_path / "e.onnx", [[np.nan, 1]], [1])
    np.testing.assert_array_equal(load(tmp_path / "e.onnx", tmp_path).answer(IMAGE)[0], [[np.nan, 1]])


@pytest.mark.parametrize(
    ("probabilities", "agreement", "options"),
    [
        ([[1, 2, 3]], [1], {}),
        ([[1, 2]], [1, 1], {}),
        ([[1, 2]], 1, {}),
        ([[1, 2]], [1], {"names": ("probabilities", "else")}),
        ([[1, 2]], [1], {"facts": {"classes": ["a", "b"], "side": 0}}),
        ([[1, 2]], [1], {"facts": {"classes": ["a", "b"], "side": float("inf")}}),
        ([[1, 2]], [1], {"facts": {"classes": [], "side": 8}}),
        ([[1, 2]], [1], {"facts": ["classes", "side"]}),
    ],
)
def test_answers_of_onnx_that_do_not_fit(tmp_path, probabilities, agreement, options):
    path = tmp_path / "e.onnx"
    constants(path, probabilities, agreement, **options)
    with pytest.raises(UserError) as raised:
        load(path, tmp_path).answer(IMAGE)
    assert str(raised.value) == f"{path}: {NO_FILE}"
