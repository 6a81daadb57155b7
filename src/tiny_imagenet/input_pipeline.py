"""The batch as a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tiny_imagenet import augmentation


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """Returns the order in which an epoch visits the images, int32 (images,): a function of its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


def make_batch(
    images: tf.Tensor,
    labels: tf.Tensor,
    indices: tf.Tensor,
    *,
    seed: int,
    step: tf.Tensor,
    part: tf.Tensor,
    num_parts: int,
    settings: Mapping[str, Any],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns one part of an augmented batch; the parts together are the batch, however many they are.

    Args:
        images: All images, uint8 (images, height, width, 3).
        labels: All labels, int32 (images,).
        indices: The whole batch's images, int32 (batch,).
        seed: The training's seed.
        step: The training's step, int32.
        part: Which part: the replica's number.
        num_parts: How many parts the batch is cut into; divides its size.
        settings: The recipe's `augmentation`.

    Returns:
        float32 (batch / num_parts, height, width, 3) with values 0 to 255, and int32 (batch / num_parts,).
    """
    batch_size = indices.shape[0]
    drawn = augmentation.draw(
        tf.stack([seed, step]),
        batch_size,
        image_size=images.shape[1],
        rotation_degrees=settings["rotation_degrees"],
        shift_fraction=settings["shift_fraction"],
        brightness=settings["brightness"],
        horizontal_flip=settings["horizontal_flip"],
    )
    size = batch_size // num_parts
    indices, transforms, factors = (_rows(whole, part * size, size) for whole in (indices, *drawn))
    moved = augmentation.augment(
        _pick(images, indices),
        transforms,
        factors,
        interpolation=settings["interpolation"],
        stretch=settings["stretch"],
    )
    return moved, tf.gather(labels, indices)


@tf.function(jit_compile=True)
def _pick(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Gathers images where they lie: without XLA, TensorFlow cannot gather uint8 on a GPU, and would move them all."""
    return tf.gather(images, indices)


def _rows(whole: tf.Tensor, first: tf.Tensor, count: int) -> tf.Tensor:
    """Returns some rows of a tensor, their number known when the graph is built, as XLA demands."""
    rest = whole.shape[1:]
    return tf.slice(whole, [first, *(0 for _ in rest)], [count, *rest])
