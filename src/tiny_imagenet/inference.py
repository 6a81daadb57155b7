"""A model's answers for many images."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def make_predictor(model: keras.Model, batch_size: int) -> Callable[..., np.ndarray]:
    """Returns a function from images, uint8 (images, height, width, 3), to logits, float32 (images, classes).

    Every image is answered once: the last batch is filled up with blank images whose answers are cut off. The function
    takes, too, what it is to call between two batches; that may raise.

    Args:
        model: From images, 0 to 255, to logits.
        batch_size: Images at once.
    """

    @tf.function
    def predict_batch(batch: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(tf.cast(batch, tf.float32), training=False), tf.float32)

    def predict(images: np.ndarray, between: Callable[[], None] = lambda: None) -> np.ndarray:
        parts = []
        for at in range(0, len(images), batch_size):
            between()
            batch = images[at : at + batch_size]
            blank = np.zeros((batch_size - len(batch), *batch.shape[1:]), batch.dtype)
            parts.append(predict_batch(tf.constant(np.concatenate([batch, blank]))).numpy()[: len(batch)])
        logits: np.ndarray = np.concatenate(parts)
        assert len(logits) == len(images)
        return logits

    return predict
