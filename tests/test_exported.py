"""Both formats, run where this package cannot be imported, answer as the members' stored predictions do."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from silent import Silent

from snapshot_cli.analysis.ensembles import mean_probabilities
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import UserError
from snapshot_cli.files import sha256
from snapshot_cli.launch import here
from snapshot_cli.serving import classifier, finished
from snapshot_cli.serving.export import export

WITHOUT_US = """
import json, sys
sys.modules["snapshot_cli"] = None  # importing it fails
import numpy as np
images, answers = np.load("images.npy"), []
if sys.argv[1].endswith(".pt2"):
    import torch
    extra = {"snapshot.json": ""}
    program = torch.export.load(sys.argv[1], extra_files=extra).module()
    facts = extra["snapshot.json"]
    ask = lambda batch: [each.numpy() for each in program(torch.from_numpy(batch))]
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(sys.argv[1])
    facts = session.get_modelmeta().custom_metadata_map["snapshot.json"]
    ask = lambda batch: session.run(["probabilities", "agreement"], {"images": batch})
for size in (1, 2, 23):
    np.savez(f"{size}.npz", *ask(images[:size]))
print(json.loads(facts)["classes"], any(name.startswith("snapshot_cli.") for name in sys.modules))
"""


@pytest.fixture(scope="module")
def directory(tiny_run, tiny_data, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return here.train(tiny_run(budget=1, cycles=3), Machine(tiny_data, results, device="cpu"), watcher=Silent())


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_file_runs_without_this_package(directory, tiny_data, tiny_dataset, tmp_path, suffix):
    output = tmp_path / f"ensemble{suffix}"
    card = export(finished.last(finished.all_snapshots([directory]), 2), tiny_data, output)
    images = np.ascontiguousarray(np.array(tiny_dataset.test_images).transpose(0, 3, 1, 2))
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "elsewhere.py").write_text(WITHOUT_US)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "elsewhere.py", output.name],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "['a', 'b', 'c', 'd'] False\n"), done.stderr
    members = [directory.predictions("test", k) for k in (2, 3)]
    expected = mean_probabilities(members)
    chosen = [member.argmax(1) for member in members]
    agreeing = np.mean([each == expected.argmax(1) for each in chosen], axis=0)
    assert 0.5 in agreeing
    for size in (1, 2, 23):
        with np.load(tmp_path / f"{size}.npz") as answers:
            assert [answers[name].dtype for name in answers] == [np.float32] * 2
            np.testing.assert_allclose(answers["arr_0"], expected[:size], atol=1e-5)
            np.testing.assert_allclose(answers["arr_1"], agreeing[:size])

    read = classifier.of(output, tmp_path / "no data needed")
    assert (read.classes, read.side) == (tuple("abcd"), 8)
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
    expected = mean_probabilities([directory.predictions("test", k) for k in (1, 2, 3)])
    probabilities, agreement = classifier.of(directory.path, tiny_data).answer(images)
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
        classifier.of(path, tmp_path)
    assert str(raised.value) == f"{path}: neither a run's directory nor a file that snapshot export has written"
