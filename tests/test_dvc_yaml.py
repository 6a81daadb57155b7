"""dvc.yaml against the code: each stage depends on every module that it imports, at any depth, and on no other."""

import ast
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

ROOT = Path(__file__).parents[1]
PACKAGE = "tiny_imagenet"


class Imports(ast.NodeVisitor):
    """The modules of the package that a file imports anywhere but under TYPE_CHECKING."""

    def __init__(self):
        self.found = set()

    def visit_If(self, node):
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node):
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node):
        self.found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}


def modules_behind(script: Path) -> set[str]:
    """The files of the package that a script runs."""
    seen, waiting = set(), [script]
    while waiting:
        imports = Imports()
        imports.visit(ast.parse(waiting.pop().read_text()))
        for name in imports.found:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1 if parts[0] == PACKAGE else 1):
                base = ROOT / "src" / Path(*parts[:depth])
                path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
                if path.is_file() and path not in seen:
                    seen.add(path)
                    waiting.append(path)
    return {path.relative_to(ROOT).as_posix() for path in seen}


STAGES = {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_imports(name):
    stage = STAGES[name]
    verb, _, model = name.partition("@")
    script = f"stages/{verb}.py"
    expected = modules_behind(ROOT / script) | {script}
    if verb == "train":  # models/__init__.py imports the architecture by its name
        architecture = ROOT / "src" / PACKAGE / "models" / f"{PARAMS['models'][model]['architecture']}.py"
        expected |= modules_behind(architecture) | {architecture.relative_to(ROOT).as_posix()}
    if verb == "report":
        expected |= {f"src/{PACKAGE}/report/templates"}
    deps = {dep.def_path for dep in stage.deps if dep.def_path.startswith(("src/", "stages/"))}
    assert sorted(deps) == sorted(expected)


def test_every_model_is_in_every_plot():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    curves = [next(iter(plot.values())) for plot in plots if "Confusion" not in next(iter(plot))]
    assert curves
    for curve in curves:
        assert sorted(curve["y"]) == sorted(f"metrics/{model}/history.csv" for model in PARAMS["models"])


def test_a_model_depends_on_its_own_numbers_only():
    for name, stage in STAGES.items():
        if name.startswith("train@"):
            keys = {key for dep in stage.deps for key in getattr(dep, "params", [])}
            assert {key for key in keys if key.startswith("models.")} == {f"models.{name.removeprefix('train@')}"}


def test_each_stage_is_small():
    for script in (ROOT / "stages").glob("*.py"):
        assert len(script.read_text().splitlines()) <= 80, script
