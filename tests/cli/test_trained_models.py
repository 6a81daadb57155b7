"""The trained models of a checkout: which one is chosen, and damaged or older metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tiny_records import write_records

from tiny_imagenet.cli.trained_models import find_model
from tiny_imagenet.core.errors import InputError

FULL_DISK = """
from tiny_imagenet.core.process import command_process
with command_process("export"), open("/dev/full", "w", buffering=1) as file:
    file.write("a line\\n")
"""
TRAINING = {
    "model": "good",
    "architecture": "vgg",
    "arguments": {},
    "recipe": "paper",
    "recipe_epochs": 40,
    "dataset": "digits",
    "seed": 1,
    "optimizer": "sgd",
    "lr": 0.01,
    "epochs": 40,
    "batch_size": 100,
    "device": "CPU (2 cores)",
    "versions": {"keras": "3"},
    "num_parameters": 1,
    "macs_per_image": 1,
    "train_flops": 1,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Makes a checkout with the models good, weak and unscored, which is not evaluated."""
    write_records(tmp_path / "data" / "records")
    for name, accuracy in (("weak", 0.2), ("good", 0.3), ("unscored", None)):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.keras").touch()
        (tmp_path / "metrics" / name).mkdir(parents=True)
        if accuracy is not None:
            write(tmp_path, name, "evaluation", {"model": name, "top_1_accuracy": accuracy, "loss": 1.0})
    return tmp_path


def write(root: Path, name: str, file: str, content: object) -> None:
    (root / "metrics" / name / f"{file}.json").write_text(json.dumps(content))


def test_the_default_is_the_most_accurate(root: Path) -> None:
    assert find_model(root, None).name == "good"
    assert find_model(root, "unscored").name == "unscored"


def test_a_model_that_is_not_evaluated_comes_last(root: Path) -> None:
    write(root, "good", "evaluation", {"top_1_accuracy": 0.0})
    (root / "metrics" / "weak" / "evaluation.json").unlink()
    assert find_model(root, None).name == "good"


@pytest.mark.parametrize(
    ("training", "flip_tta"),
    [({}, False), ({"flip_tta": True}, True), ({"flip_averaging": True}, True), ({"flip_averaging": False}, False)],
)
def test_flip_tta_is_read_from_training_json_of_any_version(root: Path, training: dict, flip_tta: bool) -> None:
    assert find_model(root, "good").flip_tta is False  # without the file
    write(root, "good", "training", TRAINING | training)
    assert find_model(root, "good").flip_tta is flip_tta


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("training", {}, "training.json: optimizer: Field required; run `dvc checkout`"),
        ("training", [], "training.json: Input should be "),
        ("training", TRAINING | {"lr": "fast"}, "training.json: lr: Input should be a valid number; run"),
        ("evaluation", {}, "evaluation.json: top_1_accuracy: Field required; run `dvc checkout`"),
        ("evaluation", [], "evaluation.json: Input should be an object; run `dvc checkout`"),
    ],
)
def test_damaged_metrics_are_one_line(root: Path, file: str, content: object, message: str) -> None:
    write(root, "good", file, content)
    with pytest.raises(InputError) as caught:
        find_model(root, None)
    assert message in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full exists on Linux only")
def test_a_full_disk_is_one_line() -> None:
    ended = subprocess.run([sys.executable, "-c", FULL_DISK], env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: export: disk: no space left on device; free some space (docs/operations.md)\n"
