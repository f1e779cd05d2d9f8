"""The README's program runs when pasted."""

import itertools
import re
from pathlib import Path

import torch

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_program_trains_an_ensemble_of_a_plain_network(capsys):
    torch.manual_seed(0)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    printed = re.fullmatch(r"(\d+\.\d+) % wrong\n", capsys.readouterr().out)
    assert printed
    assert float(printed[1]) < 10
    ensemble, network = names["ensemble"], names["network"]
    assert len(ensemble) == 5
    assert names["optimizer"].param_groups[0]["lr"] < 0.01
    weights = [member[0].weight for member in ensemble]
    assert all((one != other).any() for one, other in itertools.pairwise(weights))
    assert torch.equal(weights[-1], network[0].weight)
    images, labels = names["images"][:1000].float() / 16, names["labels"][:1000]
    probabilities = ensemble(images)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(1000))
    assert (probabilities.argmax(1) == labels).float().mean() > 0.9
