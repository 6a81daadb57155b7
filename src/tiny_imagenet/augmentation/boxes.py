"""Random boxes in images: left, top, width and height in whole pixels, float32 (batch, 4)."""

from __future__ import annotations

import math

import tensorflow as tf

TRIES = 10  # as in torchvision
NUM_RANDOM = 2 * TRIES + 2  # random numbers per box
ERASED = {"scale": (0.02, 0.33), "ratio": (1 / 3.3, 1 / 0.3)}  # Zhang et al., "Random erasing", 2020; torchvision's
GRAY = 127.5


def sample_boxes(
    rng: tf.Tensor, image_size: int, scale: tuple[float, float], ratio: tuple[float, float], largest: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns boxes of random size, aspect ratio and position: the first of ten tries that fits.

    Args:
        rng: Numbers uniform from 0 to 1, (NUM_RANDOM, batch).
        image_size: Height and width, in pixels.
        scale: Range of the area as a fraction of the image's; uniform.
        ratio: Range of width over height; its logarithm is uniform.
        largest: Longest side, in pixels.

    Returns:
        Boxes (batch, 4), and whether one fits, bool (batch,); where none does, the box is undefined.
    """
    area = between(rng[:TRIES], *scale) * image_size**2
    shape = tf.exp(between(rng[TRIES : 2 * TRIES], math.log(ratio[0]), math.log(ratio[1])))
    sides = tf.round(tf.sqrt(tf.stack([area * shape, area / shape])))  # (2, tries, batch)
    fits = tf.reduce_all((sides > 0) & (sides <= largest), axis=0)
    first = tf.argmax(tf.cast(fits, tf.float32), axis=0)  # of int32 there is no kernel for GPUs
    sides = tf.gather(tf.transpose(sides, (2, 1, 0)), first, batch_dims=1)  # (batch, 2)
    corner = tf.floor(tf.transpose(rng[-2:]) * (image_size - sides + 1.0))
    return tf.concat([corner, sides], axis=1), tf.reduce_any(fits, axis=0)


def between(rng: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Scales numbers from 0 to 1 to the range from `low` to `high`."""
    return low + (high - low) * rng


def sample_crops(rng: tf.Tensor, image_size: int, scale: tuple[float, float], ratio: tuple[float, float]) -> tf.Tensor:
    """Returns the boxes of torchvision's `RandomResizedCrop`, (batch, 4); see `sample_boxes`.

    Where none fits, the box is the largest centered one with an aspect ratio in the range.
    """
    boxes, found = sample_boxes(rng, image_size, scale, ratio, image_size)
    shape = min(max(1.0, ratio[0]), ratio[1])
    width, height = round(image_size * min(shape, 1.0)), round(image_size / max(shape, 1.0))
    centered = tf.constant([(image_size - width) // 2, (image_size - height) // 2, width, height], tf.float32)
    return tf.where(found[:, None], boxes, centered)


def sample_erased(rng: tf.Tensor, image_size: int, probability: float) -> tf.Tensor:
    """Returns the boxes of `RandomErasing`, (batch, 4), of width and height 0 where nothing is erased.

    Args:
        rng: Numbers uniform from 0 to 1, (1 + NUM_RANDOM, batch).
        image_size: Height and width, in pixels.
        probability: Probability that a box is erased.
    """
    boxes, found = sample_boxes(rng[1:], image_size, **ERASED, largest=image_size - 1)
    return tf.where((found & (rng[0] < probability))[:, None], boxes, 0.0)


def inside(boxes: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns whether each pixel lies in its image's box, bool (batch, image_size, image_size, 1)."""
    at = tf.range(image_size, dtype=tf.float32)
    left, top, width, height = (side[:, None] for side in tf.unstack(boxes, axis=1))
    columns, rows = (at >= left) & (at < left + width), (at >= top) & (at < top + height)
    return (rows[:, :, None] & columns[:, None, :])[..., None]


@tf.function(jit_compile=True, autograph=False)
def erase(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Fills each image's box with gray: about zero after normalization, as in torchvision."""
    return tf.where(inside(boxes, images.shape[1]), GRAY, images)
