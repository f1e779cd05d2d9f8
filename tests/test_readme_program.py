"""The README's program runs as it stands."""

import itertools
import re
from pathlib import Path

import torch

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_ten_lines_train_an_ensemble_of_ones_own_network():
    torch.manual_seed(0)
    labels = torch.arange(64) % 4
    images = torch.randn(64, 3, 4, 4) + labels[:, None, None, None]
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 4))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=16)
    names = {"torch": torch, "network": network, "loader": loader, "epochs": 10}
    names["loss"] = torch.nn.functional.cross_entropy
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), names)
    ensemble = names["ensemble"]
    assert len(ensemble.members) == 5
    assert names["optimizer"].param_groups[0]["lr"] < 0.01
    weights = [member[1].weight for member in ensemble.members]
    assert all((one != other).any() for one, other in itertools.pairwise(weights))
    assert torch.equal(weights[-1], network[1].weight)
    assert (ensemble(images).argmax(1) == labels).float().mean() > 0.9
    torch.testing.assert_close(names["probabilities"].sum(1), torch.ones(16))
