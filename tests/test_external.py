"""Networks from torchvision, timm and plug-ins: their names, what is refused, and that they train like the paper's."""

import json
import re

import numpy as np
import pytest
import torch
from command_line import snapshot, write
from killing import before_steps
from silent import Silent
from torch import nn

from snapshot_cli.config import plan
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, Stopped, UserError
from snapshot_cli.launch import in_process
from snapshot_cli.networks import build, external, operations, plugins
from snapshot_cli.networks.names import forms
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.serving import exported, finished
from snapshot_cli.serving.export import export
from snapshot_cli.training import measure, network, trial

PLUGIN = """
import random
import torch
from torch import nn

class Tied(nn.Module):
    def __init__(self, classes, side):
        super().__init__()
        self.first = nn.Linear(3 * side**2, 16)
        self.middle = nn.Linear(16, 16)
        self.again = nn.Linear(16, 16)
        self.again.weight = self.middle.weight
        self.last = nn.Linear(16, classes)
        self.register_buffer("scale", torch.tensor(2))
        self.register_buffer("kept_apart", torch.ones(16), persistent=False)

    def forward(self, x):
        y = self.first(x.flatten(1)).relu() * self.kept_apart
        return self.last(self.again(self.middle(y).relu()).relu() * self.scale)

class Odd(nn.Module):
    def __init__(self, classes, side, what):
        super().__init__()
        self.what, self.calls = what, 0
        self.linear = nn.Linear(3 * side**2, classes)
        self.idle = nn.Parameter(torch.zeros(1), requires_grad=what == "idle")

    def forward(self, x):
        logits = self.linear(x.flatten(1))
        return {
            "noisy": logits * random.random(), "complex": torch.complex(logits, logits), "tuple": (logits, logits),
            "shape": logits[:, 1:], "idle": logits,
        }[self.what]

def mlp(classes, image_size, dropout, hidden=16):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * image_size**2, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Dropout(dropout or 0.3),
        nn.Linear(hidden, classes),
    )

def tied(classes, image_size, dropout):
    return Tied(classes, image_size)

def odd(classes, image_size, dropout, what="noisy"):
    return Odd(classes, image_size, what)

def broken(classes, image_size, dropout):
    raise ValueError("not today")

def swapped(image_size, classes, dropout):
    return nn.Identity()

def text(classes, image_size, dropout):
    return "mlp"

def half(classes, image_size, dropout):
    return mlp(classes, image_size, dropout).half()

def exits(classes, image_size, dropout):
    raise SystemExit

class View(nn.Module):  # flattens a convolution's map by view, which fails in channels_last
    def __init__(self, classes, side):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * side**2, classes)

    def forward(self, x):
        x = self.conv(x).relu()
        return self.last(x.view(x.size(0), -1))

class Shifted(View):  # holds a tensor that is neither parameter nor buffer
    def __init__(self, classes, side):
        super().__init__(classes, side)
        self.shift = torch.tensor([1.0])

    def forward(self, x):
        return super().forward(x + self.shift)

class Extra(View):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass

def view(classes, image_size, dropout):
    return View(classes, image_size)

def shifted(classes, image_size, dropout):
    return Shifted(classes, image_size)

def extra(classes, image_size, dropout):
    return Extra(classes, image_size)

def four(classes, image_size, dropout):
    if classes != 4:
        raise ValueError("four classes only")
    return View(classes, image_size)

NETWORKS = {
    "view": view, "shifted": shifted, "extra": extra, "four": four, "mlp": mlp, "tied": tied, "odd": odd,
    "broken": broken, "swapped": swapped, "text": text, "half": half, "exits": exits,
}
"""


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory):
    """A plug-in file, loaded for the tests of this module."""
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN)
    plugins.load(path)
    yield path
    plugins._files.clear()
    plugins._builders.clear()


def test_the_three_nearest_names():
    with pytest.raises(ConfigError) as raised:
        build("torchvision:resnt18")
    nearest = "torchvision:resnet18, torchvision:resnet152, torchvision:resnet101"
    assert str(raised.value) == f"unknown network 'torchvision:resnt18'; the nearest are {nearest}"


def test_a_plug_in_that_is_not_loaded():
    with pytest.raises(ConfigError) as raised:
        build("plugin:mlq")
    assert str(raised.value) == (
        "unknown network 'plugin:mlq'; the nearest are plugin:mlp, plugin:half, plugin:view; add "
        "--plugin FILE.py, or install its package"
    )


