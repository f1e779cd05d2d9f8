import pytest
import torch

from snapshot_cli.config.machine import Machine
from snapshot_cli.networks import build
from snapshot_cli.training import measure


@pytest.mark.parametrize("network", ["resnet-8", "wide-resnet-8-2", "densenet-7-12"])
def test_parameters_and_bytes_are_those_of_the_network(tiny_run, network):
    found = measure.size(tiny_run(network=network), classes=4, image_size=8, device=torch.device("cpu"))
    built = build(network, 4, 8)
    assert found.parameters == sum(parameter.numel() for parameter in built.parameters())
    assert found.weights == sum(tensor.nbytes for tensor in built.state_dict().values())


def kept_of(run, device="cpu"):
    return measure.size(run, classes=4, image_size=8, device=torch.device(device)).activations


def test_a_densenet_keeps_less_on_a_cpu(tiny_run):
    run = tiny_run(network="densenet-22-12")
    assert 0 < 2 * kept_of(run) < kept_of(run, "cuda")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("network", ["resnet-8", "densenet-22-12"])
def test_bfloat16_keeps_half_and_at_most_a_copy_of_the_weights(tiny_run, network, device):
    run = tiny_run(network=network, batch_size=64)
    weights = 2 * measure.size(run, classes=4, image_size=8, device=torch.device(device)).parameters
    half = kept_of(run, device) / 2
    assert 0 < kept_of(run.model_copy(update={"precision": "bfloat16"}), device) - half < weights + 0.02 * half


def test_activations_grow_with_the_batch_and_are_what_a_real_pass_keeps(tiny_run):
    small, large = (kept_of(tiny_run(batch_size=size)) for size in (16, 32))
    assert large == pytest.approx(2 * small, rel=0.01)
    network, kept = build("resnet-8", 4, 8), {}
    own = {tensor.data_ptr() for tensor in network.state_dict().values()}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # kept alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        torch.nn.functional.cross_entropy(network(torch.zeros(16, 3, 8, 8)), torch.zeros(16, dtype=torch.int64))
    assert small == sum(t.untyped_storage().nbytes() for address, t in kept.items() if address not in own)


def test_a_measurement_leaves_nothing_behind(tiny_run, tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tiny_run(train_size=20, holdout=5)
    seconds = measure.seconds_per_step(run, tiny_dataset.manifest, Machine(device="cpu"), steps=2)
    assert list(seconds) == ["float32", "bfloat16"]
    assert all(0 < each < 60 for each in seconds.values())
    assert list(tmp_path.iterdir()) == []
