"""One run in several processes; most of it is trained once, by two_ranks.py, in processes without torchrun itself."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import snapshot
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from snapshot_cli.config.machine import Machine
from snapshot_cli.datasets import batches
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.launch import in_process, torchrun, train_process
from snapshot_cli.networks import build
from snapshot_cli.randomness import derive
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop, predict, ranks
from snapshot_cli.training.checkpoint import load_weights
from snapshot_cli.training.ranks import ALONE, Ranks, join

HERE = Path(__file__).parent
CPU = torch.device("cpu")
LOST = torchrun.LOST


@pytest.fixture(scope="module")
def trained(tiny_data, tmp_path_factory):
    """The folder that two_ranks.py left and what it says of each training."""
    folder = tmp_path_factory.mktemp("ranks")
    done = subprocess.run(
        [sys.executable, "two_ranks.py", folder, tiny_data], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(tiny_run):
    """The run of two_ranks.py."""
    return tiny_run(budget=6)


def directory(trained, run, name="unbroken"):
    return RunDirectory.of(run, trained[0] / name)


def results(found):
    """The hashes of everything that holds results, and the rows of metrics.csv without the times."""
    hashes = json.loads((found.path / "manifest.json").read_text())
    with (found.path / "metrics.csv").open() as file:
        rows = [
            {k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in csv.DictReader(file)
        ]
    return {name: each for name, each in hashes.items() if name.startswith(("snapshots/", "predictions/"))}, rows


def test_alone_nothing_is_sent_or_changed():
    loss = torch.tensor(0.3, requires_grad=True)
    assert ALONE.part(loss, 3, 9) is loss
    assert ALONE.sum(loss) is ALONE.only_on_first(loss) is ALONE.wrap(loss) is loss
    assert ALONE.any_rank(True, False) == (True, False)
    assert ALONE.broadcast("word") == "word"
    with ALONE.first_goes_first():
        ALONE.backward(loss)
    assert loss.grad == 1
    assert (ALONE.share, ALONE.seed_suffix) == (batches.ALL, ())


@pytest.mark.parametrize("variables", [{}, {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "1"}])
def test_one_process_is_alone(monkeypatch, variables):
    monkeypatch.setenv("WORLD_SIZE", "7")  # of some other program
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert join("cpu") == ALONE


def test_more_processes_than_gpus_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ConfigError) as caught:
        join("cuda")
    assert str(caught.value) == (
        "torchrun --nproc-per-node: each process needs a GPU, and there are 2 here; start fewer"
    )


@pytest.mark.parametrize("address", ["127.0.0.1", "nowhere.invalid"])
def test_a_first_host_that_does_not_answer_is_named(monkeypatch, address):
    given = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": address, "MASTER_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ranks, "STORE_SECONDS", 0.0)
    with pytest.raises(ConfigError, match=rf"^torchrun: no answer at MASTER_ADDR {address}, MASTER_PORT 1 \("):
        join("cpu")


@pytest.mark.parametrize(("on_this_host", "seen"), [(2, False), (1, True)])
def test_addresses_from_before_a_restart_are_not_read(monkeypatch, on_this_host, seen):
    """torchrun keeps its store, and a first rank that is quick would connect to one that was killed."""
    server = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    for name, value in {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": server.port, "LOCAL_WORLD_SIZE": on_this_host,
        "TORCHELASTIC_RESTART_COUNT": 0, "TORCHELASTIC_USE_AGENT_STORE": True,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    ranks._store(1, 2).set("address", "of the one that is killed")
    assert ranks._store(0, 2).check(["address"])
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert ranks._store(0, 2).check(["address"]) is seen


@pytest.mark.parametrize("count", [2, 3])
def test_the_shares_of_a_batch_are_the_batch(tiny_dataset, run, count):
    data = batches.build_feeds(run, tiny_dataset, device=CPU)["train"]
    shares = [
        list(data.training(5, 2, batch_size=16, start=1, share=Ranks(rank, count).share)) for rank in range(count)
    ]
    whole = list(data.training(5, 2, batch_size=16, start=1))
    assert [len(labels) for _, labels in whole] == [16, 16, 16, 16, 10]
    for place, (images, labels) in enumerate(whole):
        for rank, share in enumerate(shares):
            torch.testing.assert_close(share[place][0], images[rank::count], rtol=0, atol=0)
            assert torch.equal(share[place][1], labels[rank::count])


def emulated(run, dataset):
    """Train a run in one process as two would, each with batch-norm statistics of its own; return the first's."""
    networks = []
    for _ in range(2):
        torch.manual_seed(derive(run.seed, "weights"))
        networks.append(build("resnet-8", 4, 8).to(memory_format=torch.channels_last))
    optimizers = [
        torch.optim.SGD(each.parameters(), lr=1.0, momentum=0.9, nesterov=True, weight_decay=1e-4) for each in networks
    ]
    data, losses = batches.build_feeds(run, dataset, device=CPU)["train"], []
    for epoch in range(run.budget):
        for images, labels in data.training(run.seed, epoch, batch_size=run.batch_size):
            parts = [
                cross_entropy(network(images[rank::2]), labels[rank::2], reduction="sum") / len(labels)
                for rank, network in enumerate(networks)
            ]
            losses.append(sum(part.item() for part in parts) * len(labels))
            gradients = [
                torch.autograd.grad(part, list(net.parameters())) for part, net in zip(parts, networks, strict=True)
            ]
            for network, optimizer in zip(networks, optimizers, strict=True):
                for parameter, *each in zip(network.parameters(), *gradients, strict=True):
                    parameter.grad = each[0] + each[1]
                optimizer.param_groups[0]["lr"] = run.lr(len(losses), 90)
                optimizer.step()
    return networks[0], losses


