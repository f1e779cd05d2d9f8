"""Every example of docs/python.md is run; Hugging Face's trainer and Lightning's are fakes that call in their order."""

import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from command_line import CHECKOUT
from torch import nn
from torch.nn.functional import cross_entropy

TEXT = (CHECKOUT / "docs/python.md").read_text()
EXAMPLES = dict(re.findall(r"## ([^\n]+)\n.*?```python\n(.*?)```", TEXT, re.DOTALL))


def batches(count=6):
    draw = torch.Generator().manual_seed(0)
    return [
        (torch.randn(4, 3, 32, 32, generator=draw), torch.randint(0, 4, (4,), generator=draw)) for _ in range(count)
    ]


def run(*titles, **names):
    """Run examples one after another, below the imports of the first one, and return their names.

    `names` are those that the page explains in its text.
    """
    imports, _ = EXAMPLES["A training loop"].split("\n\n\nnetwork = ")
    for title, code in [("imports", imports), *((title, EXAMPLES[title]) for title in titles)]:
        exec(compile(code, title, "exec"), names)
    return names


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_every_example_is_run_here():
    assert list(EXAMPLES) == [
        "A training loop", "Predict and score", "Save and export", "A timm network", "Stop and resume",
        "Scores as a pandas table", "A callback for the Trainer of Hugging Face", "A callback for Lightning",
    ]  # fmt: skip
    assert TEXT.count("```python") == len(EXAMPLES)


def test_a_loop_and_what_its_ensemble_can_do(capsys):
    names = run(
        "A training loop", "Predict and score", "Save and export", batches=batches(), test_batches=batches(3), epochs=1
    )
    assert len(names["ensemble"]) == 3
    assert re.findall(r"^last (\d): [0-9.]+ % wrong, NLL [0-9.]+$", capsys.readouterr().out, re.MULTILINE) == list(
        "123"
    )
    images = names["images"]
    assert torch.equal(names["probabilities"], names["ensemble"].last(2)(images))
    assert torch.equal(names["same"](images), names["ensemble"](images))
    assert torch.export.load("ensemble.pt2").module()(images)[0].shape == (4, 4)


def test_timm():
    pytest.importorskip("timm")
    run("A timm network", images=batches()[0][0])


def test_stop_and_resume():
    names = run("Stop and resume")
    assert len(names["ensemble"]) == 1


def test_scores(monkeypatch, capsys):
    monkeypatch.chdir(CHECKOUT)
    run("Scores as a pandas table")
    assert re.search(r"NoCycle Snapshot +30\.012 +0\.5255\d+ +5\n", capsys.readouterr().out)


class Model(nn.Module):
    """A model of Hugging Face: it takes names and returns an object."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3 * 32**2, 4)

    def forward(self, pixel_values):
        return SimpleNamespace(logits=self.linear(pixel_values.flatten(1)))


class Trainer:
    """What transformers.Trainer does with a schedule and callbacks in every step, in its order."""

    def __init__(self, model, args, *, train_dataset, optimizers, callbacks):
        self.model, self.training, self.optimizers, self.callbacks = model, train_dataset, optimizers, callbacks

    def train(self):
        optimizer, schedule = self.optimizers
        for images, labels in self.training:
            cross_entropy(self.model(pixel_values=images).logits, labels).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            for callback in self.callbacks:
                callback.on_step_end(None, None, None, model=self.model, optimizer=optimizer, lr_scheduler=schedule)


def test_the_callback_for_hugging_face(monkeypatch):
    transformers = ModuleType("transformers")
    transformers.Trainer, transformers.TrainerCallback = Trainer, type("TrainerCallback", (), {})
    monkeypatch.setitem(sys.modules, "transformers", transformers)
    names = run(
        "A callback for the Trainer of Hugging Face",
        model=Model(), args=None, steps=6, training=batches(), images=batches()[0][0],
    )  # fmt: skip
    assert len(names["snapshots"].ensemble) == 3


class LightningTrainer:
    """What lightning.Trainer does with a schedule of interval step and callbacks in every batch, in its order."""

    def __init__(self, *, max_epochs, callbacks):
        self.epochs, self.callbacks = max_epochs, callbacks

    def fit(self, module, batches):
        module.trainer, self.estimated_stepping_batches = self, self.epochs * len(batches)
        made = module.configure_optimizers()
        assert made["lr_scheduler"]["interval"] == "step"
        self.lr_scheduler_configs = [SimpleNamespace(**made["lr_scheduler"])]
        for index, batch in enumerate(batches * self.epochs):
            made["optimizer"].zero_grad()
            loss = module.training_step(batch, index)
            loss.backward()
            made["optimizer"].step()
            self.lr_scheduler_configs[0].scheduler.step()
            for callback in self.callbacks:
                callback.on_train_batch_end(self, module, loss, batch, index)


def test_the_callback_for_lightning(monkeypatch):
    lightning = ModuleType("lightning")
    lightning.LightningModule, lightning.Trainer = nn.Module, LightningTrainer
    lightning.Callback = type("Callback", (), {})
    monkeypatch.setitem(sys.modules, "lightning", lightning)
    names = run("A callback for Lightning", epochs=1, batches=batches(), images=batches()[0][0])
    assert len(names["snapshots"].ensemble) == 3
