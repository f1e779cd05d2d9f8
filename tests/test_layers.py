"""What is never loaded early, and what no module may contain; who may import whom is a contract in setup.cfg."""

import ast
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from fabricated_runs import finish_cells

import snapshot_cli
from snapshot_cli.config.load import load

PACKAGE = Path(snapshot_cli.__file__).parent
CHECKOUT = PACKAGE.parent
MODULES = {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): p for p in sorted(PACKAGE.rglob("*.py"))}

# Modules that use torch, or training, which does; of them, besides training, those that do so when imported:
TORCH = {
    "datasets.augment", "datasets.batches", "datasets.examples", "networks", "networks.densenet", "networks.resnet",
    "networks.dense", "networks.external", "networks.operations",
    "datasets.decoding", "datasets.evaluation_transform", "datasets.order", "datasets.streamed",
    "training.checkpoint", "training.compiled", "training.hardware", "training.interpolate", "training.network",
    "training.loop", "training.predict", "training.record", "training.ranks", "launch.torchrun", "launch.slots",
    "training.predictions", "training.measure", "training.initial_weights", "training.trial",
    "launch.estimate", "launch.doctor", "launch.in_process",
    "commands.trainings", "fork_server", "randomness",
    "__init__", "training.scheduler", "serving.ensemble", "serving.exported", "serving.program",
    "serving.answering",
}  # fmt: skip
IMPORT_TORCH = {
    "datasets.augment", "datasets.batches", "datasets.examples", "networks.densenet", "networks.resnet", "randomness",
    "networks.dense", "serving.ensemble", "serving.export", "serving.exported", "serving.program",
    "serving.answering", "datasets.decoding", "datasets.order", "datasets.streamed",
}  # fmt: skip
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "scipy", "sklearn", "PIL")


def part(module):
    """Return the part of snapshot_cli that a module belongs to."""
    return [*module.split("."), ""][1]