def test_an_absent_timm(monkeypatch):
    monkeypatch.setattr(external, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^timm:resnet18: timm is not installed here; type: pip install 'snapshot"):
        build("timm:resnet18")
    assert external.names("timm") == []


@pytest.mark.parametrize(
    ("name", "dropout", "options", "message"),
    [
        (
            "torchvision:resnet18",
            0.1,
            {},
            "torchvision:resnet18 has no dropout; take dropout out or set it to 0",
        ),
        (
            "torchvision:resnet18",
            0.0,
            {"width_per_grop": 3},
            "network_options: torchvision:resnet18 has no option 'width_per_grop'; did you mean 'width_per_group'?",
        ),
        (
            "torchvision:resnet18",
            0.0,
            {"weights": "DEFAULT"},
            "network_options: torchvision:resnet18 has no option 'weights'; the dataset and the other "
            "settings determine it",
        ),
        (
            "torchvision:resnet18",
            0.0,
            {"layers": [1, 1, 1, 1]},
            "network_options: torchvision:resnet18 has no option 'layers'; its options are zero_init_residual, groups, "
            "width_per_group, replace_stride_with_dilation",
        ),
        (
            "torchvision:squeezenet1_0",
            0.0,
            {"version": "1_1"},
            "network_options: torchvision:squeezenet1_0 has no option 'version'; its options are none",
        ),
        ("plugin:mlp", 0.0, {"depth": 3}, "network_options: plugin:mlp has no option 'depth'; its options are hidden"),
        (
            "resnet-8",
            0.0,
            {"depth": 3},
            "resnet-8 takes no network_options; they are for torchvision, timm and plugin networks",
        ),
        ("plugin:text", 0.0, {}, "plugin:text: expected its builder to return an nn.Module, given str"),
        (
            "plugin:half",
            0.0,
            {},
            "plugin:half: has float16 parameters; keep them float32, and set precision to train in bfloat16",
        ),
    ],
)
def test_what_a_builder_does_not_take(name, dropout, options, message):
    with pytest.raises(UserError) as raised:
        build(name, dropout=dropout, options=options)
    assert str(raised.value) == message


def test_a_builder_that_raises_shows_its_own_line(plugin):
    line = PLUGIN.split("\n").index('    raise ValueError("not today")') + 1
    with pytest.raises(UserError) as raised:
        build("plugin:broken")
    assert str(raised.value) == (
        f"plugin:broken: cannot be built for these settings: {plugin}:{line}: ValueError: not today"
    )


def test_a_builder_that_exits_does_not_end_the_command():
    with pytest.raises(UserError, match=r"^plugin:exits: cannot be built for these settings: .*: SystemExit$"):
        build("plugin:exits")


def test_the_order_of_a_builders_arguments_is_fixed():
    with pytest.raises(ConfigError) as raised:
        build("plugin:swapped")
    assert str(raised.value) == (
        "plugin:swapped: expected a builder (classes, image_size, dropout, ...) -> nn.Module, "
        "given swapped(image_size, classes, dropout)"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_at_all", r":1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit(0)", r":1: SystemExit: 0"),
        ("x = (", r":1: SyntaxError: '\(' was never closed"),
        ("x = 1", r"expected a mapping NETWORKS of names to builders in it, such as NETWORKS = \{'mlp': mlp\}"),
        ("NETWORKS = {'a': 3}", "NETWORKS: expected a name and a callable, given 'a': 3"),
        ("NETWORKS = {'mlp': print}", "another plug-in also has a network 'mlp'; rename one of them"),
    ],
)
def test_files_that_are_no_plug_ins(tmp_path, text, words):
    (tmp_path / "p.py").write_text(text)
    with pytest.raises(ConfigError, match=rf"^--plugin {tmp_path}/p\.py: .*{words}"):
        plugins.load(tmp_path / "p.py")
    with pytest.raises(ConfigError, match=r"cannot be read: No such file or directory$"):
        plugins.load(tmp_path / "q.py")


