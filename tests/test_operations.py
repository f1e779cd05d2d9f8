import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from snapshot_cli.networks import build
from snapshot_cli.networks.names import FAMILIES, parse
from snapshot_cli.networks.operations import count_multiply_adds

CASES = [
    ("resnet-8", 8), ("resnet-20", 32), ("resnet-14", 64), ("wide-resnet-14-2", 16), ("densenet-13-12", 16),
    ("densenet-10-5", 64), ("imagenet-resnet-50", 64), ("imagenet-resnet-50", 96),
]  # fmt: skip


@pytest.mark.parametrize(("name", "side"), CASES)
def test_as_torch_counts_them(name, side):
    with torch.device("meta"):
        network = build(name, image_size=side)
        images = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert count_multiply_adds(name, side) == counted // 2  # torch counts a multiplication and an addition as two


def test_every_family_has_a_case():
    assert {parse(name).family for name, _ in CASES} == set(FAMILIES)