def test_two_processes_train_as_one_would_with_batch_norm_apart(trained, tiny_run, tiny_dataset):
    # batches of 8 images and 7; a high rate would make rounding large: at 0.1, 0.04 of a loss after 24 steps
    run = tiny_run(budget=2, alpha0=0.01, batch_size=15)
    network, losses = emulated(run, tiny_dataset)
    weights = load_file(directory(trained, run, "gentle").snapshot_path(2))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-4, atol=1e-5)
    rows = directory(trained, run, "gentle").metrics()
    expected = [sum(losses[6 * epoch : 6 * epoch + 6]) / 90 for epoch in range(2)]
    np.testing.assert_allclose([row["train_loss"] for row in rows], expected, rtol=1e-5)


def test_files_are_written_and_words_said_once(trained, run):
    found, told = directory(trained, run), trained[1]["unbroken"]
    assert told["codes"] == [0, 0]
    words = [line for line in told["said"] if not line.startswith("epoch")]
    assert words[:2] == [
        f"training: {found.path}",
        "Snapshot (α₀ = 0.1): resnet-8 on tiny, 23 test images",
    ]
    assert [line[:9] for line in told["said"] if line.startswith("epoch")] == [f"epoch {k}/6" for k in range(1, 7)]
    assert found.verify() == ([], [])
    assert found.machine["ranks"] == 2
    assert [row["iteration"] for row in found.metrics()] == [6, 12, 18, 24, 30, 36]
    again = trained[1]["again"]
    assert again["codes"] == [0, 0]
    assert again["said"][0] == f"already trained: {found.path}"


def test_predictions_are_those_of_every_image_once(trained, run, tiny_dataset):
    found = directory(trained, run)
    network = build("resnet-8", 4, 8).to(memory_format=torch.channels_last)
    data = batches.build_feeds(run, tiny_dataset, device=CPU)["test"]
    np.testing.assert_array_equal(found.labels("test"), tiny_dataset.test_labels)
    for number in (1, 2):
        load_weights(found, number, network)
        np.testing.assert_allclose(
            found.predictions("test", number), predict.predict(network, data), rtol=1e-4, atol=1e-5
        )


def test_a_wish_to_stop_of_one_process_stops_all_with_the_state_saved(trained, run):
    told, found = trained[1]["stopped"], directory(trained, run, "stopped")
    assert told["codes"] == [75, 75]
    assert re.fullmatch(rf"{run.run_id}: stopped after \d+ steps; type the same command to resume", told["said"][-1])
    assert len([line for line in told["said"] if "stopped" in line and line.startswith("tiny")]) == 1
    assert trained[1]["gone on"]["codes"] == [0, 0]
    assert results(found) == results(directory(trained, run))


