import numpy as np
import pytest
import torch

from snapshot_cli.datasets import augment

FILL = (124.5, 10.4, 0.6)  # rounds to 124 (half to even), 10 and 1


def pictures(examples, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (examples, side, side, 3), dtype=np.uint8)


def crop_by_crop(images, indices, draws, padding, fill):
    """Pad, crop and mirror one image after the other: (batch, 3, side, side)."""
    side, results = images.shape[1], []
    for row, top, left, mirrored in zip(indices, draws.top, draws.left, draws.mirrored, strict=True):
        framed = np.empty((side + 2 * padding, side + 2 * padding, 3), dtype=np.uint8)
        framed[...] = [round(value) for value in fill]
        framed[padding : padding + side, padding : padding + side] = images[row]
        crop = framed[top : top + side, left : left + side]
        results.append((crop[:, ::-1] if mirrored else crop).transpose(2, 0, 1))
    return np.stack(results)


@pytest.mark.parametrize(("side", "padding", "flip"), [(8, 1, True), (8, 0, True), (8, 3, False), (5, 2, True)])
def test_gather_is_padding_cropping_and_mirroring_one_by_one(side, padding, flip):
    images, chance = pictures(40, side), torch.Generator().manual_seed(1)
    bordered = augment.bordered(torch.from_numpy(images), padding=padding, fill=FILL)
    indices = torch.randint(0, 40, (200,), generator=chance)
    draws = augment.draw(200, padding=padding, flip=flip, generator=chance)
    found = augment.gather(bordered, indices, draws)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), crop_by_crop(images, indices.numpy(), draws, padding, FILL))


def test_the_border_has_the_rounded_mean_colour():
    bordered = augment.bordered(torch.from_numpy(pictures(1, 4)), padding=1, fill=FILL)
    corner = augment.Draws(torch.tensor([0]), torch.tensor([0]), torch.tensor([False]))
    crop = augment.gather(bordered, torch.tensor([0]), corner)[0]
    assert crop[:, 0, :].T.tolist() == [[124, 10, 1]] * 4
    assert crop[:, :, 0].T.tolist() == [[124, 10, 1]] * 4


@pytest.mark.parametrize("padding", [0, 2])
def test_centred_draws_leave_images_as_they_are(padding):
    images = pictures(6, 8)
    bordered = augment.bordered(torch.from_numpy(images), padding=padding, fill=FILL)
    found = augment.gather(bordered, torch.arange(6), augment.centred(6, padding, torch.device("cpu")))
    np.testing.assert_array_equal(found.numpy(), images.transpose(0, 3, 1, 2))


def test_draws_are_uniform_over_the_border_and_mirror_half():
    draws = augment.draw(50_000, padding=2, flip=True, generator=torch.Generator().manual_seed(0))
    for corner in (draws.top, draws.left):
        counts = torch.bincount(corner)
        assert len(counts) == 5
        assert counts.min() > 9_600  # expected 10,000, deviation 89
        assert counts.max() < 10_400
    assert abs(draws.mirrored.double().mean() - 0.5) < 0.01
    assert abs(np.corrcoef(draws.top, draws.left)[0, 1]) < 0.02
    assert abs(np.corrcoef(draws.top, draws.mirrored)[0, 1]) < 0.02


def test_without_border_and_flip_nothing_is_left_to_chance():
    draws = augment.draw(1000, padding=0, flip=False, generator=torch.Generator().manual_seed(0))
    assert not draws.top.any()
    assert not draws.left.any()
    assert not draws.mirrored.any()


def test_normalise():
    images = pictures(3, 8)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in ([120.0, 110.0, 100.0], [60.0, 50.0, 40.0]))
    found = augment.normalise(pixels, mean, deviation)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    expected = (images.astype(np.float32) - np.float32([120, 110, 100])) / np.float32([60, 50, 40])
    np.testing.assert_array_equal(found.numpy(), expected.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(pixels.numpy(), images.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("factors", "light"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (-31.475, -32.213, -32.368)),  # 255 x 0.2175 x (-0.5675, -0.5808, -0.5836)
        ((0, 1, 0), (3.448, -0.022, -3.331)),  # 255 x 0.0188 x (0.7192, -0.0045, -0.6948)
        ((0, 0, 1), (0.460, -0.934, 0.482)),  # 255 x 0.0045 x (0.4009, -0.8140, 0.4203)
        ((-0.1, 0.2, 0.1), (3.883, 3.124, 2.619)),
    ],
)
def test_light_by_hand(factors, light):
    found = augment.light_of(torch.tensor([factors, (0, 0, 0)], dtype=torch.float32))
    np.testing.assert_allclose(found.numpy(), [light, (0, 0, 0)], atol=1e-3)


def test_light_is_normal_of_the_strength_asked_for():
    draws = augment.draw(50_000, padding=0, flip=False, lighting=0.1, generator=torch.Generator().manual_seed(0))
    factors = torch.linalg.solve(augment.light_of(torch.eye(3)).T, draws.light.T).T
    assert draws.light.dtype == torch.float32
    np.testing.assert_allclose(factors.mean(0), 0, atol=0.002)
    np.testing.assert_allclose(torch.cov(factors.T), 0.01 * np.eye(3), atol=0.0003)


def test_light_changes_nothing_else():
    plain, lit = (
        augment.draw(100, padding=2, flip=True, lighting=strength, generator=torch.Generator().manual_seed(3))
        for strength in (0.0, 0.1)
    )
    assert plain.light is None
    assert lit.light.shape == (100, 3)
    for name in ("top", "left", "mirrored"):
        assert torch.equal(getattr(plain, name), getattr(lit, name))
    part = lit[40:60].to(torch.device("cpu"))
    assert torch.equal(part.light, lit.light[40:60])
    assert plain[40:60].light is None
