"""The model card of an exported ensemble, as JSON and Markdown: data, training, members, errors and calibration."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from snapshot_cli import __version__
from snapshot_cli.config.experiment import Experiment
from snapshot_cli.datasets.catalogue import CATALOGUE, Facts, split_name
from snapshot_cli.datasets.duplicates import Duplicates
from snapshot_cli.datasets.evaluation_transform import EvaluationTransform
from snapshot_cli.datasets.manifest import Manifest
from snapshot_cli.errors import visible
from snapshot_cli.formats import markdown_text
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.scores import Scores, defined
from snapshot_cli.serving.finished import Snapshot

OPENED = {
    "pt2": [
        "program = torch.export.load({file}).module()",
        "probabilities, agreement = program(images)  # a torch tensor",
    ],
    "onnx": [
        "session = onnxruntime.InferenceSession({file})",
        'probabilities, agreement = session.run(None, {{"images": images}})  # a numpy array',
    ],
}
UNDEFINED = "not defined"
SCORES = {
    "top1_error": "top-1 error, %",
    "top5_error": "top-5 error, %",
    "nll": "NLL, nats",
    "brier": "Brier score, 0 to 2",
    "ece": "ECE, 15 bins",
    "calibrated_nll": "NLL after temperature scaling, nats",
}


def facts(
    snapshots: Sequence[Snapshot], scores: Scores, manifest: Manifest, experiment: Experiment | None
) -> dict[str, Any]:
    """Return the card as values for JSON; `scores` are the scores of the snapshots on the test images."""
    transform = EvaluationTransform.of(manifest)
    return {
        "classes": list(manifest.classes),
        "side": manifest.size,
        "input": f"images: uint8 (batch, 3, {manifest.size}, {manifest.size}), channels red, green, blue, 0 to 255",
        "transform": transform.facts(),
        "resizing": transform.description,
        "outputs": {
            "probabilities": f"float32 (batch, {len(manifest.classes)}), the mean of the members' softmax outputs",
            "agreement": "float32 (batch), the share of members whose most probable class is the ensemble's",
        },
        "data": _data(manifest),
        "experiment": None if experiment is None else experiment.model_dump(mode="json"),
        "test": {
            "images": scores.images,
            "ensemble": scores.ensemble.numbers,
            "last_member": scores.alone[-1].numbers,
        },
        "members": [
            {"run": directory.run.run_id, "snapshot": snapshot, "test_error": defined(metrics.error)}
            | {"weights_sha256": directory.hashes[f"snapshots/{snapshot}.safetensors"]}
            for (directory, snapshot), metrics in zip(snapshots, scores.alone, strict=True)
        ],
        "runs": {directory.run.run_id: _run(directory) for directory in dict.fromkeys(d for d, _ in snapshots)},
        "exported_with": {
            "python": platform.python_version(),
            "versions": {"snapshot-cli": __version__} | {name: version(name) for name in ("torch", "numpy")},
        },
    }


def markdown(card: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    data, test = card["data"], card["test"]
    networks = ", ".join(dict.fromkeys(run["config"]["network"] for run in card["runs"].values()))
    lines = [
        f"# {markdown_text(card['file'])}",
        "",
        f"An ensemble of {len(card['members'])} x {networks}, trained on {markdown_text(data['title'])}, whose softmax "
        f"outputs are averaged (snapshot ensembles, https://arxiv.org/abs/1704.00109).",
        "",
        *("## Input and output", "", f"- {card['input']}; normalisation is inside"),
        f"- image files of any size: {card['resizing']}",
        *(f"- {name}: {what}" for name, what in card["outputs"].items()),
        f"- classes, in order: {', '.join(map(markdown_text, card['classes']))}",
        *("", "```python", *(line.format(file=_literal(card["file"])) for line in OPENED[card["format"]]), "```"),
        *("", "## Data", ""),
        *(f"- {key.replace('_', ' ')}: {_text(value)}" for key, value in data.items() if value is not None),
        *("", f"## Errors and calibration on {test['images']:,} test images", ""),
        *_table(["", "ensemble", "last member alone"], _score_rows(test)),
        *("", "## Members", ""),
        *([f"{selection(card['selection'])}.", ""] if card["selection"]["members"] != "all" else []),
        *_table(
            ["run", "snapshot", "test error, %", "sha256 of the weights"],
            [
                [markdown_text(m["run"]), m["snapshot"], _rounded(m["test_error"], 2), m["weights_sha256"]]
                for m in card["members"]
            ],
        ),
        *("", "## Training", ""),
    ]
    for name, run in card["runs"].items():
        settings = ", ".join(f"{key} {_text(value)}" for key, value in run["config"].items() if value is not None)
        place_facts = {key: value for key, value in run.items() if key not in ("config", "versions")} | run["versions"]
        place = ", ".join(
            f"{key.replace('_', ' ')} {_text(value)}" for key, value in place_facts.items() if value is not None
        )
        lines += [f"- {markdown_text(name)}: {settings}", f"  - {place}"]
    made = ", ".join(f"{name} {number}" for name, number in card["exported_with"]["versions"].items())
    lines += ["", "## This file", "", f"- format: {card['format']}", f"- sha256: {card['sha256']}"]
    lines += [f"- exported with: python {card['exported_with']['python']}, {made}", ""]
    lines += ["All numbers are measured on the test images above, and say nothing about other images."]
    return "\n".join(lines) + "\n"


def selection(selected: Mapping[str, Any]) -> str:
    """Describe in a sentence how the members were selected."""
    numbers = ", ".join(map(str, selected["numbers"]))
    if selected["members"] != "chosen":
        return f"members {numbers}, selected by hand ({selected['members']})"
    return (
        f"members {numbers} ({selected['rule']}), chosen on {selected['withheld_images']:,} withheld training images "
        f"({percent(selected['withheld_error'])} wrong); test images were not used"
    )


def _data(manifest: Manifest) -> dict[str, Any]:
    published = CATALOGUE.get(split_name(manifest.name)[0])
    return {
        "dataset": manifest.name,
        "title": manifest.name if published is None else published.title,
        "source": manifest.source,
        "licence": None if published is None else published.licence,
        "training_images": manifest.train,
        "test_images": manifest.test,
        "side": manifest.size,
        "channel_means": list(manifest.mean),
        "channel_standard_deviations": list(manifest.std),
        "content_hash": manifest.content_hash,
        "duplicates": _duplicates(manifest, published),
        "broken_files_left_out": len(manifest.broken) or None,
        "test_share_drawn": manifest.test_share,
    }


def _duplicates(manifest: Manifest, published: Facts | None) -> str | None:
    """Describe the duplicates that the manifest, or else the catalogue, counts; None if they were never counted."""
    if manifest.duplicates is not None:
        return "; ".join(manifest.duplicates.phrases().values()) or "none"
    if published is None or published.test_in_training is None:
        return None
    return Duplicates(test_in_training=published.test_in_training).phrases().get("test_in_training", "none")


def _run(directory: RunDirectory) -> dict[str, Any]:
    machine, summary = directory.machine, directory.summary
    kept = ("started", "device", "device_name", "threads", "python", "commit")
    return {
        "config": directory.run.model_dump(mode="json"),
        **{name: machine.get(name) for name in kept},
        "versions": machine.get("versions", {}),
        "uncommitted_changes": directory.uncommitted_changes,
        "training_images": summary.get("train_examples"),
        "steps": summary.get("iterations"),
        "seconds": summary.get("seconds"),
    }


def _score_rows(test: Mapping[str, Any]) -> list[list[str]]:
    ensemble, member = test["ensemble"], test["last_member"]
    digits = {name: 2 if name.endswith("error") else 4 for name in SCORES}
    rows = {name: [_rounded(metrics[name], digits[name]) for metrics in (ensemble, member)] for name in SCORES}
    return [[SCORES[name], *numbers] for name, numbers in rows.items() if numbers != [UNDEFINED] * 2]


def percent(error: float | None) -> str:
    """Return an error in percent as text."""
    return UNDEFINED if error is None else f"{error:.2f} %"


def _rounded(value: float | None, digits: int) -> str:
    return UNDEFINED if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return markdown_text(str(value))


def _literal(text: str) -> str:
    """Return text as a string of Python, in double quotes."""
    return visible(json.dumps(text, ensure_ascii=False))