def imports(tree):
    """Yield the names of what a module imports anywhere, also inside functions, as far as they are modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES or f"{name}.__init__" in MODULES else node.module


def without_type_checking(tree):
    """Return a module without what it imports for annotations alone."""

    class Remove(ast.NodeTransformer):
        def visit_If(self, node):
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else node

    return Remove().visit(tree)


def tree(module):
    return ast.parse(MODULES[module].read_text())


def uses_torch(module):
    names = list(imports(without_type_checking(tree(module))))
    return any(name.split(".")[0] in ("torch", "torchvision") or part(name) == "training" for name in names)


def test_who_uses_torch():
    found = {m.removeprefix("snapshot_cli.").removesuffix(".__init__") for m in MODULES if uses_torch(m)}
    assert found == TORCH


def test_importing_the_rest_loads_no_torch(tmp_path):
    rest = [m.removesuffix(".__init__") for m in MODULES if not m.endswith("__main__")]
    rest = [m for m in rest if part(m) != "training" and m.removeprefix("snapshot_cli.") not in IMPORT_TORCH]
    code = f"import sys, {', '.join(rest)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("module", [m for m in MODULES if part(m) in ("commands", "config", "cli", "run_directory")])
def test_command_line_and_config_load_nothing_heavy_when_imported(module):
    top = [n for n in without_type_checking(tree(module)).body if isinstance(n, ast.Import | ast.ImportFrom)]
    assert not {name.split(".")[0] for node in top for name in imports(ast.Module([node], []))} & set(HEAVY)


def test_nothing_dangerous():
    for node in (node for module in MODULES for node in ast.walk(tree(module))):
        if not isinstance(node, ast.Call):
            continue
        called, words = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
        assert called not in (
            "yaml.load",
            "yaml.unsafe_load",
            "eval",
            "exec",
            "os.system",
            "pickle.load",
            "pickle.loads",
            "torch.export.load",  # unpickles
            "torch.jit.load",
            "torch.hub.load",
        )
        assert not called.endswith(".extractall")
        assert "shell" not in words, called
        if called == "torch.load":
            assert words["weights_only"] == "True"
        if called == "np.load":
            assert words.get("allow_pickle", "False") == "False"


@pytest.mark.parametrize("module", MODULES)
def test_no_pickle_outside_torch_loading_weights_only(module):
    """datasets.plain_pickle reads the opcodes of CIFAR's archives by itself; pickletools runs none."""
    names = set(imports(tree(module)))
    assert not names & {"marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "runpy"}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            assert node.module not in (
                "pickle",
                "yaml",
                "torch.serialization",
                "subprocess",
                "os",
                "tarfile",
                "zipfile",
            )
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pickle":
            assert (module, node.attr) == ("snapshot_cli.training.checkpoint", "UnpicklingError")


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_and_sizes(module):
    text = MODULES[module].read_text()
    parsed = ast.parse(text)
    assert not text or ast.get_docstring(parsed), f"{module} has no docstring"
    for node in ast.walk(parsed):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{module}.{node.name} is too long"
    public = [n for n in parsed.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
    public += [f for c in public if isinstance(c, ast.ClassDef) for f in c.body if isinstance(f, ast.FunctionDef)]
    for node in public:
        inherited = isinstance(node, ast.FunctionDef) and (node.name.startswith("_") or node.name == "forward")
        assert inherited or ast.get_docstring(node), f"{module}.{node.name} has no docstring"


CODE = """
import os, sys
from snapshot_cli.cli import main
try:
    main(sys.argv[1:], prog_name="snapshot")
except SystemExit as ended:
    code = ended.code
print("exit", code, "loaded", *sorted(set({heavy!r}) & set(sys.modules)), file=sys.stderr)
"""


def loaded(*words, cwd):
    """Return exit code, what heavy things were loaded, and seconds of user time of a command in its own process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "80", "MPLCONFIGDIR": str(cwd / "mpl")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-c", CODE.format(heavy=HEAVY), *words]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    last = done.stderr.strip().splitlines()[-1].split()
    assert last[0] == "exit", done.stderr
    return int(last[1]), last[3:], seconds


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["reproduce", "--help"], 0),
        (["train", "wrong.yaml"], 2),
        (["reproduce", "demo/table1", "--dry-run"], 0),
        (["reproduce", "table1", "--dry-run"], 0),
        (["config", "show", str(CHECKOUT / "configs/demo/snapshot.yaml")], 0),
    ],
)
def test_quick_answers_load_nothing_heavy(tmp_path, words, code):
    (tmp_path / "wrong.yaml").write_text("dataset: digits\nnetwork: resnet-9\n")
    found, heavy, seconds = loaded(*words, cwd=tmp_path)
    assert (found, heavy) == (code, [])
    if seconds >= 1:  # once more: the first call may have compiled the modules
        seconds = loaded(*words, cwd=tmp_path)[2]
    assert seconds < 1


@pytest.mark.parametrize("verb", ["report", "reproduce"])
def test_reports_and_a_finished_study_never_load_torch(tmp_path, verb):
    study = CHECKOUT / "configs/studies/demo/table1.yaml"
    finish_cells(load(study), tmp_path / "results", lambda run, k: k)
    code, heavy, _ = loaded(verb, str(study), "--results-dir", "results", cwd=tmp_path)
    assert code == 0
    assert not {"torch", "torchvision", "sklearn"} & set(heavy)
    assert (tmp_path / "results/table1.md").is_file()


@pytest.mark.parametrize("module", MODULES)
def test_asserts_only_tell_the_type_checker(module):
    """`python -O` leaves them out: what refuses a file or a person must not be one."""
    tests = [node.test for node in ast.walk(ast.parse(MODULES[module].read_text())) if isinstance(node, ast.Assert)]
    for test in tests:
        compared = [operator for node in ast.walk(test) if isinstance(node, ast.Compare) for operator in node.ops]
        called = [ast.unparse(node.func) for node in ast.walk(test) if isinstance(node, ast.Call)]
        assert all(isinstance(operator, ast.IsNot) for operator in compared), ast.unparse(test)
        assert set(called) <= {"isinstance"}, ast.unparse(test)
