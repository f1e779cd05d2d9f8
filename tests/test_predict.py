import numpy as np
import pytest
import torch

from snapshot_cli.datasets import batches
from snapshot_cli.networks import build
from snapshot_cli.training import predict

CPU = torch.device("cpu")


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = build("resnet-8", 4, 8, dropout=0.5)
    for module in network.modules():  # statistics as a training would leave them, not 0 and 1
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize("size", [1, 7, 23, 512])
def test_logits_are_those_of_the_images_one_by_one(network, tiny_dataset, tiny_run, monkeypatch, size):
    monkeypatch.setitem(predict.BATCH_SIZES, "cpu", size)
    split = batches.build_feeds(tiny_run(), tiny_dataset, device=CPU)["test"]
    found = predict.predict(network, split)
    assert (found.dtype, found.shape) == (np.float32, (tiny_dataset.manifest.test, 4))

    network.eval()
    mean, deviation = (np.float32(values) for values in (tiny_dataset.manifest.mean, tiny_dataset.manifest.std))
    for image, logits in zip(tiny_dataset.test_images, found, strict=True):
        pixels = torch.from_numpy(((image - mean) / deviation).transpose(2, 0, 1).copy())
        with torch.no_grad():
            np.testing.assert_allclose(network(pixels[None])[0].numpy(), logits, atol=1e-4)


def test_before_every_batch_it_is_told_how_many_images_are_done(network, tiny_dataset, tiny_run):
    """Streamed images come in smaller batches than are asked for."""
    split = batches.build_feeds(tiny_run(), tiny_dataset, device=CPU)["test"]

    class Smaller:
        labels = split.labels

        def evaluation(self, size):
            return split.evaluation(10)

    told = []
    predict.predict(network, Smaller(), told.append)
    assert told == [0, 10, 20]


@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(network, tiny_dataset, tiny_run, training):
    network.train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    split = batches.build_feeds(tiny_run(), tiny_dataset, device=CPU)["test"]
    one, other = (predict.predict(network, split) for _ in range(2))
    np.testing.assert_array_equal(one, other)  # no dropout, no statistics of the batch
    assert network.training is training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
