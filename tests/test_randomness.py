import hashlib

import torch

from snapshot_cli.randomness import derive, generator


def test_seeds_are_golden_and_positive():
    digest = hashlib.sha256(b"0/order/7").digest()
    assert derive(0, "order", 7) == int.from_bytes(digest[:8], "big") // 2
    assert all(0 <= derive(seed, "order", 7) < 2**63 for seed in range(100))


def test_every_purpose_has_a_seed_of_its_own():
    purposes = [
        (seed, word, n) for seed in range(20) for word in ("order", "augmentation", "dropout") for n in range(20)
    ]
    assert len({derive(*purpose) for purpose in purposes}) == len(purposes)


def test_generators_of_one_purpose_agree_and_leave_torch_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    one, other = (torch.rand(5, generator=generator(1, "order", 2)) for _ in range(2))
    assert torch.equal(one, other)
    assert torch.equal(torch.rand(2), expected)
    assert not torch.equal(one, torch.rand(5, generator=generator(1, "order", 3)))