def test_entry_points_of_installed_packages(tmp_path, monkeypatch):
    info = tmp_path / "theirs-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[snapshot_cli.networks]\nlinear = theirs:linear\ngone = theirs:gone\n")
    (tmp_path / "theirs.py").write_text(
        "from torch import nn\n"
        "def linear(classes, image_size, dropout):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert {"linear", "gone", "mlp"} <= set(external.names("plugin"))
    assert build("plugin:linear", 5, 8)(torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    assert external.versions("plugin:linear") == {"plugin:linear": "theirs 1.2"}
    with pytest.raises(ConfigError, match=r"^plugin:gone: theirs:gone cannot be imported: .*AttributeError: "):
        build("plugin:gone")


def test_every_network_is_listed(plugin):
    code, out, _ = snapshot("list", "networks", "--plugin", plugin)
    lines = out.split("\n")
    assert code == 0
    assert lines[: len(forms())] == forms()
    assert {"torchvision:resnet18", "torchvision:vit_b_16", "plugin:mlp"} <= set(lines)
    assert "torchvision:fcn_resnet50" not in lines


def test_what_torch_counts_is_what_the_papers_networks_are_known_for():
    """The linear layer, 64 x 10, is what the closed form leaves out."""
    assert (
        operations._count_with_torch("resnet-8", 32, 10, "{}")
        == operations.count_multiply_adds("resnet-8", 32) + 64 * 10
    )
    assert operations.count_multiply_adds("plugin:mlp", 8, {"hidden": 5}) == 3 * 64 * 5 + 5 * 10


def run_of(tiny_run, network, **changes):
    return tiny_run(network=network, **changes)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "complex",
            "plugin:odd: expected its forward to return logits (images, 4), given complex64 (2, 4) for 2 images",
        ),
        ("tuple", "plugin:odd: expected its forward to return logits (images, 4), given tuple"),
        ("shape", "plugin:odd: expected its forward to return logits (images, 4), given float32 (2, 3) for 2 images"),
        ("idle", "plugin:odd: no gradient reaches idle; leave them out of the network, or set requires_grad to False"),
    ],
)
def test_networks_that_cannot_be_trained_are_refused_before_anything_is_written(
    what, message, tiny_run, tiny_data, tmp_path
):
    run = run_of(tiny_run, "plugin:odd", network_options={"what": what})
    with pytest.raises(UserError) as raised:
        in_process.train(run, Machine(tiny_data, tmp_path, device="cpu"), callback=Silent())
    assert str(raised.value) == message
    assert not list(tmp_path.iterdir())


def test_images_that_a_network_cannot_take_show_its_own_line(tiny_run, tiny_dataset):
    with pytest.raises(UserError, match=r"^torchvision:alexnet: cannot take images of 8x8 pixels: .*alexnet\.py:\d+: "):
        trial.check(run_of(tiny_run, "torchvision:alexnet"), tiny_dataset.manifest)


def test_a_last_batch_of_one_image(tiny_run, tiny_data, tmp_path):
    run = run_of(tiny_run, "torchvision:resnet18", train_size=81, batch_size=16)
    with pytest.raises(ConfigError, match=r"cannot be trained on a batch of 1 image, .*; choose another batch_size"):
        in_process.train(run, Machine(tiny_data, tmp_path, device="cpu"), callback=Silent())
    assert (
        trial.check(
            run_of(tiny_run, "plugin:mlp"), in_process.ensure_prepared("tiny", Machine(tiny_data, tmp_path)), smallest=1
        )
        == []
    )


def test_a_forward_that_differs_is_told_at_the_start(tiny_run, tiny_dataset):
    (line,) = trial.check(run_of(tiny_run, "plugin:odd"), tiny_dataset.manifest)
    assert line.startswith("plugin:odd: two forward passes with the same weights, images and seed differ")


def finish(run, machine, *, stop_after=None):
    """Train a run, stopped once after some steps."""
    if stop_after is not None:
        seen = []
        with before_steps(seen.append), pytest.raises(Stopped):
            in_process.train(run, machine, callback=Silent(), stop=lambda: bool(seen) and seen[-1] >= stop_after)
    return in_process.train(run, machine, callback=Silent())


NETWORKS = ["torchvision:resnet18", "plugin:mlp", "plugin:tied"]


