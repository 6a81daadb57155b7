"""Shared by the peers that use Keras `fit`: the model as a user compiles it, and a clock."""

from __future__ import annotations

import time
from typing import Any

import keras

from benchmarks.serving import SECONDS, Figures
from tiny_imagenet.training.model import build_model

WARM_BATCHES = 3
RECIPE = {"dropout": 0.2, "l2": 0.0005}
BASELINE = {"dropout": 0.0, "l2": 0.0}


def compiled(name: str, **options: Any) -> keras.Model:
    """Builds one of the report's models and compiles it with plain SGD, as in the guides."""
    regularized = RECIPE if name in ("vgg", "simple_cnn") else BASELINE
    model = build_model(name, image_size=64, num_classes=200, seed=1, **regularized)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, metrics=["accuracy"], **options)
    return model


class Clock(keras.callbacks.Callback):
    """Times the batches after the first few, and ends the training after some seconds."""

    def __init__(self, seconds: float = SECONDS) -> None:
        super().__init__()
        self.seconds, self.batches, self.began, self.took = seconds, -WARM_BATCHES, 0.0, 0.0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.batches += 1
        now = time.perf_counter()
        if self.batches <= 0:
            self.began = now
        self.took = now - self.began
        if self.took >= self.seconds:
            self.model.stop_training = True

    def figures(self, batch_size: int) -> Figures:
        return {"images_per_second": self.batches * batch_size / self.took}
