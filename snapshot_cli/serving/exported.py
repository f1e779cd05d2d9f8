"""Read the .pt2 files of exported ensembles without executing code from them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snapshot_cli.config.experiment import Run
from snapshot_cli.errors import ConfigError, UserError
from snapshot_cli.serving.answering import answers_of
from snapshot_cli.serving.classifier import FACTS, Classifier, of_facts, transform_of, unreadable
from snapshot_cli.serving.ensemble import SnapshotEnsemble
from snapshot_cli.training.network import build_network, build_on_meta

MAX_JSON_BYTES = 16_000_000  # bytes of JSON; that of a hundred members has some hundred thousand


def read(path: Path) -> Classifier:
    """Return an exported file as a classifier; UserError if it is not one.

    The networks are built from their names in the file and loaded with its weights. Its program is not executed:
    torch.export.load would unpickle it, which can run any code. Raises ConfigError if timm or a plug-in is missing.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(_member(archive, f"extra/{FACTS}", most=MAX_JSON_BYTES))
            ensemble = _ensemble(facts, archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, RecursionError, OverflowError):
        raise unreadable(path) from None
    except ConfigError:
        raise
    except (
        UserError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):  # the file does not describe an ensemble of this package
        raise unreadable(path) from None
    return of_facts(facts, path, answers_of(ensemble))


def _ensemble(facts: Mapping[str, Any], archive: zipfile.ZipFile) -> SnapshotEnsemble:
    """Return the ensemble that the facts describe, with the weights in the file."""
    classes, transform = [str(name) for name in facts["classes"]], transform_of(facts)
    files = json.loads(_member(archive, "data/weights/model_weights_config.json", most=MAX_JSON_BYTES))["config"]
    ensemble = SnapshotEnsemble(mean=(0.0,) * 3, std=(1.0,) * 3, classes=classes, transform=transform)
    if not facts["members"]:
        raise ValueError("no members")
    networks: dict[tuple[str, int], nn.Module] = {}
    for number, member in enumerate(facts["members"]):
        snapshot = (member["run"], member["snapshot"])
        if snapshot not in networks:
            run = Run.model_validate(facts["runs"][member["run"]]["config"])
            network = _network(run, len(classes), transform.side, f"ensemble.members.{number}.", files, archive)
            networks[snapshot] = network.eval().requires_grad_(False)
        ensemble.members.append(networks[snapshot])
    for name in ("mean", "std"):
        setattr(ensemble, name, _tensor(getattr(ensemble, name), files[f"ensemble.{name}"]["path_name"], archive))
    return ensemble


def _network(
    run: Run, classes: int, side: int, prefix: str, files: Mapping[str, Any], archive: zipfile.ZipFile
) -> nn.Module:
    """Return a member with its weights, built on the meta device first: a hostile name then allocates no memory."""
    try:
        with torch.device("meta"):
            network = build_network(run, classes=classes, side=side)
    except ConfigError:
        raise
    except UserError:
        network = build_on_meta(run, classes=classes, side=side)
    _fill(network, prefix, files, archive)
    if not any(buffer.is_meta for buffer in network.buffers()):
        return network
    weights = network.state_dict()
    with torch.random.fork_rng(devices=[]):
        network = build_network(run, classes=classes, side=side)  # computes the buffers that the weights lack
    network.load_state_dict(weights)
    return network


def _fill(network: nn.Module, prefix: str, files: Mapping[str, Any], archive: zipfile.ZipFile) -> None:
    weights = {
        name: _tensor(tensor, files[prefix + name]["path_name"], archive)
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(weights, assign=True)


def _tensor(like: Tensor, name: str, archive: zipfile.ZipFile) -> Tensor:
    """Return a file of weights as a tensor of the dtype and shape of `like`; ValueError if the size differs."""
    data = _member(archive, f"data/weights/{name}", most=like.nbytes)
    return torch.frombuffer(bytearray(data), dtype=like.dtype).view(like.shape)


def _member(archive: zipfile.ZipFile, name: str, *, most: int) -> bytes:
    """Return the bytes of a member; ValueError if it is compressed, which torch never does, or longer than `most`."""
    top = archive.namelist()[0].partition("/")[0]
    member = archive.getinfo(f"{top}/{name}")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size > most:
        raise ValueError(name)
    return archive.read(member)
