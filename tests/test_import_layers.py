"""The rooms of the house: one way through, fetch to report. A room imports itself and the rooms before it."""

import ast
from pathlib import Path

import pytest
from tests.test_dvc_yaml import Imports

PACKAGE = Path(__file__).parents[1] / "src" / "tiny_imagenet"
HALL = "hall"  # the modules that lie in no folder, and that every room may import
ROOMS = (HALL, "data", "augmentation", "models", "evaluation", "tracking", "training", "report", "commands")
ENTRANCES = ("compare", "export", "pack", "predict", "verify")  # commands: nothing imports them


def room_of(module: str) -> str:
    """The room of a module such as `tiny_imagenet.records.jpeg`."""
    parts = module.split(".")[1:]
    return parts[0] if parts and (PACKAGE / parts[0]).is_dir() else HALL


def test_every_folder_is_a_room():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS[1:])


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_nothing_downstream_is_imported_upstream(path):
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    inside = {name for name in imports.found if name.startswith("tiny_imagenet.")}
    assert not {name for name in inside if name.split(".")[1] in ENTRANCES}
    if path.stem not in ENTRANCES:
        own = ".".join(["tiny_imagenet", *path.relative_to(PACKAGE).with_suffix("").parts])
        allowed = ROOMS[: ROOMS.index(room_of(own)) + 1]
        assert not {name for name in inside if room_of(name) not in allowed}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_mlflow_stays_in_its_room(path):
    imports = Imports()
    imports.visit(ast.parse(path.read_text(encoding="utf-8")))
    assert path.parent.name == "tracking" or not {name for name in imports.found if name.split(".")[0] == "mlflow"}
