import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "scripts/power.py"))


def test_five_seeds_of_three_networks_detect_a_difference_of_nine_tenths():
    # In 200,000 simulated studies the pooled t test decides 98.3 %.
    assert SCRIPT["power"](0.9, seeds=5, networks=3, std=0.6, alpha=0.05 / 8) == pytest.approx(0.983, abs=1e-3)


@pytest.mark.parametrize("option", ["points=0", "points=nan", "std=0", "seeds=1", "networks=0", "claims=0", "power=1"])
def test_a_design_without_a_power_is_refused(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        SCRIPT["main"]([f"--{option}"])
    assert "expected points and std above 0" in capsys.readouterr().err