def test_a_killed_process_costs_what_followed_the_last_state(trained, run):
    for name, codes in (("killed", [1, -9]), ("first killed", [-9, 1])):
        told = trained[1][name]
        assert (told["codes"], told["said"].count(LOST), told["said"][-1]) == (codes, 1, LOST)
        assert not any("Traceback" in line for line in told["said"])
    assert trained[1]["restarted"]["codes"] == [0, 0]
    assert trained[1]["restarted"]["said"][1].startswith("resuming after step ")
    assert results(directory(trained, run, "killed")) == results(directory(trained, run))
    assert directory(trained, run, "killed").verify() == ([], [])


def test_a_network_from_elsewhere_resumes_to_the_bytes_of_the_unbroken_run(trained, tiny_run):
    run = tiny_run(budget=1, network="torchvision:resnet18")
    told = [trained[1][name] for name in ("elsewhere", "elsewhere killed", "elsewhere resumed")]
    assert [each["codes"] for each in told] == [[0, 0], [1, -9], [0, 0]]
    assert told[2]["said"][1] == "resuming after step 4 of 6"
    whole, resumed = (directory(trained, run, name) for name in ("elsewhere", "elsewhere killed"))
    assert results(resumed) == results(whole)
    assert len(results(whole)[0]) == 5


def test_another_number_of_processes_has_to_be_asked_for(trained, run):
    told, path = trained[1]["refused"], directory(trained, run, "stopped").path
    assert told["codes"] == [2]
    assert told["said"] == [
        f"{path}: was trained in 2 processes; resuming in 1 changes its numbers; "
        "start torchrun with 2, or give --other-ranks"
    ]
    told, found = trained[1]["alone"], directory(trained, run, "alone")
    assert told["codes"] == [0]
    assert told["said"][1] == (
        f"{found.path}: resumes with ranks 2 -> 1: numbers differ from those of an uninterrupted run"
    )
    assert [place["ranks"] for place in found.environments] == [2, 1]
    assert [place["ranks"] for place in directory(trained, run).environments] == [2]
    assert results(found) != results(directory(trained, run))


