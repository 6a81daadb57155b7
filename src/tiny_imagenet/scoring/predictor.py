"""Prediction of many images by batches."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


def make_predictor(
    model: keras.Model, batch_size: int, strategy: tf.distribute.Strategy | None = None, *, flip_tta: bool = False
) -> Callable[..., np.ndarray]:
    """Returns a function from images, uint8 (images, height, width, 3), to logits, float32 (images, classes).

    Every image is predicted once: the last batch is padded with blank images, whose logits are dropped. The function
    also takes a callback, called before each batch; it may raise to stop.

    Args:
        model: From images, 0 to 255, to logits.
        batch_size: Images per batch, all devices together (rounded up to a multiple of their number).
        strategy: The devices; None: the current strategy.
        flip_tta: Whether to average the logits of the image and of its mirror image.
    """
    strategy = strategy or tf.distribute.get_strategy()
    per_replica = -(-batch_size // strategy.num_replicas_in_sync)
    batch_size = per_replica * strategy.num_replicas_in_sync

    def infer(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(images, training=False), tf.float32)

    def predict_replica(batch: tf.Tensor) -> tf.Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Sliced as float32: of uint8, `tf.slice` has no kernel for GPUs.
        whole, size = tf.cast(batch, tf.float32), [per_replica, *batch.shape[1:]]
        images = tf.slice(whole, [replica * per_replica, 0, 0, 0], size)
        logits = infer(images)
        return (logits + infer(tf.reverse(images, [2]))) / 2.0 if flip_tta else logits

    @tf.function(autograph=False)
    def predict_batch(batch: tf.Tensor) -> tf.Tensor:
        return strategy.gather(strategy.run(predict_replica, args=(batch,)), axis=0)

    def predict(images: np.ndarray, before_batch: Callable[[], None] = lambda: None) -> np.ndarray:
        parts = []
        for at in range(0, len(images), batch_size):
            before_batch()
            batch = images[at : at + batch_size]
            blank = np.zeros((batch_size - len(batch), *batch.shape[1:]), batch.dtype)
            parts.append(predict_batch(tf.constant(np.concatenate([batch, blank]))).numpy()[: len(batch)])
        logits: np.ndarray = np.concatenate(parts)
        assert len(logits) == len(images)
        return logits

    return predict
