import math
import subprocess
import sys
from hashlib import sha256

import pytest
import torch
from torch import nn
from torch.nn import functional

from snapshot_cli.errors import UserError
from snapshot_cli.networks import build
from snapshot_cli.networks.resnet import Block

SMALL = ["resnet-8", "wide-resnet-8-2", "densenet-13-12"]


def wave(shape, phase):
    """Return values between -1 and 1 that look random and depend on their place alone."""
    places = torch.arange(math.prod(shape))
    return torch.sin((places * places % 9973).double() + phase).view(shape)


def fill(network):
    """Overwrite every parameter and statistic by a wave: around 1 for scales and variances, around 0 for the rest."""
    for phase, (name, tensor) in enumerate(network.state_dict().items()):
        if tensor.dim() > 1:
            tensor.copy_(wave(tensor.shape, phase) * 2 / math.sqrt(tensor[0].numel()))
        elif tensor.is_floating_point():
            around = 1.0 if name.endswith(("running_var", "weight")) else 0.0
            tensor.copy_(around + 0.2 * wave(tensor.shape, phase))
    return network


def images(count, side):
    return wave((count, 3, side, side), 0.5)


def seeded(name, **options):
    torch.manual_seed(0)
    return build(name, **options)


# --- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("resnet-110", 10, 1_727_962),
        ("wide-resnet-32-4", 10, 7_386_186),
        ("densenet-40-12", 10, 1_019_722),
        ("densenet-100-24", 10, 27_249_082),
        ("imagenet-resnet-50", 1000, 25_557_032),
        ("resnet-110", 100, 1_727_962 + 90 * 65),
        ("wide-resnet-32-4", 100, 7_386_186 + 90 * 257),
        ("densenet-40-12", 100, 1_019_722 + 90 * 449),
        ("densenet-100-24", 100, 27_249_082 + 90 * 2321),
    ],
)
def test_parameter_counts(name, classes, parameters):
    with torch.device("meta"):
        network = build(name, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(("side", "last_map"), [(8, 2), (12, 3), (32, 8), (64, 8)])
@pytest.mark.parametrize(
    ("name", "last"), [("resnet-8", "stage3"), ("wide-resnet-8-2", "stage3"), ("densenet-7-4", "block3")]
)
def test_shapes_and_stride_2_for_64_pixels(name, last, side, last_map):
    network, seen = build(name, 7, side), {}
    network.get_submodule(last).register_forward_hook(lambda _, __, maps: seen.update(side=maps.shape[2:]))
    assert network(torch.zeros(2, 3, side, side)).shape == (2, 7)
    assert seen["side"] == (last_map, last_map)


@pytest.mark.parametrize("side", [8, 32, 64])
def test_shapes_of_the_imagenet_network(side):
    assert build("imagenet-resnet-50", 5, side)(torch.zeros(2, 3, side, side)).shape == (2, 5)


@pytest.mark.parametrize(("side", "multiple", "near"), [(30, 4, 32), (68, 8, 72), (2, 4, 4), (0, 4, 4), (-4, 4, 4)])
def test_sides_that_do_not_fit(side, multiple, near):
    with pytest.raises(UserError) as error:
        build("resnet-8", 10, side)
    assert str(error.value) == (
        f"resnet-8 cannot take images of {side}x{side} pixels: the side must be a multiple of {multiple};"
        f" prepare them again with --size {near}"
    )


def test_the_imagenet_network_refuses_dropout():
    with pytest.raises(UserError) as error:
        build("imagenet-resnet-50", dropout=0.2)
    assert str(error.value) == "imagenet-resnet-50 has no dropout; take dropout out or set it to 0"


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"^unknown network 'rednet-8'; did you mean 'resnet-8'\?$"):
        build("rednet-8")


# --- layers and their names -----------------------------------------------------------------------


def layers(network, side=8):
    """Return the layers that have values or drop them, in the order in which a forward pass meets them."""
    order = []

    def note(module, inputs, _):
        if isinstance(module, nn.Conv2d):
            order.append(f"conv{module.kernel_size[0]} {module.in_channels}-{module.out_channels} /{module.stride[0]}")
        elif isinstance(module, nn.BatchNorm2d):
            order.append(f"norm {module.num_features}")
        elif isinstance(module, nn.Dropout):
            order.append(f"dropout {module.p}")
        elif isinstance(module, nn.Linear):
            order.append(f"linear {module.in_features}-{module.out_features}")

    for module in network.modules():
        module.register_forward_hook(note)
    network.eval()(torch.zeros(2, 3, side, side))  # a dense block in training does not call its layers
    return order


