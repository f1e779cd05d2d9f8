"""Train a Wide-ResNet with numpy and torch only: an independent check of the package, which is not imported.

    python scripts/independent.py data/cifar10-16 snapshot --alpha0 0.2 --seed 1
    python scripts/independent.py data/cifar100-16 single --depth 14 --size 10000 --epochs 80 --cycles 4

The first argument is a prepared dataset. The last line shows the error of the last snapshot and of the ensemble of all
snapshots; with `single`, of the single model and of NoCycle. They should lie within the spread over seeds in
results/*/table1.md. They are not equal: the subset of the images, their order and the initial weights differ.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.stride, self.added = stride, width - width_in
        self.body = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x):
        return functional.relu(
            self.body(x) + functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        )


def wide_resnet(depth, k, classes):
    w, blocks = 16 * k, (depth - 2) // 6
    layers = [nn.Conv2d(3, w, 3, 1, 1, bias=False), nn.BatchNorm2d(w), nn.ReLU()]
    for width_in, width, stride in ((w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2)):
        layers += [Block(width_in, width, stride), *(Block(width, width, 1) for _ in range(blocks - 1))]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * w, classes))
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        nn.init.kaiming_normal_(conv.weight, mode="fan_out")
    return network


def augment(images):
    """Flip half of the images (N, 3, S, S) and shift them by at most S / 8 pixels; the border is 0, the mean colour."""
    count, _, side, _ = images.shape
    padded, offsets = functional.pad(images, (side // 8,) * 4), torch.randint(0, side // 4 + 1, (count, 2)).tolist()
    cropped = torch.stack([image[:, y : y + side, x : x + side] for image, (y, x) in zip(padded, offsets, strict=True)])
    return torch.where(torch.rand(count, 1, 1, 1) < 0.5, cropped.flip(3), cropped)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("method", choices=["single", "snapshot"])
    parser.add_argument("--alpha0", type=float, default=0.1)
    for name, value in {"depth": 8, "k": 2, "size": 5000, "epochs": 200, "cycles": 5, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    if not Path(options.folder, "train-images.npy").exists():
        parser.error(f"{options.folder}: no prepared dataset; type snapshot data prepare cifar10 --size 16")
    torch.manual_seed(options.seed)
    load = lambda name: np.load(f"{options.folder}/{name}.npy")  # noqa: E731
    x, x_test, y, y_test = (load(f"{split}-{what}") for what in ("images", "labels") for split in ("train", "test"))
    mean, std = x.mean((0, 1, 2)), x.std((0, 1, 2))
    x, x_test = (torch.tensor((images - mean) / std).float().permute(0, 3, 1, 2) for images in (x, x_test))
    y, y_test = torch.tensor(y), torch.tensor(y_test)
    classes = int(y.max()) + 1
    shuffled = torch.randperm(len(y))
    # equally many images of every class
    subset = torch.cat([shuffled[y[shuffled] == label][: options.size // classes] for label in range(classes)])
    network = wide_resnet(options.depth, options.k, classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=options.alpha0, momentum=0.9, nesterov=True, weight_decay=1e-4)
    steps = options.epochs * math.ceil(len(subset) / 64)
    cycle, step, total = math.ceil(steps / options.cycles), 0, 0
    for _ in range(options.epochs):
        for rows in subset[torch.randperm(len(subset))].split(64):
            cosine = (math.cos(math.pi * (step % cycle) / cycle) + 1) / 2
            drops = 0.1 ** ((step >= steps / 2) + (step >= 3 * steps / 4))
            optimizer.param_groups[0]["lr"] = options.alpha0 * (cosine if options.method == "snapshot" else drops)
            optimizer.zero_grad()
            functional.cross_entropy(network.train()(augment(x[rows])), y[rows]).backward()
            optimizer.step()
            step += 1
            if step % cycle == 0 or step == steps:
                with torch.inference_mode():
                    softmax = torch.cat([network.eval()(images).softmax(1) for images in x_test.split(500)])
                total = total + softmax
                alone, together = (100 * float((p.argmax(1) != y_test).float().mean()) for p in (softmax, total))
                print(f"step {step}: snapshot {alone:.2f} %, ensemble so far {together:.2f} %", flush=True)


if __name__ == "__main__":
    main()