@pytest.mark.parametrize("network", NETWORKS)
def test_they_resume_exactly(network, tiny_run, tiny_data, tmp_path):
    run = run_of(tiny_run, network, budget=1)
    whole = finish(run, Machine(tiny_data, tmp_path / "whole", device="cpu"))
    stopped = finish(run, Machine(tiny_data, tmp_path / "stopped", device="cpu"), stop_after=3)
    for k in (1, 2):
        assert whole.snapshot_path(k).read_bytes() == stopped.snapshot_path(k).read_bytes()
    assert whole.predictions("test", 2).tobytes() == stopped.predictions("test", 2).tobytes()


def test_the_code_behind_a_plug_in_is_recorded(tiny_run, tiny_data, tmp_path):
    run = run_of(tiny_run, "plugin:mlp", budget=1)
    directory = in_process.train(run, Machine(tiny_data, tmp_path, device="cpu"), callback=Silent())
    assert re.fullmatch("sha256:[0-9a-f]{64}", directory.machine["versions"]["plugin:mlp"])
    assert directory.path.name.startswith("plugin-mlp-cosine-M2-")


def test_interpolation_without_batch_norm(tiny_run, tiny_data, tmp_path):
    run, machine = run_of(tiny_run, "plugin:tied", budget=1), Machine(tiny_data, tmp_path, device="cpu")
    directory = in_process.train(run, machine, callback=Silent())
    in_process.interpolate(run, machine)
    rows = directory.interpolation()
    assert len(rows) == 33
    assert all(len({row[3] for row in rows[k : k + 3]}) == 1 for k in range(0, 33, 3))


@pytest.mark.parametrize(("network", "members"), [("plugin:tied", "all"), ("torchvision:resnet18", "1,2,2")])
def test_an_exported_file_answers_as_the_run_did(network, members, tiny_run, tiny_data, tiny_dataset, tmp_path):
    """Tied weights, a buffer that is not in the state, and a member that counts twice."""
    directory = in_process.train(
        run_of(tiny_run, network, budget=1), Machine(tiny_data, tmp_path, device="cpu"), callback=Silent()
    )
    snapshots = finished.all_snapshots([directory])
    card = export(snapshots, tiny_data, tmp_path / "e.pt2", members=members)
    numbers = card["selection"]["numbers"]
    assert [member["snapshot"] for member in card["members"]] == numbers
    stored = [torch.from_numpy(directory.predictions("test", k)).softmax(1) for k in numbers]
    images = np.ascontiguousarray(np.array(tiny_dataset.test_images).transpose(0, 3, 1, 2))
    for probabilities, _ in (
        exported.read(tmp_path / "e.pt2").answer(images),
        torch.export.load(tmp_path / "e.pt2").module()(torch.from_numpy(images)),
    ):
        torch.testing.assert_close(torch.as_tensor(probabilities), torch.stack(stored).mean(0), rtol=0, atol=2e-5)


def test_an_exported_file_of_a_plug_in_that_is_not_there(tiny_run, tiny_data, tmp_path, monkeypatch):
    directory = in_process.train(
        run_of(tiny_run, "plugin:mlp", budget=1), Machine(tiny_data, tmp_path, device="cpu"), callback=Silent()
    )
    export(finished.all_snapshots([directory]), tiny_data, tmp_path / "e.pt2")
    monkeypatch.delitem(plugins._builders, "mlp")
    with pytest.raises(ConfigError, match=r"^unknown network 'plugin:mlp'; .*add --plugin FILE\.py"):
        exported.read(tmp_path / "e.pt2")


def test_options_are_part_of_a_runs_name_and_the_defaults_are_not():
    fields = {"dataset": "tiny", "budget": 1, "cycles": 1, "schedule": "cosine"}
    plain = Run(network="plugin:mlp", **fields)
    wide, same = (Run(network="plugin:mlp", network_options={"hidden": n}, **fields) for n in (8, 8))
    assert len({plain, wide, same}) == 2
    assert plain.run_id != wide.run_id == same.run_id


