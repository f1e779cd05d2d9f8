"""A wheel that works outside the checkout; slow: building it takes half a minute."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
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
def archives(tmp_path_factory):
    """Build a source archive and, from that, the wheel, with the installed setuptools."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(CHECKOUT, folder / "source", ignore=LEFT_OUT, symlinks=True)
    call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", "source", cwd=folder)
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(archives):
    return next(archives.glob("*.whl"))


def package_files():
    """Return the files of the package: modules, py.typed, templates, configs and schemas."""
    package = CHECKOUT / "snapshot_cli"
    files = {path.relative_to(CHECKOUT) for path in [*package.rglob("*.py"), package / "py.typed"]}
    files |= {path.relative_to(CHECKOUT) for path in (package / "reporting/templates").iterdir()}
    configs = [path for path in (CHECKOUT / "configs").rglob("*") if path.is_file()]
    return {str(path) for path in files | {Path("snapshot_cli", path.relative_to(CHECKOUT)) for path in configs}}


def test_the_wheel_has_the_files_of_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == package_files()


def test_the_source_archive_has_what_the_wheel_is_built_from_and_nothing_else(archives):
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    top = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert {name for name in names if ".egg-info/" not in name} == package_files() | top


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
    assert call(snapshot, "--version", cwd=tmp_path) == f"snapshot, version {wheel.name.split('-')[1]}\n"
    assert call(snapshot, "--help", cwd=tmp_path).startswith("Usage: snapshot ")
    assert "network: wide-resnet-8-1  # " in call(snapshot, "config", "show", "demo/snapshot", cwd=tmp_path)
    plan = call(snapshot, "reproduce", "--dry-run", "demo/table1", cwd=tmp_path)
    assert "40 runs, 0 done" in plan
