"""One training from its settings to its files: builds the trainer and writes the results."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write, sha256_of, write_csv, write_json
from tiny_imagenet.core.run_record import RunRecord, TrainingRecord
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.dataset.manifest import Manifest, load_manifest
from tiny_imagenet.dataset.model_info import ModelInfo
from tiny_imagenet.distribute import cluster
from tiny_imagenet.images.decoding import load_images
from tiny_imagenet.models.layers.blocks import BACKBONE
from tiny_imagenet.scoring.flops import FORWARD_FLOPS_PER_MAC, TRAIN_FLOPS_PER_MAC
from tiny_imagenet.training.checkpoint import CheckpointStore, code_digest, state_key
from tiny_imagenet.training.epoch_schedule import EpochSettings
from tiny_imagenet.training.keras_file import save_model
from tiny_imagenet.training.loop import LoopOptions, Row, Trainer
from tiny_imagenet.training.model import build_model, dtype_policy
from tiny_imagenet.training.model_summary import summarize_model

TIMES = ("seconds", "images_per_second")  # of an epoch; not in history.csv, which is equal for equal trainings


@dataclass(frozen=True)
class Folders:
    """The folders that a training reads and writes.

    Attributes:
        records: TFRecord shards and their manifest.
        cache: Decoded images.
        checkpoints: The checkpoints of all trainings.
    """

    records: Path
    cache: Path
    checkpoints: Path


def versions() -> dict[str, str]:
    """Returns the versions of the software that a result depends on."""
    return {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__}


def build_trainer(
    run: RunRecord, strategy: tf.distribute.Strategy, folders: Folders, eval_split: str, options: LoopOptions
) -> Trainer:
    """Builds the model, loads the images and returns their trainer.

    Args:
        run: The record of the training.
        strategy: The devices.
        folders: The folders of records, decoded images and checkpoints.
        eval_split: The split that is scored after each epoch, "val" or "holdout".
        options: The settings of the loop that do not change its result.

    Raises:
        InputError: The settings do not fit the architecture or the data.
        PipelineError: The workers differ in their settings, data or code.
    """
    manifest = load_manifest(folders.records)
    agreement = {"settings": run.digest("device", "data_sha256"), "data": run.data_sha256, "code": code_digest()}
    cluster.same_on_all(strategy, agreement)
    with strategy.scope(), dtype_policy(run.precision):
        model = _build_model(run, manifest)
    # After building the model: the key covers the loaded modules, and the architecture's is one of them.
    store = CheckpointStore(folders.checkpoints / f"{run.model}-{state_key(run.digest())}")
    train, val = (load_images(folders.records, manifest, split, folders.cache) for split in ("train", eval_split))
    return Trainer(model, strategy, (train, val), run, options, store)


def _build_model(settings: ModelSettings, manifest: Manifest) -> keras.Model:
    try:
        return build_model(
            settings.architecture,
            image_size=manifest.image_size,
            num_classes=manifest.num_classes,
            dropout=settings.dropout,
            l2=settings.l2,
            seed=settings.seed,
            **settings.arguments,
        )
    except (TypeError, ValueError, OverflowError, MemoryError, tf.errors.ResourceExhaustedError) as error:
        what = (
            f"{settings.architecture} cannot be built ({(str(error).strip() or type(error).__name__).splitlines()[0]})"
        )
        raise InputError(f"models.{settings.model}", what, "correct its `arguments`") from None


def write_history(history: Sequence[Row], metrics: Path) -> None:
    """Writes the metrics of the finished epochs, if there are any, to history.csv in `metrics`, atomically."""
    if history:
        write_csv(metrics / "history.csv", [{k: v for k, v in row.items() if k not in TIMES} for row in history])


def write_results(trainer: Trainer, run: RunRecord, manifest: Manifest, models: Path, metrics: Path) -> TrainingRecord:
    """Writes the files of a finished training; those of equal trainings are equal to the byte.

    Args:
        trainer: After its last epoch.
        run: The record of the training.
        manifest: Of the records.
        models: The folder of model.keras.
        metrics: The folder of history.csv, training.json and architecture.json.

    Returns:
        The content of training.json.
    """
    history, path = trainer.progress.history, models / "model.keras"
    summary = summarize_model(trainer.model, trainer.image_size)
    images_per_epoch = trainer.steps_per_epoch * run.batch_size
    weights = run.arguments.get("weights")
    with atomic_write(path) as temporary:
        save_model(trainer.model, _model_info(run, manifest), temporary)
    record = TrainingRecord(
        **run.model_dump(),
        pretrained=str(weights) if weights else None,
        num_parameters=summary["num_parameters"],
        macs_per_image=summary["macs_per_image"],
        train_flops=sum(_train_flops(trainer.model, epoch) * images_per_epoch for epoch in trainer.epochs),
        model_sha256=sha256_of(path),
    )
    write_history(history, metrics)
    write_json(metrics / "training.json", record.model_dump(mode="json", exclude={"train_seconds"}))
    write_json(metrics / "architecture.json", summary)
    return record


def _model_info(run: RunRecord, manifest: Manifest) -> ModelInfo:
    return ModelInfo(
        model=run.model,
        dataset=manifest.dataset,
        image_size=manifest.image_size,
        classes=manifest.classes,
        flip_tta=run.flip_tta,
    )


def _train_flops(model: keras.Model, epoch: EpochSettings) -> int:
    """Returns the floating-point operations per image in an epoch; a frozen backbone has a forward pass only."""
    layers = summarize_model(model, epoch.image_size)["layers"]
    frozen = [BACKBONE] if epoch.frozen else []
    return sum(
        layer["macs"] * (FORWARD_FLOPS_PER_MAC if layer["name"] in frozen else TRAIN_FLOPS_PER_MAC) for layer in layers
    )
