"""Memory does not grow over epochs."""

import gc

import torch

from snapshot_cli.config.machine import Machine
from snapshot_cli.run_directory import RunDirectory
from snapshot_cli.training import loop

WARM, EPOCHS = 3, 12


def held():
    """Return the bytes of all tensors that anything holds."""
    gc.collect()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage() for t in gc.get_objects() if type(t) in KINDS}
    return sum(storage.nbytes() for storage in storages.values())


KINDS = (torch.Tensor, torch.nn.Parameter)


def test_tensors_do_not_grow_over_epochs(tiny_dataset, tiny_run, tmp_path):
    sizes = []

    class Callback:
        def on_start(self, done, steps, epoch_length):
            pass

        def on_step(self, step, lr):
            pass

        def on_epoch(self, row):
            sizes.append(held())

    run, directory = tiny_run(budget=EPOCHS), RunDirectory(tmp_path)
    directory.start(run, {})
    loop.train(run, tiny_dataset, directory, Machine(device="cpu"), callback=Callback())
    assert len(sizes) == EPOCHS
    assert sizes[WARM] > 100_000
    assert max(sizes[WARM:]) <= sizes[WARM]