def test_order_of_the_layers_of_a_resnet():
    assert layers(build("resnet-8", dropout=0.2)) == [
        *("conv3 3-16 /1", "norm 16"),
        *("conv3 16-16 /1", "norm 16", "dropout 0.2", "conv3 16-16 /1", "norm 16"),
        *("conv3 16-32 /2", "norm 32", "dropout 0.2", "conv3 32-32 /1", "norm 32"),
        *("conv3 32-64 /2", "norm 64", "dropout 0.2", "conv3 64-64 /1", "norm 64"),
        "linear 64-10",
    ]


def test_a_wide_resnet_is_a_resnet_with_every_width_multiplied():
    assert layers(build("wide-resnet-8-4", 100)) == [
        *("conv3 3-64 /1", "norm 64"),
        *("conv3 64-64 /1", "norm 64", "conv3 64-64 /1", "norm 64"),
        *("conv3 64-128 /2", "norm 128", "conv3 128-128 /1", "norm 128"),
        *("conv3 128-256 /2", "norm 256", "conv3 256-256 /1", "norm 256"),
        "linear 256-100",
    ]


def test_order_of_the_layers_of_a_densenet():
    assert layers(build("densenet-10-12", dropout=0.2)) == [
        "conv3 3-16 /1",
        *("norm 16", "conv3 16-12 /1", "dropout 0.2", "norm 28", "conv3 28-12 /1", "dropout 0.2"),
        *("norm 40", "conv1 40-40 /1", "dropout 0.2"),
        *("norm 40", "conv3 40-12 /1", "dropout 0.2", "norm 52", "conv3 52-12 /1", "dropout 0.2"),
        *("norm 64", "conv1 64-64 /1", "dropout 0.2"),
        *("norm 64", "conv3 64-12 /1", "dropout 0.2", "norm 76", "conv3 76-12 /1", "dropout 0.2"),
        *("norm 88", "linear 88-10"),
    ]


@pytest.mark.parametrize("name", ["resnet-8", "wide-resnet-8-2", "densenet-7-4"])
def test_only_the_first_convolution_changes_for_64_pixels(name):
    small, large = layers(build(name)), layers(build(name, image_size=64), side=64)
    assert large == [small[0].replace("/1", "/2"), *small[1:]]


@pytest.mark.parametrize(
    ("name", "layers_with_weights", "dropouts"),
    [
        ("resnet-20", 20, 9),
        ("resnet-110", 110, 54),
        ("wide-resnet-32-4", 32, 15),
        ("densenet-13-12", 13, 11),
        ("densenet-40-12", 40, 38),
        ("densenet-100-24", 100, 98),
    ],
)
def test_depth_and_number_of_dropouts(name, layers_with_weights, dropouts):
    def count(network, *kinds):
        return sum(isinstance(module, kinds) for module in network.modules())

    with torch.device("meta"):
        plain, dropping = build(name), build(name, dropout=0.2)
    assert count(plain, nn.Conv2d, nn.Linear) == layers_with_weights
    assert count(plain, nn.Dropout) == 0
    assert count(dropping, nn.Dropout) == dropouts
    assert list(plain.state_dict()) == list(dropping.state_dict())


@pytest.mark.parametrize("name", SMALL)
def test_dropout_acts_in_training_mode_only(name):
    network, x = seeded(name, dropout=0.2, image_size=8), torch.randn(8, 3, 8, 8)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("name", "drop", "survivals"),
    [
        ("resnet-8", 0.5, [5 / 6, 4 / 6, 3 / 6]),
        ("wide-resnet-8-2", 0.3, [0.9, 0.8, 0.7]),
        ("resnet-14", 0.6, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
        ("resnet-110", 0.5, [1 - block / 108 for block in range(1, 55)]),  # the paper's p_L = 0.5, its L = 54
        ("resnet-8", 0.0, [1, 1, 1]),
    ],
)
def test_survival_falls_linearly_to_the_last_block(name, drop, survivals):
    with torch.device("meta"):
        network = build(name, stochastic_depth=drop)
    blocks = [module for module in network.modules() if isinstance(module, Block)]
    assert [block.survival for block in blocks] == pytest.approx(survivals)


