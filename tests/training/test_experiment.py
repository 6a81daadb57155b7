"""A training from its settings to its files: the trainer that is built, the errors, and the results."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from tests.support.tiny_archive import SIZE
from tests.support.tiny_records import AUGMENTATION, CLASSES, DATASET, TINY, write_records
from tests.training.test_loop import OPTIONS, run

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.core.run_record import RunRecord, TrainingRecord
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.dataset.model_info import read_model_info
from tiny_imagenet.distribute import devices
from tiny_imagenet.models.layers.blocks import BACKBONE
from tiny_imagenet.scoring.flops import FORWARD_FLOPS_PER_MAC, TRAIN_FLOPS_PER_MAC
from tiny_imagenet.training.experiment import TIMES, Folders, build_trainer, versions, write_results
from tiny_imagenet.training.loop import Trainer
from tiny_imagenet.training.model_summary import summarize_model

TRAIN_IMAGES, BATCH_SIZE, STEPS = 26, 8, 3  # steps of one epoch
HALF_THEN_FULL = {"initial_scale": 0.5, "delay_fraction": 0.5, "finetune_fraction": 0.5, "size_increment": 4}


def record(**changes: Any) -> RunRecord:
    settings: dict[str, Any] = {
        **TINY,
        "model": "tiny",
        "recipe_epochs": 40,
        "dataset": DATASET,
        "seed": 1,
        "optimizer": "sgd",
        "lr": 0.05,
        "epochs": 2,
        "batch_size": BATCH_SIZE,
        "augmentation": AUGMENTATION,
        "device": "CPU",
        "versions": versions(),
        "data_sha256": "ab",
    }
    return RunRecord(**settings | changes)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folder = tmp_path_factory.mktemp("experiment")
    write_records(folder / "records", TRAIN_IMAGES, 7)
    return Folders(folder / "records", folder / "cache", folder / "checkpoints")


def build(folders: Folders, eval_split: str = "val", **changes: Any) -> Trainer:
    return build_trainer(record(**changes), devices.make_strategy("cpu"), folders, eval_split, OPTIONS)


def test_the_trainer_has_the_settings_and_the_images(folders: Folders) -> None:
    trainer = build(folders)
    assert trainer.settings == record()
    assert trainer.options == OPTIONS
    assert (trainer.num_images, len(trainer.val.labels), trainer.image_size) == (TRAIN_IMAGES, 7, SIZE)
    assert trainer.steps_per_epoch == STEPS
    assert trainer.model.output_shape == (None, len(CLASSES))
    assert float(trainer.optimizer.learning_rate) == pytest.approx(0.05)


def test_other_folders_and_settings_have_other_checkpoints(folders: Folders) -> None:
    directories = {
        build(folders, **changes).store.directory for changes in ({}, {"lr": 0.1}, {"data_sha256": "cd"}, {"seed": 2})
    }
    assert len(directories) == 4
    assert build(folders).store.directory in directories
    assert {directory.parent for directory in directories} == {folders.checkpoints}
    assert all(directory.name.startswith("tiny-") for directory in directories)


@pytest.mark.parametrize("precision", ["float32", "tf32", "mixed_bfloat16"])
def test_the_precision_is_that_of_the_layers_and_of_no_other_model(folders: Folders, precision: str) -> None:
    trainer = build(folders, precision=precision)
    expected = "float32" if precision == "tf32" else precision.removeprefix("mixed_")
    assert {layer.compute_dtype for layer in trainer.model.layers if layer.weights} == {expected, "float32"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arguments": {"filter": 4}}, r"models\.tiny: simple_cnn cannot be built \(.*filter.*correct its `arguments`"),
        ({"arguments": {"filters": -1}}, r"models\.tiny: simple_cnn cannot be built"),
        ({"arguments": {"filters": 10**12}}, r"models\.tiny: simple_cnn cannot be built \(.*correct its `arguments`"),
        ({"arguments": {"filters": 10**20}}, r"models\.tiny: simple_cnn cannot be built \(.*correct its `arguments`"),
        ({"batch_size": 27}, "batch_size: 27 is more than the 26 images"),
        ({"eval_split": "holdout"}, "manifest.json: no split 'holdout'"),
        (
            {"progressive_resizing": HALF_THEN_FULL},
            "progressive_resizing: simple_cnn takes images of 16 pixels only",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(folders: Folders, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(folders, **{"precision": "mixed_bfloat16"} | changes)
    assert keras.config.dtype_policy().name == "float32"


@pytest.fixture(scope="module")
def results(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trainer, Path]]:
    """A trainer after its training, and the folder of its results."""
    trainer, folder = build(folders), tmp_path_factory.mktemp("results")
    run(trainer)
    write_results(trainer, record(), load_manifest(folders.records), folder / "models", folder / "metrics")
    yield trainer, folder
    trainer.store.remove()


def read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def test_the_results_are_four_files(results: tuple[Trainer, Path]) -> None:
    trainer, folder = results
    names = {path.relative_to(folder).as_posix() for path in folder.glob("*/*")}
    metrics = {f"metrics/{name}" for name in ("architecture.json", "history.csv", "training.json")}
    assert names == metrics | {"models/model.keras"}
    assert read_json(folder / "metrics" / "architecture.json") == summarize_model(trainer.model)


def test_the_history_has_no_times(results: tuple[Trainer, Path]) -> None:
    trainer, folder = results
    with (folder / "metrics" / "history.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert rows == [{key: value for key, value in row.items() if key not in TIMES} for row in trainer.progress.history]


def test_the_model_carries_what_its_use_needs(results: tuple[Trainer, Path], folders: Folders) -> None:
    info, manifest = read_model_info(results[1] / "models" / "model.keras"), load_manifest(folders.records)
    assert (info.model, info.dataset, info.flip_tta) == (record().model, manifest.dataset, record().flip_tta)
    assert (info.classes, info.image_size) == (manifest.classes, manifest.image_size)


def test_training_json_holds_the_run_and_its_cost(results: tuple[Trainer, Path]) -> None:
    trainer, folder = results
    written = read_json(folder / "metrics" / "training.json")
    assert "train_seconds" not in written
    found = TrainingRecord(**written)
    assert found.model_sha256 == sha256_of(folder / "models" / "model.keras")
    assert {key: getattr(found, key) for key in RunRecord.model_fields} == dict(record())
    assert found.pretrained is None
    assert found.num_parameters == trainer.model.count_params()
    assert found.macs_per_image == summarize_model(trainer.model)["macs_per_image"]
    assert found.train_flops == TRAIN_FLOPS_PER_MAC * found.macs_per_image * 2 * STEPS * BATCH_SIZE


def test_flops_follow_the_image_sizes_and_the_frozen_epochs(folders: Folders, tmp_path: Path) -> None:
    """Of a frozen layer the forward pass alone is counted. The count needs no training."""
    changes: dict[str, Any] = {
        "architecture": "deep_vgg",
        "arguments": {"filters": [4, 4], "convolutions": [1, 1], "hidden_units": 8},
        "progressive_resizing": HALF_THEN_FULL,
        "frozen_epochs": 1,
    }
    trainer = build(folders, **changes)
    first = next(layer for layer in trainer.model.layers if isinstance(layer, keras.layers.Conv2D))
    first.name = BACKBONE
    trainer.progress.history = [{"epoch": epoch, "seconds": 1.0} for epoch in (1, 2)]
    loaded_weights = record(**changes | {"arguments": changes["arguments"] | {"weights": "w.keras"}})
    write_results(trainer, loaded_weights, load_manifest(folders.records), tmp_path, tmp_path)
    small, full = (summarize_model(trainer.model, size)["layers"] for size in (SIZE // 2, SIZE))
    factors = [FORWARD_FLOPS_PER_MAC if layer["name"] == BACKBONE else TRAIN_FLOPS_PER_MAC for layer in small]
    flops = sum(factor * layer["macs"] for factor, layer in zip(factors, small, strict=True))
    flops += sum(TRAIN_FLOPS_PER_MAC * layer["macs"] for layer in full)
    written = read_json(tmp_path / "training.json")
    assert written["train_flops"] == flops * STEPS * BATCH_SIZE
    assert written["pretrained"] == "w.keras"