MISTAKES = {
    "wrong": (2, "{folder}/wrong.yaml:2:1: network: depth 9 is not 6n+2; the nearest are 8 and 14"),
    "usage": (2, "Error: Invalid value for '--threads': 0 is not in the range x>=1."),
    "small": (2, "{run}: 2 processes cannot share its smallest batch or split, which has 1 image; start fewer, or "
                 "choose another batch_size"),
    "diverging": (
        1,
        "{run}: the loss is not finite at step 2, where the learning rate is 9.924e+29; try a smaller alpha0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_said_once_and_ends_all_processes(trained, tiny_run, name):
    code, words = MISTAKES[name]
    changes = {"small": {"batch_size": 89}, "diverging": {"alpha0": 1e30}}.get(name, {})
    told = trained[1][name]
    assert told["codes"] == [code, code]
    lines = [line for line in told["said"] if line and not line.startswith(("training: ", "Usage: ", "Try "))]
    assert lines == [words.format(folder=trained[0], run=tiny_run(budget=6, **changes).run_id)]


def test_a_directory_in_use_is_said_once(trained, run):
    told = trained[1]["held"]
    assert told["codes"] == [1, 1]
    assert len(told["said"]) == 1
    assert told["said"][0].startswith(f"{directory(trained, run, 'held').path}: in use by process ")


def test_dropout_is_drawn_apart(tiny_dataset, tiny_run, tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(torch, "manual_seed", seeds.append)
    training = loop.prepare(tiny_run(dropout=0.1), tiny_dataset, RunDirectory(tmp_path), Machine(device="cpu"))
    images, labels = next(iter(training.batches["train"].training(0, 0, batch_size=16)))
    for place in (ALONE, Ranks(0, 2), Ranks(1, 2)):
        training.ranks = place
        loop.step(training, images, labels, 0.0)
    assert seeds[1] == seeds[2] == derive(0, "dropout", 0)
    assert seeds[3] == derive(0, "dropout", 0, 1)


@pytest.mark.parametrize(
    ("changes", "count", "fewest"),
    [({}, 10, None), ({}, 11, "10 images"), ({"batch_size": 15}, 16, "15 images"),
     ({"batch_size": 45}, 24, "23 images"),
     ({"holdout": 3, "batch_size": 87}, 4, "3 images")],
)  # fmt: skip
def test_the_smallest_batch_and_split_have_an_image_for_each(tiny_data, tiny_run, changes, count, fewest):
    run, manifest = tiny_run(**changes), in_process.ensure_prepared("tiny", Machine(tiny_data, tiny_data))
    if fewest is None:
        in_process.check_ranks(run, manifest, Ranks(0, count))
        return
    with pytest.raises(ConfigError) as caught:
        in_process.check_ranks(run, manifest, Ranks(0, count))
    assert str(caught.value) == (
        f"{run.run_id}: {count} processes cannot share its smallest batch or split, which has {fewest}; "
        "start fewer, or choose another batch_size"
    )


def test_processes_of_a_host_share_its_processors_and_stop_with_torchrun(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    machine = Machine(tmp_path, tmp_path)
    assert (in_process._with_decoders(machine).workers, torchrun.rank(), train_process.launcher()) == (8, 0, None)
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "5", "LOCAL_WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    assert (in_process._with_decoders(machine).workers, torchrun.rank(), train_process.launcher()) == (
        2,
        5,
        os.getppid(),
    )


def test_a_bug_is_not_taken_for_a_lost_process(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(RuntimeError, match="shapes"), torchrun.report_once():
        raise RuntimeError("shapes differ")
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    with pytest.raises(UserError, match="mistake"), torchrun.report_once():
        raise UserError("mistake")


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
    "MASTER_ADDR": "localhost", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "0",
}  # fmt: skip


def test_torchrun_is_not_for_reproduce(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signal, "signal", lambda *disposition: None)
    monkeypatch.setattr(torchrun, "_first_to_fail", lambda: True)
    assert snapshot("reproduce", "demo/table1") == (
        2, "", "torchrun: reproduce starts processes itself; leave torchrun out, or give it train\n"
    )  # fmt: skip
    monkeypatch.setattr(torchrun, "_first_to_fail", lambda: False)
    assert snapshot("reproduce", "demo/table1") == (2, "", "")


@pytest.mark.slow
def test_torchrun_starts_again_what_was_killed(trained, run, tiny_data):
    folder = trained[0] / "torchrun"
    (trained[0] / "yaml.py").write_text("raise SystemExit('the file of the user was run')")
    command = [sys.executable, "-P", "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    command += [
        "--no-python",
        str(Path(sys.executable).with_name("snapshot")),
        "train",
        str(trained[0] / "run.yaml"),
        "--data-dir",
        str(tiny_data),
    ]
    command += ["--results-dir", str(folder), "--device", "cpu", "--checkpoint-seconds", "0"]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=trained[0], text=True, **output)
    while not list(folder.rglob("metrics.csv")):
        assert process.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (second,) = [c for c in children if b"\0RANK=1\0" in Path(f"/proc/{c}/environ").read_bytes()]
    os.kill(int(second), signal.SIGKILL)
    words = process.communicate(timeout=200)[1]
    assert process.returncode == 0, words
    assert words.count("resuming after step") == 1
    assert results(directory(trained, run, "torchrun")) == results(directory(trained, run))


REMEDY = "; start all processes with torchrun, or unset TORCHELASTIC_RUN_ID\n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        *(({name: None}, f"torchrun: TORCHELASTIC_RUN_ID is set, but not {name}") for name in [*TORCHRUN][1:]),
        (
            dict.fromkeys([*TORCHRUN][1:]),
            f"torchrun: TORCHELASTIC_RUN_ID is set, but not {', '.join(torchrun.VARIABLES)}",
        ),
        ({"RANK": "first"}, "torchrun: RANK: expected a number, given 'first'"),
        ({"RANK": "5", "WORLD_SIZE": "2"}, "torchrun: RANK: expected at most 1, given 5"),
        ({"MASTER_PORT": "99999"}, "torchrun: MASTER_PORT: expected at most 65535, given 99999"),
    ],
)
def test_half_of_what_torchrun_sets_is_named(monkeypatch, changes, words):
    for name, value in (TORCHRUN | changes).items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert snapshot("config", "show", "demo/snapshot") == (2, "", words + REMEDY)
