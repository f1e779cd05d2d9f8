import pytest

from snapshot_cli.config.run_words import in_words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule": "step"}, "resnet-8 tiny step M2 alpha0 0.1 seed 0 "),
        ({"schedule": "step", "dropout": 0.2}, "resnet-8 tiny step M2 alpha0 0.1 dropout 0.2 seed 0 "),
        ({"alpha0": 0.05, "cycle": 1, "seed": 3}, "resnet-8 tiny cosine M2 cycle 1 alpha0 0.05 seed 3 "),
    ],
)
def test_a_run_is_told_by_its_settings_and_its_hash_last(tiny_run, changes, words):
    run = tiny_run(**changes)
    assert in_words(run) == words + run.run_id[-8:]