@pytest.mark.parametrize("name", ["densenet-7-4", "imagenet-resnet-50"])
def test_networks_without_blocks_to_skip_refuse_stochastic_depth(name):
    with pytest.raises(UserError) as error:
        build(name, stochastic_depth=0.5)
    assert str(error.value) == f"{name} has no blocks to skip; take stochastic_depth out or set it to 0"


def block_of_ones(survival):
    """Return a block whose residual is 3 wherever images are constant and statistics are stored ones."""
    block = Block(2, 2, stride=1, dropout=0.0, survival=survival).double()
    torch.nn.init.zeros_(block.conv1.weight)
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.constant_(block.norm2.bias, 3.0)
    return block


def test_a_batch_passes_through_a_block_or_around_it_as_often_as_the_probability_says():
    block, x = block_of_ones(0.75), torch.ones(2, 2, 4, 4, dtype=torch.float64)
    torch.manual_seed(0)
    passes = [block(x) for _ in range(2000)]
    assert all(len(outputs.unique()) == 1 for outputs in passes)  # one draw a batch
    means = [float(outputs.mean().detach()) for outputs in passes]
    assert set(means) == {1.0, 4.0}
    assert sum(means) / 2000 == pytest.approx(1 + 0.75 * 3, abs=4 * 3 * math.sqrt(0.75 * 0.25 / 2000))
    assert bool((block.eval()(x) == 1 + 0.75 * 3).all())  # the expectation, by hand


def test_a_gate_draws_with_the_exact_probability_whatever_the_precision_of_the_maps(monkeypatch):
    drawn = []
    monkeypatch.setattr(torch, "bernoulli", lambda p: drawn.append(float(p)) or p)
    gate = block_of_ones(0.997).gate(torch.ones(1, dtype=torch.bfloat16))
    assert drawn == pytest.approx([0.997], abs=1e-6)  # in bfloat16 it would be 0.9961
    assert (torch.ones(2, dtype=torch.bfloat16) * gate).dtype == torch.bfloat16


def test_the_gradient_of_a_block_is_that_of_its_gate():
    x, seen = torch.ones(2, 2, 4, 4, dtype=torch.float64, requires_grad=True), set()
    torch.manual_seed(0)
    for _ in range(10):
        block, x.grad = block_of_ones(0.5), None
        (outputs := block(x)).sum().backward()
        is_open = bool(outputs[0, 0, 0, 0] == 4)
        seen.add(is_open)
        assert block.norm2.bias.grad.tolist() == [32.0 * is_open] * 2  # 2 images of 16 pixels
        assert bool((x.grad == 1).all())
        block.eval()(x).sum().backward()
        assert block.norm2.bias.grad.tolist() == [32.0 * is_open + 16] * 2
    assert seen == {True, False}


def test_without_stochastic_depth_nothing_is_drawn_and_nothing_scaled():
    x = torch.randn(8, 3, 8, 8)
    before = torch.get_rng_state()
    network = build("resnet-8", 10, 8)
    torch.set_rng_state(before)
    network(x)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["resnet-8", "wide-resnet-8-2"])
def test_stochastic_depth_acts_in_training_mode_and_is_exported_scaled(name):
    network, x = seeded(name, image_size=8, stochastic_depth=0.5), torch.randn(8, 3, 8, 8)
    assert len({float(network(x).sum().detach()) for _ in range(20)}) > 1
    network.eval()
    assert torch.equal(network(x), network(x))
    exported = torch.export.export(network, (x,)).module()
    torch.testing.assert_close(exported(x), network(x))
    plain = build(name, image_size=8).eval()
    plain.load_state_dict(network.state_dict())
    assert not torch.allclose(plain(x), network(x))


