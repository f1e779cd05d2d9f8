"""Train many runs on a Ray cluster, or on this machine through Ray: hand them out and take what comes back."""

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
from snapshot_cli.errors import ConfigError
from snapshot_cli.launch import ray_task, train_process
from snapshot_cli.launch.progress_table import ProgressTable, end
from snapshot_cli.launch.ray_task import Lost, Task
from snapshot_cli.networks import plugins

RETRIES = 10  # of a run whose worker, node or process was lost; a retry resumes from the last checkpoint
POLL_SECONDS = 0.2
ENVIRONMENT = {"env_vars": {"PYTHONSAFEPATH": "1"}}  # a queue.py in the working folder is the user's
STORE_BYTES = 100_000_000  # of an instance for this machine alone, where no files travel


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a running cluster, or without an address to an instance of one's own on this machine.

    Raises ConfigError where Ray is not installed or does not start, and where no cluster answers.
    """
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("--engine ray: Ray is not installed here; type: pip install 'snapshot-cli[ray]'") from None
    if address not in (None, "auto"):
        _reach(address or "")
    local_options = {"include_dashboard": False, "object_store_memory": STORE_BYTES} if address is None else {}
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env=ENVIRONMENT,
            **local_options,
        )
    except (ConnectionError, ValueError) as error:
        if address is None:
            raise ConfigError(f"--engine ray: Ray does not start here: {error}") from error
        raise ConfigError(
            f"--address {address}: no Ray cluster is running; start one with: ray start --head, or leave --address out"
        ) from None
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
) -> list[str]:
    """Train the runs, in order, wherever the cluster has room and return a line for each that failed.

    A run gets a share of `per_gpu` GPUs where the cluster has any, else as many CPUs as threads. What a lost worker or
    node was training is trained on elsewhere. Finished runs of nodes that do not share the folder of results are
    brought here. Once `stop` says so, the trainings are told to save their state.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    room = resources(machine, [node["Resources"] for node in nodes], per_gpu)
    together = beside(nodes, room, most=min(jobs or len(runs), len(runs)))
    remote = ray.remote(**room, max_retries=RETRIES, retry_exceptions=[Lost])(ray_task.work)
    everywhere = replace(machine, data=machine.data.resolve(), results=machine.results.resolve())
    waiting, running, told, failures = list(runs), dict[Any, Run](), set[Run](), list[str]()
    cancelled = False
    with ray_task.marked(everywhere.results) as marker:
        while running or (waiting and not stop()):
            while waiting and not stop() and (jobs is None or len(running) < jobs):
                run = waiting.pop(0)
                finished = ray_task.finished(train_process.directory(run, everywhere))
                task = Task(
                    run,
                    everywhere,
                    tuple(extra),
                    on_gpu="num_gpus" in room,
                    marker=marker,
                    beside=together,
                    finished=finished,
                    plugins=plugins.contents(),
                    initial_weights=_initial_weights(run, everywhere, nodes),
                )
                running[remote.remote(task)] = run
            if stop() and not cancelled:
                cancelled = True
                for reference in running:
                    ray.cancel(reference)
            _tell(running.values(), told, everywhere, progress)
            for reference in ray.wait(list(running), timeout=POLL_SECONDS)[0]:
                run = running.pop(reference)
                directory = train_process.directory(run, everywhere)
                _tell([run], told, everywhere, progress, ended=True)
                failures += end(progress, run, _result(reference, directory), directory, stopped=stop())
            progress.look()
    return failures


def resources(machine: Machine, nodes: Sequence[Mapping[str, float]], per_gpu: int | None) -> dict[str, float]:
    """Return the resources that Ray reserves per run, given those of a node: a share of a GPU, or CPUs.

    Raises ConfigError for what no node has: Ray would wait for such a node, without a word and for ever.
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


def beside(nodes: Sequence[Mapping[str, Any]], room: Mapping[str, float], *, most: int) -> dict[str, int]:
    """Return the number of parallel runs by host, given the resources reserved per run; full hosts are left out."""
    kind, amount = ("GPU", room["num_gpus"]) if "num_gpus" in room else ("CPU", room["num_cpus"])
    slots = Counter[str]()
    for node in nodes:
        slots[node["NodeManagerHostname"]] += int(node["Resources"].get(kind, 0) / amount + 1e-6)
    return {host: min(count, most) for host, count in slots.items() if count}


def _initial_weights(run: Run, machine: Machine, nodes: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Return the file that a run starts from where other hosts are to have it, and keep a copy for those that can."""
    if run.initial_weights is None:
        return None
    content = weights_file.content(run.initial_weights, machine.results)
    weights_file.keep(run.initial_weights, content, machine.results)
    return content if {node["NodeManagerHostname"] for node in nodes} - {socket.gethostname()} else None


def _tell(
    runs: Iterable[Run], told: set[Run], machine: Machine, progress: ProgressTable, *, ended: bool = False
) -> None:
    """Tell the progress table of the runs that have begun, as their locks say."""
    for run in [run for run in runs if run not in told]:
        holder = lock.holder(train_process.directory(run, machine))
        if ended or (holder is not None and not holder.gone):
            told.add(run)
            progress.started(run)


def _result(reference: Any, directory: Path) -> int | str:
    """Return the exit code of a task's training, or why there is none; what the task brought is put in its place."""
    import ray

    try:
        code, files = ray.get(reference)
        ray_task.bring(files, directory)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        return (str(cause).strip() or type(cause).__name__).splitlines()[-1]
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return int(code)


def _reach(address: str) -> None:
    """Refuse an address at which nobody listens; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--address {address}: expected auto or HOST:PORT, such as 10.0.0.1:6379")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise ConfigError(
            f"--address {address}: nobody answers there ({error.strerror or error}); "
            "the address is what ray start --head printed"
        ) from None
