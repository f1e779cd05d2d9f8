"""Training one network in four ways by turns: limit, ours, plain and torchensemble; and what memory they take."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from bench import images, textbook
from bench.blocks import Time, estimate, now, ratio, timed
from bench.tables import Row
from snapshot_cli.config.experiment import iterations_per_epoch
from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets.store import Dataset
from snapshot_cli.errors import Stopped
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

ITERATIONS = {"resnet-8": 20, "wide-resnet-32-4": 1}  # of a block, 2 for the others: a second or more each
ITERATIONS_GPU = 100  # times as many there
AT_LEAST = {"resnet-8": 0.92}  # of the limit, 0.97 for the others
AT_LEAST_GPU = 0.95
TIMES_PLAIN = {"resnet-110": 1.4, "densenet-40-12": 1.6, "wide-resnet-32-4": 1.0}
TIMES_DEFINITION = {"densenet-40-12": 1.15}
SPEED_GPU = {"resnet-110": 17_000}  # images/s on one H100
MEMORY_OF_PLAIN = {"densenet-40-12": 1.0}  # 1.1 for the others

Step = Callable[[], object]


@dataclass
class Between:
    """A watcher of the real loop that hands over to the others after every block of iterations, and stops the run."""

    iterations: int
    blocks: int
    others: Mapping[str, Callable[[], Time]]

    def __post_init__(self) -> None:
        self.times: dict[str, list[Time]] = {name: [] for name in ("ours", *self.others)}
        self.seen, self.started = 0, now()

    def begin(self, done: int, iterations: int, epoch_length: int) -> None:
        """Take no note."""

    def epoch(self, row: dict[str, float]) -> None:
        """Take no note."""

    def iteration(self, iteration: int, rate: float) -> None:
        """Do a block of each of the others; a first round is dropped."""
        self.seen += 1
        if self.seen % self.iterations:
            return
        end = now()
        found = {"ours": Time(end.wall - self.started.wall, end.cpu - self.started.cpu)}
        block = self.seen // self.iterations
        names = list(self.others)
        for name in names[block % len(names) :] + names[: block % len(names)]:
            found[name] = self.others[name]()
        if block > 1:
            for name, each in found.items():
                self.times[name].append(each)
        self.started = now()

    def enough(self) -> bool:
        """Tell whether all blocks are done."""
        return self.seen >= (self.blocks + 1) * self.iterations


def rows(network: str, dataset: Dataset, *, device: torch.device, blocks: int, peers: bool) -> list[Row]:
    """Return what training a network gives in all ways, in blocks by turns."""
    iterations = ITERATIONS.get(network, 2) * (ITERATIONS_GPU if device.type == "cuda" else 1)
    others: dict[str, Callable[[], Time]] = {
        "limit": _block(limit(network, dataset, device), iterations),
        "plain": _block(plain(network, dataset, device), iterations),
    }
    if network in TIMES_DEFINITION:
        others["definition"] = _block(definition(network, dataset, device), iterations)
    if peers:
        others["torchensemble"] = lambda: torchensemble(network, dataset, device, iterations=iterations)
    times, amortised = race(network, dataset, others, device=device, iterations=iterations, blocks=blocks)
    times["ours"] = [each + amortised for each in times["ours"]]
    least = AT_LEAST_GPU if device.type == "cuda" else AT_LEAST.get(network, 0.97)
    found = [_ratio(f"{network}: ours / limit", times, "limit", least)]
    found.append(_ratio(f"{network}: ours / plain", times, "plain", TIMES_PLAIN.get(network)))
    if network in TIMES_DEFINITION:
        found.append(
            _ratio(f"{network}: limit / definition", times, "definition", TIMES_DEFINITION[network], who="limit")
        )
    found += [_ratio(f"{network}: ours / torchensemble", times, "torchensemble", None)] if peers else []
    count = iterations * images.BATCH
    speeds = {name: _speed(times[name], count) for name in ("ours", "limit")}
    goals = {"ours": SPEED_GPU.get(network)} if device.type == "cuda" else {}
    found += [Row(f"{network}: {name}", *speed, "images/s", goals.get(name)) for name, speed in speeds.items()]
    return [*found, *_rate_of_arithmetic(network, dataset, times["limit"], device=device, iterations=iterations)]


def race(
    network: str, dataset: Dataset, others: Mapping[str, Callable[[], Time]], *, device: torch.device, iterations: int,
    blocks: int,
) -> tuple[dict[str, list[Time]], Time]:  # fmt: skip
    """Return the times of all blocks and, for a block of the loop's, its share of saving the state once an epoch."""
    run, between = images.run(network, device=device), Between(iterations, blocks, others)
    with tempfile.TemporaryDirectory() as folder:
        training = loop.prepare(
            run, dataset, RunDirectory(Path(folder)), Machine(device=device.type, checkpoint_seconds=1e9)
        )
        with contextlib.suppress(Stopped):
            loop.train_epoch(training, watcher=between, stop=between.enough)
        saving = timed(lambda: loop.save(training))
    return between.times, saving.times(iterations / iterations_per_epoch(training.examples, run.batch_size))


