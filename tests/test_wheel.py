"""A wheel that works outside the checkout; slow: building it takes half a minute."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from command_line import CHECKOUT

pytestmark = pytest.mark.slow
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "results", "data", "build", "dist", "*.egg-info", "__pycache__")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def call(*words, cwd):
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a source archive and, from that, the wheel, by the setuptools that is here."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(CHECKOUT, folder / "source", ignore=LEFT_OUT, symlinks=True)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", "source", cwd=folder)
    return next((folder / "dist").glob("*.whl"))


def test_the_wheel_has_every_module_config_and_template(wheel):
    package = CHECKOUT / "snapshot_cli"
    wanted = {path.relative_to(CHECKOUT) for path in package.rglob("*.py")}
    wanted |= {path.relative_to(CHECKOUT) for path in (package / "reporting/templates").iterdir()}
    configs = [path for path in (CHECKOUT / "configs").rglob("*") if path.is_file()]
    wanted |= {Path("snapshot_cli", path.relative_to(CHECKOUT)) for path in configs}
    assert {str(path) for path in wanted} <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_works_outside_the_checkout(wheel, tmp_path):
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh/bin/python"
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # A line that is a path adds that folder, and does not run the .pth files in it, such as those of editable installs.
    (site / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    call(python, "-m", "pip", "install", "--no-deps", "--no-index", "--force-reinstall", wheel, cwd=tmp_path)
    where = call(python, "-c", "import snapshot_cli; print(snapshot_cli.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    snapshot = tmp_path / "fresh/bin/snapshot"
    assert call(snapshot, "--help", cwd=tmp_path).startswith("Usage: snapshot ")
    assert "network: wide-resnet-8-1  # " in call(snapshot, "config", "show", "demo/snapshot", cwd=tmp_path)
    plan = call(snapshot, "reproduce", "--dry-run", "demo/table1", cwd=tmp_path)
    assert plan.endswith("11 runs, 0 done; 256,000 of 256,000 training images to go\n")
