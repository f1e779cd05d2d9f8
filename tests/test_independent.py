import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/independent.py"


def test_the_independent_loop_does_not_import_the_package():
    assert "snapshot_cli" not in SCRIPT.read_text()


@pytest.mark.parametrize("method", ["single", "snapshot"])
def test_the_independent_loop_learns_an_easy_dataset(method, tmp_path, monkeypatch, capsys):
    labels = np.arange(128) % 2
    images = (
        np.random.default_rng(0).integers(0, 100, (128, 8, 8, 3), dtype=np.uint8) + 100 * labels[:, None, None, None]
    )
    for split in ("train", "test"):
        np.save(tmp_path / f"{split}-images.npy", images.astype(np.uint8))
        np.save(tmp_path / f"{split}-labels.npy", labels)
    options = ["--k", "1", "--size", "128", "--epochs", "4", "--cycles", "2"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), method, *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == "step 8: snapshot 0.00 %, ensemble so far 0.00 %"


def test_a_folder_without_images_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path), "single"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert f"{tmp_path}: no prepared dataset" in capsys.readouterr().err
