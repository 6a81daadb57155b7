"""The demo's copy of the pipeline, and its parameters."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from demo.run import make_copy

from tiny_imagenet.core.params import load_params

ROOT = Path(__file__).parents[1]
DEMO, MAIN = load_params(ROOT / "demo" / "params.yaml"), load_params(ROOT / "params.yaml")
COPIED = {"dvc.yaml", "params.yaml", ".dvcignore", ".dvc", "src", "stages"}


@pytest.fixture
def checkout(tmp_path):
    """A checkout without git, at a path with special characters, with CRLF line endings and files of a user."""
    folder = tmp_path / "a b %20 #1 50%?x=y"
    for name in ("demo", "src", "stages", ".dvc/plots"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("dvc.yaml", "demo/params.yaml"):
        path = folder / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "params.yaml").write_text("not: [the demo's")
    (folder / "holiday.jpg").write_bytes(b"a picture")
    (folder / ".dvc" / "config").write_text("[core]\n    remote = elsewhere\n")
    return folder


def test_the_copy_has_code_and_parameters_and_nothing_else(checkout):
    copy = checkout / ".demo"
    (copy / "reports").mkdir(parents=True)  # left by an earlier demo
    make_copy(checkout, copy)
    assert {path.name for path in copy.iterdir()} == COPIED
    assert not [*copy.rglob("__pycache__"), *copy.rglob("*.jpg"), *copy.rglob("*.egg-info")]
    assert load_params(copy / "params.yaml") == DEMO
    assert "remote" not in (copy / ".dvc" / "config").read_text()


def test_dvc_knows_every_stage_of_the_copy(checkout):
    make_copy(checkout, checkout / ".demo")
    command = [sys.executable, "-m", "dvc", "stage", "list", "--name-only"]
    done = subprocess.run(command, cwd=checkout / ".demo", capture_output=True, text=True, check=True)
    each = [f"{stage}@{name}" for stage in ("train", "evaluate") for name in DEMO.models]
    assert sorted(done.stdout.split()) == sorted(["fetch", "preprocess", *each, "report"])


def test_the_demo_trains_every_architecture_and_recipe_of_the_models():
    """Copies with another seed are left out, and so is `hour`: the code of `minutes`, with more to compute."""
    assert {model.architecture for model in DEMO.models.values()} == {
        model.architecture for model in MAIN.models.values()
    }
    for name, model in DEMO.models.items():
        main = MAIN.models[name]
        assert (model.architecture, model.recipe, model.arguments) == (main.architecture, main.recipe, main.arguments)


def test_the_recipes_differ_from_those_of_params_yaml_in_lr_epochs_and_batch_size_alone():
    changed = {"lr", "epochs", "batch_size", "recipe_epochs", "dataset"}
    for name, model in DEMO.models.items():
        assert model.model_dump(exclude=changed) == MAIN.models[name].model_dump(exclude=changed)
