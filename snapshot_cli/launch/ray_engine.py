"""Train many runs on a Ray cluster, or on this machine through Ray: submit tasks and collect their results."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from snapshot_cli import lock
from snapshot_cli.config import weights_file
from snapshot_cli.config.experiment import Run
from snapshot_cli.config.machine import Machine
from snapshot_cli.errors import ConfigError, reason, words_of
from snapshot_cli.launch import ray_task, train_process
from snapshot_cli.launch.failure import Failure
from snapshot_cli.launch.progress_table import ProgressTable, record_end
from snapshot_cli.launch.ray_task import Lost, Task
from snapshot_cli.networks import plugins

RETRIES = 10  # per run whose worker, node or process was lost; a retry resumes from the last checkpoint
POLL_SECONDS = 0.2
ENVIRONMENT = {"env_vars": {"PYTHONSAFEPATH": "1"}}  # a queue.py in the working folder is the user's
STORE_BYTES = 100_000_000  # object store of a local instance, which transfers no files


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to a running cluster, or without an address start a local instance, while the context lasts.

    Raises ConfigError if Ray is not installed or does not start, and if no cluster answers.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("--engine ray: Ray is not installed here; type: pip install 'snapshot-cli[ray]'") from None
    if address not in (None, "auto"):
        _check_reachable(address or "")
    local_options = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if address is None else {}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env=ENVIRONMENT,
            **local_options,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        if address is None:
            raise ConfigError(f"--engine ray: Ray does not start here: {error}") from error
        if address == "auto":
            raise ConfigError(
                "--address auto: no Ray cluster is running; start one with: ray start --head, or leave --address out"
            ) from None
        raise ConfigError(
            f"--address {address}: Ray cannot join the cluster ({error}); type the command on one of its hosts"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def train_all(
    runs: Sequence[Run],
    machine: Machine,
    extra: Sequence[str],
    *,
    jobs: int | None,
    per_gpu: int | None,
    progress: ProgressTable,
    stop: Callable[[], bool],
) -> list[Failure]:
    """Train the runs in order, wherever the cluster has room, and return the failures.

    A run reserves 1 / `per_gpu` of a GPU if the cluster has any, else as many CPUs as threads. If a worker or node is
    lost, its run resumes on another. Files of nodes that do not share the results folder are copied here. Once
    `stop()` is true, the trainings are asked to save a checkpoint and stop.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    room = resources(machine, [node["Resources"] for node in nodes], per_gpu)
    per_host = runs_per_host(nodes, room, most=min(jobs or len(runs), len(runs)))
    remote = ray.remote(**room, max_retries=RETRIES, retry_exceptions=[Lost])(ray_task.work)
    absolute = replace(machine, data=machine.data.resolve(), results=machine.results.resolve())
    waiting, running, started, failures = list(runs), dict[Any, Run](), set[Run](), list[Failure]()
    cancelled = False
    with ray_task.sharing_marker(absolute.results) as marker:
        while running or (waiting and not stop()):
            while waiting and not stop() and (jobs is None or len(running) < jobs):
                run = waiting.pop(0)
                task = Task(
                    run,
                    absolute,
                    tuple(extra),
                    on_gpu="num_gpus" in room,
                    marker=marker,
                    runs_per_host=per_host,
                    finished=ray_task.read_finished(train_process.directory(run, absolute)),
                    plugins=plugins.contents(),
                    initial_weights=_initial_weights(run, absolute, nodes),
                )
                running[remote.remote(task)] = run
            if stop() and not cancelled:
                cancelled = True
                for reference in running:
                    ray.cancel(reference)
            _report_started(running.values(), started, absolute, progress)
            for reference in ray.wait(list(running), timeout=POLL_SECONDS)[0]:
                run = running.pop(reference)
                directory = train_process.directory(run, absolute)
                _report_started([run], started, absolute, progress, ended=True)
                failures += record_end(progress, run, _result(reference, directory), directory, stopped=stop())
            progress.refresh()
    return failures


def resources(machine: Machine, nodes: Sequence[Mapping[str, float]], per_gpu: int | None) -> dict[str, float]:
    """Return the resources to reserve per run, given those of the nodes: a share of a GPU, or CPUs.

    Raises ConfigError for resources that no node has: Ray would wait for such a node silently and forever.
    """
    gpus = 0 if machine.device == "cpu" else sum(node.get("GPU", 0) for node in nodes)
    if gpus:
        return {"num_gpus": 1 / (per_gpu or 1), "num_cpus": 0}
    if machine.device == "cuda":
        raise ConfigError("--device cuda: the Ray cluster has no GPU; use --device cpu, or --device auto")
    if per_gpu is not None:
        raise ConfigError(f"--per-gpu {per_gpu}: the runs are trained on CPUs; use --jobs N")
    threads, most = machine.threads or 1, max((int(node.get("CPU", 0)) for node in nodes), default=0)
    if most == 0:
        raise ConfigError("--engine ray: no node of the cluster has a CPU for runs; start one with: ray start")
    if threads > most:
        raise ConfigError(f"--threads {threads}: no node of the Ray cluster has more than {most} CPUs")
    return {"num_cpus": threads}


def runs_per_host(nodes: Sequence[Mapping[str, Any]], room: Mapping[str, float], *, most: int) -> dict[str, int]:
    """Return the number of parallel runs by host, given the resources reserved per run; full hosts are left out."""
    kind, amount = ("GPU", room["num_gpus"]) if "num_gpus" in room else ("CPU", room["num_cpus"])
    slots = Counter[str]()
    for node in nodes:
        slots[node["NodeManagerHostname"]] += int(node["Resources"].get(kind, 0) / amount + 1e-6)
    return {host: min(count, most) for host, count in slots.items() if count}


def _initial_weights(run: Run, machine: Machine, nodes: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the content of a run's initial weights if other hosts may need it; keep a copy in the results folder."""
    if run.initial_weights is None:
        return None
    content = weights_file.content(run.initial_weights, machine.results)
    weights_file.keep(run.initial_weights, content, machine.results)
    return content if {node["NodeManagerHostname"] for node in nodes} - {socket.gethostname()} else None


def _report_started(
    runs: Iterable[Run], started: set[Run], machine: Machine, progress: ProgressTable, *, ended: bool = False
) -> None:
    """Report the runs that have started, as their locks show, to the progress table, and add them to `started`."""
    for run in [run for run in runs if run not in started]:
        holder = lock.holder(train_process.directory(run, machine))
        if ended or (holder is not None and not holder.gone):
            started.add(run)
            progress.started(run)


def _result(reference: Any, directory: Path) -> int | str:
    """Return the exit code of a task's training, or why there is none; write the files that the task returned."""
    import ray

    try:
        code, files = ray.get(reference)
        ray_task.write_files(files, directory)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        return (str(cause).strip() or type(cause).__name__).splitlines()[-1]
    except OSError as error:
        return words_of(error)
    return int(code)


def _check_reachable(address: str) -> None:
    """Raise ConfigError if nothing listens at an address; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--address {address}: expected auto or HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ConfigError(
            f"--address {address}: no answer ({reason(error)}); the address is what ray start --head printed"
        ) from None