def test_the_command_line_trains_a_plug_in_and_says_what_is_wrong_with_options(plugin, tiny_data, tmp_path):
    settings = {"dataset": "tiny", "network": "plugin:mlp", "method": "snapshot", "budget": 1, "cycles": 2}
    file = write(tmp_path / "e.yaml", settings | {"network_options": {"hidden": 4}})
    words = ["--data-dir", tiny_data, "--plugin", plugin]
    code, out, err = snapshot("train", file, *words, "--results-dir", tmp_path / "r", "--device", "cpu")
    assert code == 0, err
    (path,) = (tmp_path / "r/runs/tiny").iterdir()
    assert json.loads((path / "machine.json").read_text())["versions"].keys() >= {"plugin:mlp"}
    code, out, _ = snapshot("estimate", file, *words, "--steps", 0)
    assert code == 0
    assert "0.0 M" in out
    file = write(tmp_path / "f.yaml", settings | {"network_options": {"hidden": {"a": 1}}})
    code, _, err = snapshot("train", file, *words)
    assert code == 2
    assert err == (
        f"{file}:6:1: network_options: expected numbers, texts, true, false, null or lists of them, given {{'a': 1}} "
        "for hidden\n"
    )
    file = write(tmp_path / "g.yaml", settings | {"network": "resnet-8", "network_options": {"hidden": 1}})
    code, _, err = snapshot("train", file, *words)
    assert (code, err) == (2, f"{file}:6:1: network_options: expected none, as resnet-8 takes none, given hidden\n")


def test_timm(tiny_run, tiny_data, tmp_path):
    pytest.importorskip("timm")
    with pytest.raises(
        ConfigError, match=r"^unknown network 'timm:mixer_b16_22'; the nearest are timm:mixer_b16_224, "
    ):
        build("timm:mixer_b16_22")
    with pytest.raises(
        ConfigError, match=r"^network_options: timm:resnet18 has no option 'pretrained'; the dataset and"
    ):
        build("timm:resnet18", options={"pretrained": True})
    network = build("timm:vit_tiny_patch16_224", 4, 16, 0.1, options={"drop_path_rate": 0.1})
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 4)
    assert any(isinstance(module, nn.Dropout) and module.p == 0.1 for module in network.modules())
    run = run_of(tiny_run, "timm:test_vit", budget=1, network_options={"patch_size": 4})
    machine = Machine(tiny_data, tmp_path, device="cpu")
    directory = RunDirectory.of(run, tmp_path)
    assert trial.check(run, in_process.ensure_prepared("tiny", machine)) == []
    assert "timm" in in_process.train(run, machine, callback=Silent()).machine["versions"]
    assert directory.status == "done"


def test_an_unknown_name_like_no_other_has_three_nearest_too():
    with pytest.raises(
        ConfigError, match=r"^unknown network 'torchvision:qqqq'; the nearest are (torchvision:\w+(, )?){3}$"
    ):
        build("torchvision:qqqq")


def test_a_network_that_cannot_run_in_channels_last_gets_contiguous_images(tiny_run, tiny_data, tiny_dataset, tmp_path):
    run, machine = run_of(tiny_run, "plugin:view", budget=1), Machine(tiny_data, tmp_path, device="cpu")
    assert trial.check(run, tiny_dataset.manifest) == []
    directory = in_process.train(run, machine, callback=Silent())
    in_process.interpolate(run, machine)
    assert (directory.status, directory.has_interpolation) == ("done", True)
    convolutional = network.build_for_training(
        run_of(tiny_run, "torchvision:resnet18"), tiny_dataset.manifest, torch.device("cpu")
    )
    assert convolutional.conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_the_size_of_a_network_with_a_tensor_that_is_no_buffer(tiny_run):
    size = measure.size(run_of(tiny_run, "plugin:shifted"), classes=4, image_size=8, device=torch.device("cpu"))
    assert size.parameters == 3 * 4 * 9 + 4 + 4 * 64 * 4 + 4


def test_a_state_that_is_no_tensor_is_refused(tiny_run, tiny_dataset):
    with pytest.raises(UserError, match=r"^plugin:extra: its state_dict\(\) has values that are no tensors"):
        trial.check(run_of(tiny_run, "plugin:extra"), tiny_dataset.manifest)


def test_operations_are_those_for_the_datasets_classes(tiny_run):
    run = run_of(tiny_run, "plugin:four", budget=1)
    assert plan.operations(run, 200, 8, 4) == 200 * (3 * 4 * 9 * 64 + 4 * 64 * 4)
    with pytest.raises(UserError, match=r"^plugin:four: cannot be built for these settings: .*four classes only"):
        plan.operations(run, 200, 8, 5)


def test_images_that_do_not_fit_have_no_operations():
    with pytest.raises(UserError, match=r"^torchvision:alexnet: cannot take images of 8x8 pixels: "):
        operations.count_multiply_adds("torchvision:alexnet", 8)