# Names and weight shapes of released snapshots: to change one is to make old snapshots unreadable.
RESNET_8 = {
    "conv": (16, 3, 3, 3),
    "norm": (16,),
    "stage1.0.conv1": (16, 16, 3, 3),
    "stage1.0.norm1": (16,),
    "stage1.0.conv2": (16, 16, 3, 3),
    "stage1.0.norm2": (16,),
    "stage2.0.conv1": (32, 16, 3, 3),
    "stage2.0.norm1": (32,),
    "stage2.0.conv2": (32, 32, 3, 3),
    "stage2.0.norm2": (32,),
    "stage3.0.conv1": (64, 32, 3, 3),
    "stage3.0.norm1": (64,),
    "stage3.0.conv2": (64, 64, 3, 3),
    "stage3.0.norm2": (64,),
    "classifier": (10, 64),
}
WIDE_RESNET_8_2 = {
    "conv": (32, 3, 3, 3),
    "norm": (32,),
    "stage1.0.conv1": (32, 32, 3, 3),
    "stage1.0.norm1": (32,),
    "stage1.0.conv2": (32, 32, 3, 3),
    "stage1.0.norm2": (32,),
    "stage2.0.conv1": (64, 32, 3, 3),
    "stage2.0.norm1": (64,),
    "stage2.0.conv2": (64, 64, 3, 3),
    "stage2.0.norm2": (64,),
    "stage3.0.conv1": (128, 64, 3, 3),
    "stage3.0.norm1": (128,),
    "stage3.0.conv2": (128, 128, 3, 3),
    "stage3.0.norm2": (128,),
    "classifier": (10, 128),
}
DENSENET_13_12 = {
    "conv": (16, 3, 3, 3),
    "block1.0.norm": (16,),
    "block1.0.conv": (12, 16, 3, 3),
    "block1.1.norm": (28,),
    "block1.1.conv": (12, 28, 3, 3),
    "block1.2.norm": (40,),
    "block1.2.conv": (12, 40, 3, 3),
    "transition1.norm": (52,),
    "transition1.conv": (52, 52, 1, 1),
    "block2.0.norm": (52,),
    "block2.0.conv": (12, 52, 3, 3),
    "block2.1.norm": (64,),
    "block2.1.conv": (12, 64, 3, 3),
    "block2.2.norm": (76,),
    "block2.2.conv": (12, 76, 3, 3),
    "transition2.norm": (88,),
    "transition2.conv": (88, 88, 1, 1),
    "block3.0.norm": (88,),
    "block3.0.conv": (12, 88, 3, 3),
    "block3.1.norm": (100,),
    "block3.1.conv": (12, 100, 3, 3),
    "block3.2.norm": (112,),
    "block3.2.conv": (12, 112, 3, 3),
    "norm": (124,),
    "classifier": (10, 124),
}
TENSORS = {
    4: ["weight"],
    2: ["weight", "bias"],
    1: ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"],
}


@pytest.mark.parametrize(
    ("name", "modules"),
    [("resnet-8", RESNET_8), ("wide-resnet-8-2", WIDE_RESNET_8_2), ("densenet-13-12", DENSENET_13_12)],
)
def test_golden_parameter_names(name, modules):
    state = build(name).state_dict()
    assert list(state) == [f"{module}.{tensor}" for module, shape in modules.items() for tensor in TENSORS[len(shape)]]
    assert {module: tuple(state[f"{module}.weight"].shape) for module in modules} == modules


def test_names_of_the_imagenet_network_are_torchvisions():
    with torch.device("meta"):
        state = build("imagenet-resnet-50", 1000).state_dict()
    assert len(state) == 320
    assert [*state][:2] == ["conv1.weight", "bn1.weight"]
    assert [*state][-2:] == ["fc.weight", "fc.bias"]
    assert state["layer2.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    lines = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items())
    assert sha256(lines.encode()).hexdigest() == "d7e4f8bb0a5363446a59c81c3887ccf66900a11651a0ae2dec96d1bb1eb6ea81"


# --- the same numbers as before, and as the paper's words give ------------------------------------

GOLDEN = {
    "resnet-8": [
        [-2.673672439, 1.632297504, 0.999768254, -0.112228088],
        [-2.122138379, 1.654621028, 1.142789355, -0.031278737],
    ],
    "wide-resnet-8-2": [
        [-1.728991736, -1.421634207, 0.202210671, 1.268345668],
        [-0.584785263, 0.324106518, -1.174311701, 1.642016614],
    ],
    "densenet-13-12": [
        [0.451010553, 0.173966146, 0.385698077, 0.501713784],
        [0.535802751, 0.209137044, 0.369542819, 0.487157653],
    ],
    "imagenet-resnet-50": [
        [-4329.2080576538, -153.1138338801, 670.9856504248, -148.6907123635],
        [-4363.3674621581, -198.4781712210, 799.9814923881, -156.3667784191],
    ],
}


@pytest.mark.parametrize("name", GOLDEN)
@torch.no_grad()
def test_golden_forward_pass(name):
    side = 32 if name.startswith("imagenet") else 8
    network = fill(build(name, 4, side).double()).eval()
    torch.testing.assert_close(
        network(images(2, side)), torch.tensor(GOLDEN[name], dtype=torch.float64), rtol=1e-6, atol=1e-6
    )


def norm(state, at, x, training):
    """Normalise by the batch's own statistics or by the stored ones."""
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    else:
        mean, variance = state[f"{at}.running_mean"], state[f"{at}.running_var"]
    scale = state[f"{at}.weight"] / torch.sqrt(variance + 1e-5)
    return (x - mean[:, None, None]) * scale[:, None, None] + state[f"{at}.bias"][:, None, None]


def conv(state, at, x, stride=1):
    weight = state[f"{at}.weight"]
    return functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)


