"""A dense block and the norm after it with a single copy of the feature maps, for training on a CPU.

Every layer that reads a feature map sees the same batch statistics. So a map is normalised once, when it is made; a
layer then only scales, shifts and rectifies it. The inputs of convolutions are not stored but computed again in the
backward pass (Pleiss et al. 2017), and gradients are summed in place.

Under autocast the maps, their gradients and the activations are bfloat16; statistics and parameter gradients stay
float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

PART = 2**19  # values a thread takes through all steps of a layer at once: they stay in its cache
PART_BFLOAT16 = 2**22  # there the arithmetic takes longer than the memory, and larger parts are fewer calls


def is_supported(x: Tensor) -> bool:
    """Return whether `Dense` supports the input: on a CPU, several examples, with gradients, not compiled."""
    return x.device.type == "cpu" and len(x) > 1 and torch.is_grad_enabled() and not torch.compiler.is_compiling()


class Dense(torch.autograd.Function):
    """Map maps (examples, channels, height, width) to ReLU(norm) of themselves and of all that the layers append.

    `norms` are those of the layers and the last one; the parameters are scale, shift and the convolution's weight for
    each layer, then scale and shift.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, norms: Sequence[nn.BatchNorm2d], dropout: float, *parameters: Tensor) -> Tensor:
        """Append the normalised output of every layer to the maps; update the running statistics of the norms."""
        channels = norms[-1].num_features
        maps = torch.empty_like(x[:, :1].expand(-1, channels, -1, -1), memory_format=torch.channels_last)
        mean, variance = norms[-1].weight.new_zeros(2, channels)
        inverse_stds, masks, first = [], [], 0
        for norm, layer_parameters in zip(norms, _by_layer(parameters), strict=True):
            gamma, beta, *weight = (tensor.to(x.dtype) for tensor in layer_parameters)
            last = first + x.shape[1]
            maps[:, first:last], _, inverse = torch.native_batch_norm(
                x, None, None, mean[first:last], variance[first:last], True, 1.0, norm.eps
            )
            inverse_stds.append(inverse)
            _track(norm, mean[:last], variance[:last])
            if weight:
                parts = _parts(maps[:, :last])
                x = torch.cat([functional.conv2d(_activated(m, gamma, beta), weight[0], padding=1) for (m,) in parts])
                if dropout:
                    masks.append(functional.dropout(torch.ones_like(x), dropout))
                    x *= masks[-1]
            first = last
        ctx.save_for_backward(maps, *inverse_stds, *masks, *parameters)
        ctx.norms, ctx.masks = len(inverse_stds), len(masks)
        return _activated(maps, gamma, beta)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Go back layer by layer, summing the gradients of a normalised map until the layer that made it."""
        maps, *saved = ctx.saved_tensors
        inverse_stds, masks = saved[: ctx.norms], saved[ctx.norms : ctx.norms + ctx.masks]
        layers = [*enumerate(_by_layer(saved[ctx.norms + ctx.masks :]))]
        sums, last = torch.zeros_like(maps), maps.shape[1]
        gradients: list[Tensor] = []
        for k, parameters in reversed(layers):
            gradients[:0] = _back_to_maps(gradient, maps[:, :last], sums[:, :last], parameters)
            first = last - len(inverse_stds[k])
            gradient = _back_through_norm(sums[:, first:last], maps[:, first:last], inverse_stds[k])
            if k and masks:
                gradient *= masks[k - 1]
            last = first
        return gradient, None, None, *gradients


def _back_to_maps(gradient: Tensor, maps: Tensor, sums: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Add the gradient of a layer's maps to their sums and return those of its parameters."""
    gamma, beta, *weight = (tensor.to(maps.dtype) for tensor in parameters)
    gradients = [torch.zeros_like(tensor) for tensor in parameters]
    for g, m, total in _parts(gradient, maps, sums):
        y = _activated(m, gamma, beta)
        if weight:
            g, of_weight, _ = torch.ops.aten.convolution_backward(
                g, y, weight[0], None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, (True, True, False)
            )
            gradients[2] += of_weight
        torch.ops.aten.threshold_backward.grad_input(g, y, 0, grad_input=y)  # y is no longer needed: reuse its memory
        total.addcmul_(y, gamma.view(-1, 1, 1))
        gradients[1] += y.sum((0, 2, 3))
        gradients[0] += y.mul_(m).sum((0, 2, 3))
    return gradients


def _back_through_norm(gradient: Tensor, normalised: Tensor, inverse_std: Tensor) -> Tensor:
    """Return the gradient of maps from that of the normalised ones; `inverse_std` is 1 / sqrt(variance + eps)."""
    g, x = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (gradient, normalised))
    zeros, ones = torch.zeros_like(inverse_std), torch.ones_like(inverse_std)
    back: Tensor = torch.ops.aten.native_batch_norm_backward(
        g, x, inverse_std, None, None, zeros, ones, True, 0.0, (True, False, False)
    )[0]
    return back


def _activated(maps: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    return torch.addcmul(beta.view(-1, 1, 1), maps, gamma.view(-1, 1, 1)).relu_()


def _by_layer(parameters: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
    return (parameters[first : first + 3] for first in range(0, len(parameters), 3))


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same few examples of all tensors at a time; the last tensor determines how many."""
    part = PART_BFLOAT16 if tensors[-1].dtype == torch.bfloat16 else PART
    examples = max(1, part * torch.get_num_threads() // tensors[-1][0].numel())
    return zip(*(torch.split(tensor, examples) for tensor in tensors), strict=True)


def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics with those of a batch, as nn.BatchNorm2d does."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked += 1
    for stored, new in ((norm.running_mean, mean), (norm.running_var, variance)):
        stored.mul_(1 - norm.momentum).add_(new, alpha=norm.momentum)
