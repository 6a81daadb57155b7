"""Color operations on images (batch, height, width, 3), float32, 0 to 255."""

from __future__ import annotations

import tensorflow as tf


@tf.function(jit_compile=True, autograph=False)
def brighten(images: tf.Tensor, factors: tf.Tensor, *, rescale_max: bool) -> tf.Tensor:
    """Multiplies each image by its factor and clips it to 0 to 255.

    Args:
        images: float32 (batch, height, width, 3), 0 to 255.
        factors: (batch,).
        rescale_max: Whether to rescale each image first so that its greatest value is 255, as keras-preprocessing 1.0,
            the library of `ImageDataGenerator` in 2018 (later releases also make its least value 0).
    """
    if rescale_max:
        images = tf.math.divide_no_nan(images, tf.reduce_max(images, axis=(1, 2, 3), keepdims=True)) * 255.0
    return tf.clip_by_value(images * factors[:, None, None, None], 0.0, 255.0)
