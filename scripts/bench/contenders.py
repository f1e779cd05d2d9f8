"""The speed of training a network: limit, ours, plain and torchensemble, alternating; and their memory."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from bench import images, textbook
from bench.blocks import Time, estimate, now, ratio, timed
from bench.tables import Row
from snapshot_cli.config.experiment import Precision
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.errors import Stopped
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import hardware, loop
from snapshot_cli.training.record import Training

STEPS = {"resnet-8": 20, "wide-resnet-32-4": 1}  # per block, 2 for the others: a second or more
STEPS_GPU = 50
BLOCKS_GPU = 6  # at most: with the dropped one, fewer steps than an epoch has
OF_LIMIT = {"resnet-8": 0.92}  # goal of ours / limit; 0.97 for the others
OF_LIMIT_GPU = 0.95
OF_PLAIN = {"resnet-110": 1.4, "densenet-40-12": 1.6, "wide-resnet-32-4": 1.0}
OF_PLAIN_BFLOAT16 = {  # plain in float32; half of the gain without AMX
    "AMX": {"resnet-110": 2.5, "densenet-40-12": 3.0, "wide-resnet-32-4": 4.0},
    "AVX512-BF16": {"resnet-110": 1.75, "densenet-40-12": 2.0, "wide-resnet-32-4": 2.5},
}
OF_DEFINITION = {"densenet-40-12": 1.15}
SPEED_GPU = {"resnet-110": 17_000}  # images/s on one H100, in bfloat16 and compiled
MEMORY_OF_PLAIN = {"densenet-40-12": 1.0}  # 1.1 for the others

Step = Callable[[], object]


@dataclass
class Between:
    """A callback of the training loop: after every block of its steps, it runs a block of every other contender."""

    steps: int
    blocks: int
    others: Mapping[str, Callable[[], Time]]

    def __post_init__(self) -> None:
        self.times: dict[str, list[Time]] = {name: [] for name in ("ours", *self.others)}
        self.seen, self.started = 0, now()

    def on_start(self, done: int, total_steps: int, epoch_length: int) -> None:
        """Do nothing."""

    def on_epoch(self, row: dict[str, float]) -> None:
        """Do nothing."""

    def on_step(self, step: int, lr: float) -> None:
        """Run a block of every other contender; the first round is dropped."""
        self.seen += 1
        if self.seen % self.steps:
            return
        end = now()
        times = {"ours": Time(end.wall - self.started.wall, end.cpu - self.started.cpu)}
        block = self.seen // self.steps
        names = list(self.others)
        for name in names[block % len(names) :] + names[: block % len(names)]:
            times[name] = self.others[name]()
        if block > 1:
            for name, time in times.items():
                self.times[name].append(time)
        self.started = now()

    def enough(self) -> bool:
        """Return whether all blocks are done."""
        return self.seen >= (self.blocks + 1) * self.steps


@dataclass(frozen=True)
class Way:
    """How a network is trained: device, precision, compiled or not."""

    network: str
    device: torch.device
    precision: Precision = "float32"
    compile: bool = False

    @property
    def name(self) -> str:
        """The start of its rows' names."""
        return self.network + f", {self.precision}" * (self.precision != "float32") + ", compiled" * self.compile

    @property
    def steps(self) -> int:
        """Steps of a block."""
        return STEPS_GPU if self.device.type == "cuda" else STEPS.get(self.network, 2)


def rows(way: Way, dataset: Dataset, *, blocks: int, peers: bool) -> list[Row]:
    """Return the rows of ours and the limit, in alternating blocks; on a CPU also of other loops in float32."""
    gpu, in_float32 = way.device.type == "cuda", way.precision == "float32"
    others: dict[str, Callable[[], Time]] = {"limit": _block(limit(way, dataset), way.steps)}
    if not gpu:
        others["plain"] = _block(plain(way.network, dataset, way.device), way.steps)
    if not gpu and in_float32 and way.network in OF_DEFINITION:
        others["definition"] = _block(definition(way.network, dataset, way.device), way.steps)
    if not gpu and in_float32 and peers:
        others["torchensemble"] = lambda: torchensemble(way.network, dataset, way.device, steps=way.steps)
    times, amortised = race(way, dataset, others, blocks=min(blocks, BLOCKS_GPU) if gpu else blocks)
    times["ours"] = [time + amortised for time in times["ours"]]
    result = [_ratio(f"{way.name}: ours / {_called(other, way)}", times, other, _least(other, way))
              for other in others if other != "definition"]  # fmt: skip
    if "definition" in others:
        least = OF_DEFINITION[way.network]
        result.append(_ratio(f"{way.name}: limit / definition", times, "definition", least, who="limit"))
    count = way.steps * images.BATCH
    goal = SPEED_GPU.get(way.network) if gpu and way.compile and not in_float32 else None
    result.append(Row(f"{way.name}: ours", *_speed(times["ours"], count), "images/s", goal))
    result.append(Row(f"{way.name}: limit", *_speed(times["limit"], count), "images/s"))
    return [*result, *_arithmetic(way, dataset, times["limit"])]


def _called(other: str, way: Way) -> str:
    """Return the name of a contender, with its precision if it differs from ours."""
    return other if other == "limit" or way.precision == "float32" else f"{other} in float32"


def _least(other: str, way: Way) -> float | None:
    """Return the goal for the speed of ours over a contender's, if there is one."""
    if other == "limit":
        return OF_LIMIT_GPU if way.device.type == "cuda" else OF_LIMIT.get(way.network, 0.97)
    if other == "plain" and way.precision == "float32":
        return OF_PLAIN.get(way.network)
    if other == "plain":
        return OF_PLAIN_BFLOAT16.get(hardware.bfloat16_unit() or "", {}).get(way.network)
    return None


