"""Dropout masks that are a function of (seed, layer, step) and of the image's place in the batch.

Keras draws a mask from a generator whose state moves on with each call, and each replica draws its own: a resumed run,
or one on more devices, would drop other units. Here a replica takes its rows of the one mask that the whole batch has.
"""

from __future__ import annotations

import math
import threading
from functools import partial

import keras
import tensorflow as tf

from tiny_imagenet.augmentation.randomness import uniform


class BatchDropout:
    """Takes over the dropout layers of a model while it is trained.

    Args:
        model: Its `keras.layers.Dropout` layers keep their configuration, and do nothing outside training, as before.
        seed: Of the training.
    """

    def __init__(self, model: keras.Model, seed: int) -> None:
        self._now = threading.local()  # each replica has its thread, and they take turns in the middle of a model
        self.set(tf.constant(0), tf.constant(0))
        for number, layer in enumerate(model.layers, 1):
            if isinstance(layer, keras.layers.Dropout):
                layer.call = partial(self._drop, layer.rate, seed + 7919 * number)

    def set(self, step: tf.Tensor, part: tf.Tensor) -> None:
        """Says which step's masks come next, and which part of the batch (the replica's number) they are for."""
        self._now.step, self._now.part = step, part

    def _drop(self, rate: float, seed: int, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not rate:
            return inputs
        first = tf.cast(self._now.part, tf.int64) * math.prod(inputs.shape)
        kept = uniform(tf.stack([seed, self._now.step]), inputs.shape, first) >= rate
        return tf.where(kept, inputs * (1.0 / (1.0 - rate)), tf.zeros_like(inputs))
