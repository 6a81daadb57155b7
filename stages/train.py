"""train NAME: data/records -> models/NAME/, in metrics/NAME/ what is known of the training, and an MLflow run."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from tiny_imagenet.checkpoint import CheckpointStore, state_key
from tiny_imagenet.files import sha256_of, write_csv, write_json, write_whole
from tiny_imagenet.lifecycle import StopRequest, stage_process
from tiny_imagenet.params import Model, Params, as_flat, load_params
from tiny_imagenet.tfrecords import MANIFEST, load_manifest

if TYPE_CHECKING:
    from tiny_imagenet.tracking import Run
    from tiny_imagenet.training import Trainer

RECORDS = Path("data/records")
ROOT = Path(os.environ.get("DVC_ROOT", "."))  # the main checkout, also in an experiment's temporary one


def main(name: str) -> None:
    """Trains a model of params.yaml, going on from the checkpoint that a killed run with the same inputs left."""
    stop = StopRequest()
    params = load_params()
    chosen = params.model(name)
    data_digest = sha256_of(RECORDS / MANIFEST) if load_manifest(RECORDS) else ""
    trainer, about = build_trainer(params, chosen, data_digest)
    from tiny_imagenet.tracking import Run, experiment_tags

    saved = trainer.restore() or {}
    tags = experiment_tags(f"train@{name}", data_digest)
    with Run(ROOT, params.dataset_name, run_id=saved.get("run_id"), name=name, tags=tags) as run:
        run.log_inputs(as_flat(about), params.dataset_name, data_digest, str(RECORDS))
        if saved:
            print(
                f"{name}: going on from step {trainer.progress.step} in the same MLflow run, {run.run_id}", flush=True
            )
        for row in trainer.progress.history[run.logged_epochs() :]:
            run.log_epoch(row)
        run.monitor_system()
        train(trainer, run, stop)
        publish(trainer, about, run.run_id)
        run.log_model(trainer.model)
    trainer.store.remove()


def build_trainer(params: Params, chosen: Model, data_digest: str) -> tuple[Trainer, dict[str, Any]]:
    """Returns what trains the model, and what there is to tell about it beforehand."""
    from tiny_imagenet import devices  # sets what TensorFlow reads when it is imported

    # isort: split
    import keras
    import tensorflow as tf

    from tiny_imagenet.decoding import load_images
    from tiny_imagenet.models import build_model
    from tiny_imagenet.training import Settings, Trainer

    recipe, manifest, strategy = chosen.recipe, load_manifest(RECORDS), devices.make_strategy(params.device)
    with strategy.scope():
        model = build_model(
            chosen.architecture,
            image_size=manifest.image_size,
            num_classes=manifest.num_classes,
            dropout=recipe.dropout,
            l2=recipe.l2,
            seed=params.seed,
            **chosen.arguments,
        )
    about = {
        "model": chosen.name,
        "architecture": chosen.architecture,
        "arguments": chosen.arguments,
        "recipe": chosen.recipe_name,
        "recipe_epochs": chosen.recipe_epochs,
        **dataclasses.asdict(recipe),
        "dataset": params.dataset_name,
        "seed": params.seed,
        "num_parameters": model.count_params(),
        "device": devices.device_name(strategy),
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
    }
    store = CheckpointStore(ROOT / ".checkpoints" / f"{chosen.name}-{state_key(about | {'data': data_digest})}")
    train_images, val_images = (load_images(RECORDS, manifest, split, ROOT / ".cache") for split in ("train", "val"))
    settings = Settings(
        seed=params.seed,
        optimizer=recipe.optimizer,
        lr=recipe.lr,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        augmentation=dataclasses.asdict(recipe.augmentation),
        eval_batch_size=params.evaluation.batch_size,
        checkpoint_seconds=params.training.checkpoint_seconds,
    )
    return Trainer(model, strategy, train_images, val_images, settings, store), about


def train(trainer: Trainer, run: Run, stop: StopRequest) -> None:
    """Runs the loop: a bar on a terminal, a line an epoch elsewhere, each epoch's metrics to MLflow."""
    epochs, done = trainer.settings.epochs, trainer.progress.step
    bar = tqdm(total=epochs * trainer.steps_per_epoch, initial=done, unit="step", disable=None, dynamic_ncols=True)

    def on_epoch(row: dict[str, float]) -> None:
        run.log_epoch(row)
        bar.write(
            f"{trainer.model.name}: epoch {row['epoch']}/{epochs}  "
            f"train loss {row['loss']:.3f} top-1 {row['top_1_accuracy']:.2%}  val loss {row['val_loss']:.3f} "
            f"top-1 {row['val_top_1_accuracy']:.2%} top-5 {row['val_top_5_accuracy']:.2%}  "
            f"{row['images_per_second']:,.0f} images/s"
        )

    with bar:
        trainer.run({"run_id": run.run_id}, on_epoch=on_epoch, on_steps=bar.update, stop=stop)


def publish(trainer: Trainer, about: dict[str, Any], run_id: str) -> None:
    """Writes the stage's outputs."""
    from tiny_imagenet.model_summary import TRAIN_FLOPS_PER_MAC, summarize_model

    models, metrics = Path("models") / about["model"], Path("metrics") / about["model"]
    history, summary = trainer.progress.history, summarize_model(trainer.model)
    images = trainer.progress.step * about["batch_size"]
    seconds = sum(row["seconds"] for row in history)
    cost = {
        "macs_per_image": summary["macs_per_image"],
        "train_flops": TRAIN_FLOPS_PER_MAC * summary["macs_per_image"] * images,
        "train_seconds": seconds,
        "images_per_second": images / seconds,
    }
    write_csv(metrics / "history.csv", history)
    write_json(metrics / "training.json", about | {"epochs": len(history)} | cost)
    write_json(metrics / "architecture.json", summary)
    with write_whole(models / "model.keras") as aside:
        trainer.model.save(aside)
    digest = sha256_of(models / "model.keras")
    write_json(models / "run.json", {"run_id": run_id, "experiment": about["dataset"], "model_sha256": digest})


if __name__ == "__main__":
    with stage_process("train"):
        main(sys.argv[1])