def linear(state, at, x):
    """Classify the mean over all places."""
    return x.mean(3).mean(2) @ state[f"{at}.weight"].T + state[f"{at}.bias"]


def naive_resnet(state, x, *, blocks, stride, training):
    x = torch.relu(norm(state, "norm", conv(state, "conv", x, stride), training))
    for stage in (1, 2, 3):
        for at in (f"stage{stage}.{block}" for block in range(blocks)):
            step = 2 if stage > 1 and at.endswith(".0") else 1
            y = torch.relu(norm(state, f"{at}.norm1", conv(state, f"{at}.conv1", x, step), training))
            y = norm(state, f"{at}.norm2", conv(state, f"{at}.conv2", y), training)
            shortcut = x if step == 1 else functional.avg_pool2d(x, 1, stride=2)
            zeros = torch.zeros_like(y)[:, shortcut.shape[1] :]
            x = torch.relu(y + torch.cat((shortcut, zeros), 1))
    return linear(state, "classifier", x)


def naive_densenet(state, x, *, blocks, stride, training):
    x = conv(state, "conv", x, stride)
    for block in (1, 2, 3):
        features = [x]
        for at in (f"block{block}.{layer}" for layer in range(blocks)):
            y = torch.relu(norm(state, f"{at}.norm", torch.cat(features, 1), training))
            features.append(conv(state, f"{at}.conv", y))
        x = torch.cat(features, 1)
        if block < 3:
            at = f"transition{block}"
            x = functional.avg_pool2d(conv(state, f"{at}.conv", torch.relu(norm(state, f"{at}.norm", x, training))), 2)
    return linear(state, "classifier", torch.relu(norm(state, "norm", x, training)))


def naive_bottleneck(state, x, *, blocks, stride, training):
    x = torch.relu(norm(state, "bn1", conv(state, "conv1", x, stride), training))
    x = functional.max_pool2d(x, 3, 2, 1)
    for layer, count in enumerate(blocks, start=1):
        for at in (f"layer{layer}.{block}" for block in range(count)):
            step = 2 if layer > 1 and at.endswith(".0") else 1
            y = torch.relu(norm(state, f"{at}.bn1", conv(state, f"{at}.conv1", x), training))
            y = torch.relu(norm(state, f"{at}.bn2", conv(state, f"{at}.conv2", y, step), training))
            y = norm(state, f"{at}.bn3", conv(state, f"{at}.conv3", y), training)
            if at.endswith(".0"):
                x = norm(state, f"{at}.downsample.1", conv(state, f"{at}.downsample.0", x, step), training)
            x = torch.relu(y + x)
    return linear(state, "fc", x)


