"""One training from its resolved settings to its files: what goes into the loop, and what comes out of it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tiny_imagenet.data.decoding import load_images
from tiny_imagenet.data.tfrecords import load_manifest
from tiny_imagenet.errors import InputError
from tiny_imagenet.files import sha256_of, write_csv, write_json, write_whole
from tiny_imagenet.models import BACKBONE, build_model
from tiny_imagenet.progress import TrainingProgress
from tiny_imagenet.schema import Model
from tiny_imagenet.tracking.runs import Run
from tiny_imagenet.training import cluster
from tiny_imagenet.training.checkpoint import CheckpointStore, state_key
from tiny_imagenet.training.loop import Settings, Trainer
from tiny_imagenet.training.model_summary import FORWARD_FLOPS_PER_MAC, TRAIN_FLOPS_PER_MAC, summarize_model
from tiny_imagenet.training.phases import Phase


def versions() -> dict[str, str]:
    """Returns the versions that a result depends on."""
    return {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__}


def build_trainer(
    chosen: Model,
    about: Mapping[str, Any],
    strategy: tf.distribute.Strategy,
    *,
    data_digest: str,
    checkpoints: Path,
    records: Path,
    cache: Path,
    eval_split: str,
    eval_batch_size: int,
    checkpoint_seconds: float,
    memory_bytes: float,
) -> Trainer:
    """Builds the model and loads the images.

    Args:
        chosen: The model's entry in the parameters, resolved.
        about: The same with what it is run on: what tells this training from others.
        strategy: The devices.
        data_digest: What names the data's content.
        checkpoints: The folder of all checkpoints.
        records: The folder of the shards.
        cache: The folder of decoded images.
        eval_split: The split that each epoch is scored on, "val" or "holdout".
        eval_batch_size: Its images at once.
        checkpoint_seconds: The longest time between two checkpoints.
        memory_bytes: Decoded images up to this size are held in memory.
    """
    manifest = load_manifest(records)
    same = {key: value for key, value in about.items() if key != "device"}
    cluster.same_on_all(strategy, {"recipe": same, "data": data_digest, "code": _code_digest()})
    recipe = chosen.recipe
    with strategy.scope(), _precision(recipe.precision):
        try:
            model = build_model(
                chosen.architecture,
                image_size=manifest.image_size,
                num_classes=manifest.num_classes,
                dropout=recipe.dropout,
                l2=recipe.l2,
                seed=chosen.seed,
                **chosen.arguments,
            )
        except (TypeError, ValueError) as error:
            what = f"{chosen.architecture} cannot be built ({str(error).strip().splitlines()[0]})"
            raise InputError(f"models.{chosen.name}", what, "correct its `arguments`") from None
    # Not before the model is built: the key tells the loaded code apart, the architecture's too.
    store = CheckpointStore(checkpoints / f"{chosen.name}-{state_key({**about, 'data': data_digest})}")
    train_images, val_images = (load_images(records, manifest, split, cache) for split in ("train", eval_split))
    settings = Settings(recipe, chosen.seed, eval_batch_size, checkpoint_seconds, memory_bytes)
    return Trainer(model, strategy, train_images, val_images, settings, store)


def train_in_run(trainer: Trainer, name: str, run: Run, stop: Callable[[], bool], *, resumed: bool) -> None:
    """Trains to the end, each epoch logged to the MLflow run, those of a resumed training's past too."""
    if resumed:
        print(f"{name}: going on from step {trainer.progress.step} in the same MLflow run, {run.run_id}", flush=True)
    for row in trainer.progress.history[run.logged_epochs() :]:
        run.log_epoch(row)
    run.monitor_system()
    with TrainingProgress(name, trainer.recipe.epochs, trainer.steps_per_epoch, trainer.progress.step) as shown:
        trainer.run({"run_id": run.run_id}, on_epoch=[run.log_epoch, shown.epoch], on_steps=shown.steps, stop=stop)


def train_along(trainer: Trainer, stop: Callable[[], bool]) -> None:
    """Trains to the end as a worker that is not the chief: nothing is logged, nothing written."""
    trainer.run({}, on_epoch=[], on_steps=lambda _: None, stop=stop)


def _train_flops(model: keras.Model, phase: Phase) -> int:
    """Returns the floating-point operations of one image: of a frozen backbone, those of the forward pass."""
    layers = summarize_model(model, phase.image_size)["layers"]
    frozen = [BACKBONE] if phase.frozen else []
    return sum(
        layer["macs"] * (FORWARD_FLOPS_PER_MAC if layer["name"] in frozen else TRAIN_FLOPS_PER_MAC) for layer in layers
    )


def _code_digest() -> str:
    """Returns the digest of all of this package's code, whatever of it is loaded yet."""
    return "".join(sha256_of(path) for path in sorted(Path(__file__).parents[1].rglob("*.py")))


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Builds layers under a policy of Keras: "float32", or "mixed_bfloat16" (float32 weights, bfloat16 arithmetic)."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def write_results(
    trainer: Trainer, about: Mapping[str, Any], models: Path, metrics: Path, run: Mapping[str, str]
) -> None:
    """Writes history.csv, training.json and architecture.json to `metrics`, model.keras and run.json to `models`."""
    history, image_size = trainer.progress.history, trainer.image_size
    summary = summarize_model(trainer.model, image_size)
    images_per_epoch, seconds = trainer.steps_per_epoch * about["batch_size"], sum(row["seconds"] for row in history)
    cost = {
        "num_parameters": summary["num_parameters"],
        "macs_per_image": summary["macs_per_image"],
        "train_flops": sum(_train_flops(trainer.model, phase) * images_per_epoch for phase in trainer.phases),
        "train_seconds": seconds,
        "images_per_second": images_per_epoch * len(history) / seconds,
    }
    pretrained = about["arguments"].get("weights")
    write_csv(metrics / "history.csv", history)
    write_json(metrics / "training.json", {**about, "epochs": len(history), "pretrained": pretrained, **cost})
    write_json(metrics / "architecture.json", summary)
    with write_whole(models / "model.keras") as aside:
        trainer.model.save(aside)
    write_json(models / "run.json", {**run, "model_sha256": sha256_of(models / "model.keras")})
