"""Imports go one way: a package imports itself and the packages that it is listed with here, stages/ included."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "tiny_imagenet"
# In the order of the layers: each may import those listed, which all stand above it.
LAYERS = {
    "core": (),
    "archive": ("core",),
    "dataset": ("core",),
    "records": ("core", "archive", "dataset"),
    "images": ("core", "dataset"),
    "augmentation": ("core",),
    "models": ("core",),
    "distribute": ("core",),
    "scoring": ("core",),
    "training": ("core", "dataset", "images", "augmentation", "models", "distribute", "scoring"),
    "evaluation": ("core", "dataset", "images", "scoring"),
    "tracking": ("core", "scoring", "evaluation"),
    "report": ("core", "dataset", "images", "augmentation", "distribute", "scoring", "evaluation"),
}
LAYERS["cli"] = tuple(LAYERS)
STAGES = {
    "fetch": ("core", "archive"),
    "preprocess": ("core", "archive", "dataset", "records"),
    "train": ("core", "dataset", "distribute", "training", "tracking"),
    "evaluate": ("core", "dataset", "images", "distribute", "scoring", "evaluation", "tracking"),
    "report": ("core", "dataset", "images", "scoring", "evaluation", "report", "tracking"),
}


class Imports(ast.NodeVisitor):
    """The modules that a file imports anywhere but under TYPE_CHECKING."""

    def __init__(self):
        self.found = set()

    def visit_If(self, node):
        if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            self.generic_visit(node)

    def visit_Import(self, node):
        self.found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node):
        self.found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}


def imports_of(path):
    """The modules that a file imports, by dotted name."""
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    return imports.found


def packages_of(path):
    """The packages of the project that a file imports."""
    inside = [name.split(".") for name in imports_of(path) if name.startswith("tiny_imagenet.")]
    return {parts[1] for parts in inside if (PACKAGE / parts[1]).is_dir()}


def test_every_package_has_a_layer():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(LAYERS)


def test_layers_are_in_order():
    names = list(LAYERS)
    for name, allowed in LAYERS.items():
        assert all(names.index(other) < names.index(name) for other in allowed), name


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_the_layers_above_it(package):
    for path in (PACKAGE / package).rglob("*.py"):
        assert packages_of(path) <= {package, *LAYERS[package]}, path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_only_its_packages(stage):
    assert packages_of(ROOT / "stages" / f"{stage}.py") <= set(STAGES[stage])


def test_only_tracking_imports_mlflow():
    """And the program that MLflow runs to load a model."""
    for path in (*PACKAGE.rglob("*.py"), *(ROOT / "stages").glob("*.py")):
        if path.parent.name != "tracking" and path.name != "served_model.py":
            assert "mlflow" not in {name.split(".")[0] for name in imports_of(path)}, path


@pytest.mark.parametrize("package", ["core", "archive", "dataset", "report"])
def test_no_tensorflow_at_import(package):
    """A wrong parameter, and most of the report, must not cost TensorFlow's import."""
    for path in (PACKAGE / package).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"tensorflow", "keras"}, path
