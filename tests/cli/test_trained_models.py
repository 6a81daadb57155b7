"""The trained models of a checkout: which one is chosen, and damaged or older metrics."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo
from tests.support.model_files import INFO, write_metadata

from tiny_imagenet.cli.trained_models import find_model
from tiny_imagenet.core.errors import InputError

FULL_DISK = """
from tiny_imagenet.core.process import command_process
with command_process("export"), open("/dev/full", "w", buffering=1) as file:
    file.write("a line\\n")
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Makes a checkout with the models good, weak and unscored, which is not evaluated."""
    for name, accuracy in (("weak", 0.2), ("good", 0.3), ("unscored", None)):
        write_metadata(tmp_path / "models" / name / "model.keras", model=name)
        if accuracy is not None:
            write_scores(tmp_path, name, {name: {"top_1_accuracy": accuracy, "loss": 1.0}})
    return tmp_path


def write_scores(root: Path, name: str, content: object) -> None:
    path = root / "reports" / "metrics" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def test_the_default_is_the_most_accurate(root: Path) -> None:
    assert find_model(root, None).name == "good"
    assert find_model(root, "unscored").name == "unscored"


def test_a_debug_run_is_not_the_default_beside_another_model(root: Path) -> None:
    write_scores(root, "good", {"good": {"top_1_accuracy": 1.0, "debug": 1}})
    assert find_model(root, None).name == "weak"
    assert find_model(root, "good").name == "good"
    shutil.rmtree(root / "models" / "weak")
    assert find_model(root, None).name == "good"


def test_a_model_that_is_not_evaluated_comes_last(root: Path) -> None:
    write_scores(root, "good", {"good": {"top_1_accuracy": 0.0}})
    (root / "reports" / "metrics" / "weak.json").unlink()
    assert find_model(root, None).name == "good"


def test_a_file_needs_no_checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_metadata(tmp_path_factory.mktemp("elsewhere") / "any name.keras", model="cups")
    found = find_model(root, str(path))
    assert (found.name, found.path, found.info.classes) == ("cups", path, INFO.classes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"good": {}}, "good.json: good.top_1_accuracy: Field required; run `dvc repro`"),
        ({"weak": {"top_1_accuracy": 0.5}}, "good.json: good: is missing; run `dvc repro`"),
        ([], "good.json: Input should be an object; run `dvc repro`"),
    ],
)
def test_damaged_metrics_are_one_line(root: Path, content: object, message: str) -> None:
    write_scores(root, "good", content)
    with pytest.raises(InputError) as caught:
        find_model(root, None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("artifacts:\n", "models: holds no trained model; run `dvc repro`, or name a checkout with --root"),
        ("artifacts: [a]\n", r"dvc.yaml: artifacts: got \['a'\]; input should be a valid dictionary"),
        ("artifacts: {a: }\n", "dvc.yaml: artifacts: a: got None; "),
        ("artifacts: {a: {type: model}}\n", "dvc.yaml: artifacts: a.path: is missing; add it"),
    ],
)
def test_a_dvc_yaml_without_released_models_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "dvc.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        find_model(tmp_path, None)


def test_the_released_models_are_fetched(tmp_path: Path, dvc_project: Callable[[Path], None]) -> None:
    """The best of them by reports/metrics; a trained model goes before them, but for one that is named."""
    dvc_project(tmp_path)
    for name, accuracy in (("small", 0.2), ("large", 0.3)):
        write_scores(tmp_path, name, {name: {"top_1_accuracy": accuracy}})
    assert find_model(tmp_path, None).name == "large"
    assert not (tmp_path / "models" / "small" / "model.keras").exists()
    assert find_model(tmp_path, None).path == tmp_path / "models" / "large" / "model.keras"
    assert find_model(tmp_path, "small").info.model == "small"
    with pytest.raises(InputError, match="no such trained model; did you mean 'small'"):
        find_model(tmp_path, "smal")


def test_a_model_that_the_remote_lacks_is_one_line(tmp_path: Path, dvc_project: Callable[[Path], None]) -> None:
    dvc_project(tmp_path)
    shutil.rmtree(tmp_path / "release")
    with pytest.raises(InputError, match=r"models/small/model\.keras: cannot be fetched \(.*run `dvc repro`") as caught:
        find_model(tmp_path, "small")
    assert "\n" not in str(caught.value)


@pytest.fixture
def dvc_project() -> Callable[[Path], None]:
    """Returns a function that makes a clone with two released models, which are in its remote alone."""

    def make(folder: Path) -> None:
        repo = Repo.init(str(folder), no_scm=True)
        repo.close()
        (folder / ".dvc" / "config").write_text(
            "[core]\n    no_scm = True\n['remote \"release\"']\n    url = ../release\n"
        )
        stages, artifacts = {}, {}
        for name in ("small", "large"):
            path = write_metadata(folder / "models" / name / "model.keras", model=name)
            out = path.relative_to(folder).as_posix()
            stages[name] = {"cmd": "false", "outs": [{out: {"remote": "release"}}]}
            artifacts[name] = {"path": out, "type": "model"}
        (folder / "dvc.yaml").write_text(json.dumps({"stages": stages, "artifacts": artifacts}))
        with Repo(str(folder)) as repo:
            repo.commit(force=True)
            repo.push()
        shutil.rmtree(folder / "models")
        shutil.rmtree(folder / ".dvc" / "cache")

    return make


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
def test_a_full_disk_is_one_line() -> None:
    ended = subprocess.run([sys.executable, "-c", FULL_DISK], env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: export: disk: no space left on device; free some space (docs/operations.md)\n"
