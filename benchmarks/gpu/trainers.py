"""Trainers of the models of params.yaml, of the recipe `gpu` and of a pretrained backbone, on images in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.subjects import ROOT
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

# isort: split
import tensorflow as tf

from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.loop import LoopOptions, Trainer
from tiny_imagenet.training.model import build_model, dtype_policy

EVAL_IMAGES = 500
# Models that params.yaml has a recipe for, but no entry.
FURTHER_MODELS: dict[str, dict[str, Any]] = {
    "gpu": {"architecture": "resnet", "recipe": "gpu"},
    "pretrained": {
        "architecture": "pretrained",
        "recipe": "pretrained",
        "arguments": {"backbone": "MobileNetV2", "weights": None, "input_size": 96},
    },
}


def model_settings(name: str, changes: dict[str, Any] | None = None) -> ModelSettings:
    """Returns the settings of a model of params.yaml or FURTHER_MODELS, with changes."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    models = {**FURTHER_MODELS, **params["models"]}
    params["models"] = {name: {**models[name], **(changes or {})}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(yaml.safe_dump(params), encoding="utf-8")
        return load_params(path).model(name)


def make_trainer(
    settings: ModelSettings, strategy: tf.distribute.Strategy, train: DecodedSplit, num_classes: int, folder: Path
) -> Trainer:
    """Returns the trainer of a model that scores the first of its train images; its checkpoints are in `folder`."""
    with strategy.scope(), dtype_policy(settings.precision):
        model = build_model(
            settings.architecture,
            image_size=train.images.shape[1],
            num_classes=num_classes,
            dropout=settings.dropout,
            l2=settings.l2,
            seed=settings.seed,
            **settings.arguments,
        )
    val = DecodedSplit(train.images[:EVAL_IMAGES], train.labels[:EVAL_IMAGES])
    options = LoopOptions(EVAL_IMAGES, checkpoint_seconds=1e9, memory_bytes=8e9)
    return Trainer(model, strategy, (train, val), settings, options, CheckpointStore(folder))


def blank_split(count: int, image_size: int = 64) -> DecodedSplit:
    """Returns black images of class 0: enough for what does not depend on pixels."""
    return DecodedSplit(np.zeros((count, image_size, image_size, 3), np.uint8), np.zeros(count, np.int32))


def trace_loop(trainer: Trainer) -> Any:
    """Returns the concrete function of a call of several steps, traced but not run."""
    trainer.source.start_epoch(np.arange(trainer.num_images, dtype=np.int32), 0)
    batches = trainer.source.next_batches(1)
    loop = trainer.train_step.function(trainer.epochs[-1])
    return loop.get_concrete_function(tf.constant(0), tf.constant(1), batches)
