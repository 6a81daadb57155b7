"""Trainers of the models of params.yaml, of the recipe `gpu` and of a pretrained backbone, on images in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.subjects import ROOT
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.distribute import devices  # before TensorFlow: it sets environment variables for it

# isort: split
import keras
import tensorflow as tf

from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.loop import LoopOptions, Trainer
from tiny_imagenet.training.model import build_model, dtype_policy

IMAGE_SIZE = 64
EVAL_IMAGES = 20
# Models that params.yaml has a recipe for, but no entry.
FURTHER_MODELS: dict[str, dict[str, Any]] = {
    "gpu": {"architecture": "resnet", "recipe": "gpu"},
    "pretrained": {"architecture": "pretrained", "recipe": "pretrained", "arguments": {"weights": None}},
}
# Smaller models and batches, to run every part on a processor in seconds.
TINY: dict[str, dict[str, Any]] = {
    "gpu": {"arguments": {"widths": [4, 8], "depths": [1, 1]}},
    "pretrained": {"arguments": {"backbone": "VGG16", "weights": None, "input_size": 32}},
}


def model_settings(name: str, changes: Mapping[str, Any] | None = None, *, tiny: bool = False) -> ModelSettings:
    """Returns the settings of a model of params.yaml or FURTHER_MODELS, with changes."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    shrunk = {**TINY.get(name, {}), "batch_size": 20} if tiny else {}
    params["models"] = {name: {**{**FURTHER_MODELS, **params["models"]}[name], **shrunk, **(changes or {})}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(yaml.safe_dump(params), encoding="utf-8")
        return load_params(path).model(name)


def make_strategy(settings: ModelSettings, device: str, *, deterministic: bool) -> tf.distribute.Strategy:
    """Returns the strategy of one device, "cpu" or "gpu", as stage train makes it."""
    tf32 = settings.precision == "tf32"
    return devices.make_strategy(device, "single", deterministic=deterministic, tf32=tf32, alone=True)


def make_model(settings: ModelSettings, num_classes: int) -> keras.Model:
    """Returns the network of a model, untrained."""
    with dtype_policy(settings.precision):
        return build_model(
            settings.architecture,
            image_size=IMAGE_SIZE,
            num_classes=num_classes,
            dropout=settings.dropout,
            l2=settings.l2,
            seed=settings.seed,
            **settings.arguments,
        )


def make_trainer(
    settings: ModelSettings, strategy: tf.distribute.Strategy, train: DecodedSplit, num_classes: int
) -> Trainer:
    """Returns the trainer of a model, which writes no checkpoint."""
    with strategy.scope():
        model = make_model(settings, num_classes)
    val = DecodedSplit(train.images[:EVAL_IMAGES], train.labels[:EVAL_IMAGES])
    options = LoopOptions(EVAL_IMAGES, checkpoint_seconds=1e9, memory_bytes=1e12)
    return Trainer(model, strategy, (train, val), settings, options, CheckpointStore(Path(tempfile.gettempdir())))


def digits_split() -> DecodedSplit:
    """Returns the handwritten digits of scikit-learn, each pixel as a square of 8 x 8."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    gray = np.round(digits.images * (255 / 16)).astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    return DecodedSplit(gray[..., None].repeat(3, axis=3), digits.target.astype(np.int32))


def random_split(count: int) -> DecodedSplit:
    """Returns random pixels and labels of 200 classes, for what does not depend on them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    return DecodedSplit(images, rng.integers(0, 200, count).astype(np.int32))


def trace_loop(trainer: Trainer) -> Any:
    """Returns the concrete function of a call of several steps in the last epoch; it is traced, not run."""
    trainer.source.start_epoch(np.arange(trainer.num_images, dtype=np.int32), 0)
    function = trainer.train_step.function(trainer.epochs[-1])
    return function.get_concrete_function(tf.constant(0), tf.constant(1), trainer.source.next_batches(1))


def take_steps(trainer: Trainer, first: int, count: int, order: np.ndarray) -> np.ndarray:
    """Takes steps in the last epoch's settings and returns their sums, (count, metrics)."""
    trainer.source.start_epoch(order, 0)
    batches = trainer.source.next_batches(count)
    return np.asarray(trainer.train_step(first, count, batches, trainer.epochs[-1]))