def race(
    way: Way, dataset: Dataset, others: Mapping[str, Callable[[], Time]], *, blocks: int, steps: int = 0
) -> tuple[dict[str, list[Time]], Time]:
    """Return the times of all blocks, and a block's share of the time to save a checkpoint once per epoch."""
    steps = steps or way.steps
    between = Between(steps, blocks, others)
    with tempfile.TemporaryDirectory() as folder:
        training = _prepared(way, dataset, Path(folder))
        with contextlib.suppress(Stopped):
            loop.train_epoch(training, callback=between, stop=between.enough)
        saving = timed(lambda: loop.save(training))
    return between.times, saving.times(steps / training.epoch_length)


def limit(way: Way, dataset: Dataset) -> Step:
    """Return a step of forward, backward and optimizer on one batch on the device; never compiled."""
    with tempfile.TemporaryDirectory() as folder:
        training = _prepared(replace(way, compile=False), dataset, Path(folder))
    x, y = next(training.batches["train"].training(0, 0, batch_size=images.BATCH))
    return _step(training.network.train(), training.optimizer, x, y, way.precision)


def _prepared(way: Way, dataset: Dataset, folder: Path) -> Training:
    run = images.run(way.network, precision=way.precision)
    machine = Machine(device=way.device.type, checkpoint_seconds=1e9, compile=way.compile)
    return loop.prepare(run, dataset, RunDirectory(folder), machine)


def _step(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor, precision: Precision
) -> Step:
    def step() -> None:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def definition(network: str, dataset: Dataset, device: torch.device) -> Step:
    """Return a step as in `limit` of the network in `textbook`."""
    x, y = next(iter(images.per_image(dataset)))
    model = textbook.network(network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, y = x.to(device, memory_format=torch.channels_last), y.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True)
    return _step(model, optimizer, x, y, "float32")


def plain(network: str, dataset: Dataset, device: torch.device) -> Step:
    """Return a step of a common, simple loop."""
    model = textbook.network(network).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    batches = _forever(images.per_image(dataset))
    total, right = [0.0], [0]

    def step() -> None:
        x, y = (tensor.to(device) for tensor in next(batches))
        logits = model(x)
        loss = cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total[0] += loss.item()
        right[0] += (logits.argmax(1) == y).sum().item()

    return step


class Clocked:
    """A loader that yields some batches and times them from the first request to the end of the last step."""

    def __init__(self, batches: Any, count: int) -> None:
        self.batches, self.dataset, self.count = batches, batches.dataset, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        start = now()
        yield from islice(iter(self.batches), self.count)
        end = now()
        self.time = Time(end.wall - start.wall, end.cpu - start.cpu)


def torchensemble(network: str, dataset: Dataset, device: torch.device, *, steps: int) -> Time:
    """Return the time of some steps of torchensemble's SnapshotEnsembleClassifier, without its set-up."""
    from torchensemble import SnapshotEnsembleClassifier

    logging.getLogger().setLevel(logging.WARNING)
    model = SnapshotEnsembleClassifier(estimator=textbook.network(network), n_estimators=1, cuda=device.type == "cuda")
    model.set_optimizer("SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    loader = Clocked(images.per_image(dataset), steps)
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(loader, epochs=1, save_model=False)
    return loader.time


def memory(network: str, *, device: torch.device) -> Row:
    """Return the peak memory of ours over that of plain, measured in separate processes."""
    ours, others = (_peak(way, network, device) for way in ("ours", "plain"))
    return Row(f"{network}: memory, ours / plain", estimate([ours / others]), most=MEMORY_OF_PLAIN.get(network, 1.1))


def peak(way: str, network: str, *, device: torch.device) -> int:
    """Train three steps in one way and return the peak memory in bytes."""
    dataset = images.prepared()
    if way == "ours":
        race(Way(network, device), dataset, {"nothing": lambda: Time(0, 0)}, blocks=2, steps=1)
    else:
        _block(plain(network, dataset, device), 3)()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()  # getrusage's peak includes that of the parent process
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _peak(way: str, network: str, device: torch.device) -> int:
    command = [sys.executable, sys.argv[0], "--device", device.type, "--peak", way, network]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _block(step: Step, steps: int) -> Callable[[], Time]:
    return lambda: timed(lambda: [step() for _ in range(steps)])


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def _ratio(
    name: str, times: Mapping[str, Sequence[Time]], other: str, least: float | None, *, who: str = "ours"
) -> Row:
    """Return the speed of `who` over that of another contender."""
    wall, cpu = ([[getattr(t, clock) for t in times[way]] for way in (other, who)] for clock in ("wall", "cpu"))
    return Row(name, ratio(*wall), ratio(*cpu), least=least)


def _speed(times: Sequence[Time], count: int) -> tuple[Any, Any]:
    return estimate([count / time.wall for time in times]), estimate([count / time.cpu for time in times])


def _arithmetic(way: Way, dataset: Dataset, times: Sequence[Time]) -> list[Row]:
    """Return the limit's FLOP/s, and its ratio to the FLOP/s of a large matrix product on the device."""
    with FlopCounterMode(display=False) as counter:
        limit(way, dataset)()
    matrix = torch.rand(4096 if way.device.type == "cuda" else 2048, device=way.device)
    square = matrix.outer(matrix).to(getattr(torch, way.precision))
    product = min(timed(lambda: square @ square).wall for _ in range(8))
    roof = 2 * len(square) ** 3 / product
    rates = [counter.get_total_flops() * way.steps / t.wall for t in times]
    return [
        Row(f"{way.name}: limit, arithmetic", estimate([rate / 1e9 for rate in rates]), None, "GFLOP/s"),
        Row(f"{way.name}: limit / matrix product, FLOP/s", estimate([rate / roof for rate in rates])),
    ]