NAIVE = [
    ("resnet-8", 8, naive_resnet, 1, 1),
    ("resnet-20", 12, naive_resnet, 3, 1),
    ("resnet-8", 64, naive_resnet, 1, 2),
    ("wide-resnet-8-2", 8, naive_resnet, 1, 1),
    ("wide-resnet-14-3", 12, naive_resnet, 2, 1),
    ("densenet-13-12", 8, naive_densenet, 3, 1),
    ("densenet-7-4", 64, naive_densenet, 1, 2),
    ("imagenet-resnet-50", 32, naive_bottleneck, (3, 4, 6, 3), 2),
]


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(("name", "side", "naive", "blocks", "stride"), NAIVE, ids=[f"{n[0]}-{n[1]}px" for n in NAIVE])
def test_logits_and_gradients_equal_those_of_a_naive_definition(name, side, naive, blocks, stride, training):
    network = fill(build(name, 4, side).double()).train(training)
    state = {**dict(network.named_buffers()), **dict(network.named_parameters())}
    state = {key: tensor.detach().clone().requires_grad_(tensor.requires_grad) for key, tensor in state.items()}
    x, labels = images(4, side), torch.tensor([0, 1, 2, 3])
    logits, expected = network(x), naive(state, x, blocks=blocks, stride=stride, training=training)
    torch.testing.assert_close(logits, expected, rtol=1e-7, atol=1e-7)
    functional.cross_entropy(logits, labels).backward()
    functional.cross_entropy(expected, labels).backward()
    for key, parameter in network.named_parameters():
        torch.testing.assert_close(
            parameter.grad, state[key].grad, rtol=1e-6, atol=1e-8, msg=lambda m, key=key: f"{key}: {m}"
        )


@pytest.mark.parametrize("name", SMALL)
def test_channels_last_does_not_change_the_numbers(name):
    network, x = fill(build(name, 4, 8).double()).eval(), images(2, 8)
    plain = network(x)
    last = network.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain)


# --- the start and the first steps of training ----------------------------------------------------


@pytest.mark.parametrize("name", ["resnet-20", "wide-resnet-8-4", "densenet-22-12", "imagenet-resnet-50"])
def test_initial_values(name):
    for module in seeded(name).modules():
        if isinstance(module, nn.Conv2d):
            weight, (height, width) = module.weight.detach(), module.kernel_size
            expected = math.sqrt(2 / (height * width * module.out_channels))
            tolerance = 5 / math.sqrt(2 * weight.numel())  # five standard errors of a deviation
            assert float(weight.std()) == pytest.approx(expected, rel=tolerance)
            assert abs(float(weight.mean())) < 5 * expected / math.sqrt(weight.numel())
            assert module.bias is None
        elif isinstance(module, nn.BatchNorm2d):
            assert bool((module.weight == 1).all())
            assert bool((module.bias == 0).all())
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            assert 0.95 * bound < float(module.weight.detach().abs().max()) <= bound
            assert float(module.weight.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)
            assert bool((module.bias == 0).all())


def test_the_seed_decides_the_initial_values():
    first, second = seeded("resnet-8").state_dict(), seeded("resnet-8").state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["conv.weight"], build("resnet-8").state_dict()["conv.weight"])


@torch.no_grad()
def initial_loss(name, classes, side):
    network = seeded(name, classes=classes)
    return float(functional.cross_entropy(network(torch.randn(32, 3, side, side)), torch.arange(32) % classes))


@pytest.mark.parametrize(
    ("name", "classes", "side"),
    [("densenet-13-12", 10, 8), ("densenet-13-12", 100, 32), ("densenet-40-12", 100, 32), ("densenet-100-24", 10, 8)],
)
def test_initial_loss_of_a_densenet_is_that_of_guessing(name, classes, side):
    assert initial_loss(name, classes, side) == pytest.approx(math.log(classes), rel=0.15)


@pytest.mark.parametrize("name", ["resnet-8", "resnet-110", "wide-resnet-8-4", "imagenet-resnet-50"])
def test_initial_loss_is_finite(name):
    assert math.isfinite(initial_loss(name, 10, side=16))


@pytest.mark.parametrize(
    ("name", "dropout", "rate"),
    [*((name, dropout, 0.1) for name in SMALL for dropout in (0.0, 0.2)), ("imagenet-resnet-50", 0.0, 0.01)],
)
def test_twenty_steps_on_one_batch_lower_the_loss_and_reach_every_parameter(name, dropout, rate):
    network = seeded(name, dropout=dropout)
    x, labels = torch.randn(8, 3, 16, 16), torch.arange(8)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=1e-4)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(x), labels)
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


# --- memory and imports ---------------------------------------------------------------------------


def test_importing_the_package_does_not_import_torch():
    code = "import sys, snapshot_cli.networks as n; n.names.parse('resnet-8'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_network_without_content_draws_no_weights(monkeypatch):
    """On the device meta, drawing imports for seconds what predictions from an exported file do not need."""
    monkeypatch.setattr(torch.nn.init, "kaiming_normal_", None)
    with torch.device("meta"):
        network = build("resnet-8", 10, 8)
    assert all(parameter.is_meta for parameter in network.parameters())
