"""dvc.yaml against the code: a stage depends on the packages that its script imports, and on no single module."""

import subprocess
from pathlib import Path

import pytest
from dvc.repo import Repo
from tests.test_import_layers import PACKAGE, packages_of

ROOT = Path(__file__).parents[1]
NO_EFFECT = {"core", "tracking", "cli"}  # packages that change no result: no stage depends on them
STAGES = {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}


def packages_behind(script):
    """The packages that a script runs, at any depth, without those that change no result."""
    found, waiting = set(), packages_of(script)
    while waiting:
        package = waiting.pop()
        if package not in found | NO_EFFECT:
            found.add(package)
            for path in (PACKAGE / package).rglob("*.py"):
                waiting |= packages_of(path)
    return found


def code_deps(stage):
    return {dep.def_path for dep in stage.deps if dep.def_path.startswith(("src/", "stages/"))}


@pytest.mark.parametrize("address", STAGES)
def test_deps_are_the_imported_packages(address):
    stage_name, _, _ = address.partition("@")
    script = f"stages/{stage_name}.py"
    expected = {f"src/tiny_imagenet/{package}" for package in packages_behind(ROOT / script)} | {script}
    deps = code_deps(STAGES[address])
    if stage_name == "train":  # of models/, its own architecture and the shared layers
        model = address.removeprefix("train@")
        parts = [next(p for p in STAGES[address].deps if hasattr(p, "params")).read_params()]
        architecture = parts[0][f"models.{model}"]["architecture"]
        expected -= {"src/tiny_imagenet/models"}
        expected |= {"src/tiny_imagenet/models/layers", f"src/tiny_imagenet/models/{architecture}.py"}
    assert sorted(deps) == sorted(expected)


@pytest.mark.parametrize("address", STAGES)
def test_no_dep_is_a_single_module(address):
    """But for the stage's script and the model's architecture."""
    modules = [dep for dep in code_deps(STAGES[address]) if dep.startswith("src/") and dep.endswith(".py")]
    assert all(Path(dep).parent.name == "models" for dep in modules)
    assert len(modules) == address.startswith("train@")


def test_a_model_depends_on_its_own_numbers_only():
    for address, stage in STAGES.items():
        stage_name, _, model = address.partition("@")
        if stage_name in ("train", "evaluate"):
            keys = {key for dep in stage.deps for key in getattr(dep, "params", [])}
            assert {key for key in keys if key.startswith("models.")} == {f"models.{model}"}
            assert len([key for key in keys if key.startswith("recipes.")]) == 1


def test_a_model_is_named_only_where_it_is_released():
    """A new model has its curves and its confusion matrix without a line of its own."""
    stages, artifacts = (ROOT / "dvc.yaml").read_text(encoding="utf-8").split("\nartifacts:")
    text = stages + artifacts.partition("\nplots:")[2]
    models = {address.partition("@")[2] for address in STAGES if "@" in address}
    assert not [name for name in models if f"/{name}/" in text]


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])  # DVC runs a stage by $SHELL
@pytest.mark.parametrize("root", ["main checkout", "100% what"])
def test_a_stage_takes_the_python_of_the_checkout_or_else_of_the_path(shell, root, tmp_path):
    """`dvc` may be started by cron or an editor, without the environment activated."""
    if not Path(shell).exists():
        pytest.skip(f"there is no {shell}")
    for place, word in ((tmp_path / root / ".venv", "environment"), (tmp_path / "other", "other")):
        (place / "bin").mkdir(parents=True)
        (place / "bin" / "python").write_text(f'#!/bin/sh\necho {word} "$PYTHONPATH" "$@"\n')
        (place / "bin" / "python").chmod(0o755)
    variables = {"PATH": f"{tmp_path / 'other' / 'bin'}:/usr/bin:/bin"}
    command = [shell, "-c", STAGES["train@vgg"].cmd]
    for checkout, word in ((tmp_path / root, "environment"), (tmp_path, "other")):
        environment = variables | {"DVC_ROOT": str(checkout)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == f"{word} src stages/train.py vgg\n"


def test_sizes():
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 170
    for script in (ROOT / "stages").glob("*.py"):
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 90, script