def limit(network: str, dataset: Dataset, device: torch.device) -> Step:
    """Return a step of forward, backward and optimizer on one batch that lies on the device."""
    with tempfile.TemporaryDirectory() as folder:
        training = loop.prepare(
            images.run(network, device=device), dataset, RunDirectory(Path(folder)), Machine(device=device.type)
        )
    x, y = next(training.batches["train"].training(0, 0, batch_size=images.BATCH))
    return _step(training.network.train(), training.optimizer, x, y)


def _step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> Step:
    def step() -> None:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=x.device.type == "cuda"):
            loss = cross_entropy(model(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def definition(network: str, dataset: Dataset, device: torch.device) -> Step:
    """Return the limit's step of the textbook's network."""
    x, y = next(iter(images.per_image(dataset)))
    model = textbook.network(network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x, y = x.to(device, memory_format=torch.channels_last), y.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True)
    return _step(model, optimizer, x, y)


def plain(network: str, dataset: Dataset, device: torch.device) -> Step:
    """Return a step of the loop that most repositories have."""
    model = textbook.network(network).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    batches = _forever(images.per_image(dataset))
    total, right = [0.0], [0]

    def step() -> None:
        x, y = (each.to(device) for each in next(batches))
        logits = model(x)
        loss = cross_entropy(logits, y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total[0] += loss.item()
        right[0] += (logits.argmax(1) == y).sum().item()

    return step


class Clocked:
    """A loader cut to some batches that notes when the first was asked for and when the last was done with."""

    def __init__(self, batches: Any, count: int) -> None:
        self.batches, self.dataset, self.count = batches, batches.dataset, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        start = now()
        yield from islice(iter(self.batches), self.count)
        end = now()
        self.time = Time(end.wall - start.wall, end.cpu - start.cpu)


def torchensemble(network: str, dataset: Dataset, device: torch.device, *, iterations: int) -> Time:
    """Return what the iterations of torchensemble's SnapshotEnsembleClassifier take, without what it sets up."""
    from torchensemble import SnapshotEnsembleClassifier

    logging.getLogger().setLevel(logging.WARNING)
    model = SnapshotEnsembleClassifier(estimator=textbook.network(network), n_estimators=1, cuda=device.type == "cuda")
    model.set_optimizer("SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    loader = Clocked(images.per_image(dataset), iterations)
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(loader, epochs=1, save_model=False)
    return loader.time


def memory(network: str, *, device: torch.device) -> Row:
    """Return the peak memory of our loop over that of the plain one, each in a process of its own."""
    ours, others = (_peak(way, network, device) for way in ("ours", "plain"))
    return Row(f"{network}: memory, ours / plain", estimate([ours / others]), most=MEMORY_OF_PLAIN.get(network, 1.1))


def peak(way: str, network: str, *, device: torch.device) -> int:
    """Train three iterations in one way and return the most memory that was held, in bytes."""

    dataset = images.prepared()
    if way == "ours":
        race(network, dataset, {"nothing": lambda: Time(0, 0)}, device=device, iterations=1, blocks=2)
    else:
        _block(plain(network, dataset, device), 3)()
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()  # getrusage's peak is at least that of the process that started this
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _peak(way: str, network: str, device: torch.device) -> int:
    command = [sys.executable, sys.argv[0], "--device", device.type, "--peak", way, network]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _block(step: Step, iterations: int) -> Callable[[], Time]:
    return lambda: timed(lambda: [step() for _ in range(iterations)])


def _forever(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader


def _ratio(
    name: str, times: Mapping[str, Sequence[Time]], other: str, least: float | None, *, who: str = "ours"
) -> Row:
    """Return how many times as fast as another way ours is."""
    wall, cpu = ([[getattr(t, clock) for t in times[way]] for way in (other, who)] for clock in ("wall", "cpu"))
    return Row(name, ratio(*wall), ratio(*cpu), least=least)


def _speed(times: Sequence[Time], count: int) -> tuple[Any, Any]:
    return estimate([count / each.wall for each in times]), estimate([count / each.cpu for each in times])


def _rate_of_arithmetic(
    network: str, dataset: Dataset, times: Sequence[Time], *, device: torch.device, iterations: int
) -> list[Row]:
    """Return the limit's FLOP a second, and over that of a large matrix product on the same device."""
    with FlopCounterMode(display=False) as counter:
        limit(network, dataset, device)()
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    matrix = torch.rand(4096 if device.type == "cuda" else 2048, device=device).to(kind)
    square = matrix.outer(matrix)
    product = min(timed(lambda: square @ square).wall for _ in range(8))
    roof = 2 * len(square) ** 3 / product
    rates = [counter.get_total_flops() * iterations / t.wall for t in times]
    return [
        Row(f"{network}: limit, arithmetic", estimate([rate / 1e9 for rate in rates]), None, "GFLOP/s"),
        Row(f"{network}: limit / matrix product, FLOP/s", estimate([rate / roof for rate in rates])),
    ]
