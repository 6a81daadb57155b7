"""TrivialAugment Wide (Müller and Hutter, 2021): one of fourteen operations per image, with a random magnitude.

Operations and ranges are torchvision's. There are two differences. Geometric operations are part of the one transform
of an image, so a pixel from outside has the value of the nearest one inside, not black. The results of color operations
are not rounded to whole levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tiny_imagenet.augmentation import transforms

NUM_RANDOM = 3  # random numbers per image
BINS = 31  # of magnitude
MAX_MAGNITUDE = {
    "identity": 0.0, "shear_x": 0.99, "shear_y": 0.99, "translate_x": 32.0, "translate_y": 32.0, "rotate": 135.0,
    "brightness": 0.99, "color": 0.99, "contrast": 0.99, "sharpness": 0.99,
    "posterize": 6.0, "solarize": 255.0, "auto_contrast": 0.0, "equalize": 0.0,
}  # fmt: skip
OPERATIONS = tuple(MAX_MAGNITUDE)
UNSIGNED = ("posterize", "solarize")
ColorOperation = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
GRAY = (0.299, 0.587, 0.114)
LEVELS = 256


def sample_operations(rng: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Samples each image's operation, an index into OPERATIONS, int64 (batch,), and its magnitude, float32 (batch,).

    The magnitude is the tangent of a shear, a shift in pixels, an angle in degrees, a factor minus one, the number of
    removed bits, or 255 minus the level from which colors are inverted.

    Args:
        rng: Numbers uniform from 0 to 1, (NUM_RANDOM, batch).
    """
    operation = tf.cast(rng[0] * len(OPERATIONS), tf.int64)
    magnitude = tf.floor(rng[1] * BINS) / (BINS - 1) * tf.gather(list(MAX_MAGNITUDE.values()), operation)
    whole = [name in ("translate_x", "translate_y") for name in OPERATIONS]
    magnitude = tf.where(tf.gather(whole, operation), tf.floor(magnitude), magnitude)
    unsigned = tf.gather([name in UNSIGNED for name in OPERATIONS], operation)
    return operation, tf.where(unsigned | (rng[2] < 0.5), magnitude, -magnitude)


def matrices(operation: tf.Tensor, magnitude: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the transforms (batch, 3, 3) of the geometric operations; the identity for the others.

    Shears keep the image's upper left corner fixed, rotations its center.
    """
    shear_x, shear_y, right, down, degrees = (
        tf.where(operation == OPERATIONS.index(name), magnitude, 0.0)
        for name in ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
    )
    one, still = tf.ones_like(magnitude), tf.zeros_like(operation, tf.bool)
    shear = transforms.affine(one, shear_x, 0.5 * shear_x, shear_y, one, 0.5 * shear_y)
    moved = transforms.projective_transforms(degrees * (math.pi / 180.0), right, down, still, image_size)
    return transforms.product(shear, moved)


@tf.function(jit_compile=True, autograph=False)
def change_colors(images: tf.Tensor, operation: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Applies the color operations to images, float32 (batch, height, width, 3), 0 to 255."""
    for name, change in COLOR_OPERATIONS.items():
        images = _change(images, change, operation == OPERATIONS.index(name), magnitude)
    return images


def _change(images: tf.Tensor, change: ColorOperation, wanted: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Applies an operation where `wanted`, to a fixed number of images at a time: XLA needs static shapes."""
    batch_size = images.shape[0]
    size = max(1, batch_size // (2 * len(OPERATIONS)))
    order = tf.argsort(tf.cast(~wanted, tf.int32), stable=True)
    count = tf.reduce_sum(tf.cast(wanted, tf.int32))

    def change_some(first: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        positions = first + tf.range(size)
        at = tf.gather(order, positions % batch_size)
        before = tf.gather(images, at)
        after = tf.clip_by_value(change(before, tf.gather(magnitude, at)[:, None, None, None]), 0.0, 255.0)
        after = tf.where((positions < count)[:, None, None, None], after, before)
        return first + size, tf.tensor_scatter_nd_update(images, at[:, None], after)

    return tf.while_loop(lambda first, _: first < count, change_some, (0, images))[1]


def _gray(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(images * GRAY, axis=-1, keepdims=True)


def brightness(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Scales the values."""
    return images * (1.0 + magnitude)


def color(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Moves images away from, or towards, their gray versions."""
    return images + magnitude * (images - _gray(images))


def contrast(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Moves images away from, or towards, their mean gray."""
    return images + magnitude * (images - tf.reduce_mean(_gray(images), axis=(1, 2), keepdims=True))


def sharpness(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Moves images away from, or towards, their blurred versions; keeps the outermost pixels."""
    height, width = images.shape[1:3]
    inner = images[:, 1:-1, 1:-1]
    square = tf.add_n([images[:, y : height - 2 + y, x : width - 2 + x] for y in range(3) for x in range(3)])
    change = magnitude * (inner - (square + 4.0 * inner) / 13.0)
    return images + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]])


def posterize(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Removes the last bits of the levels."""
    step = 2.0 ** tf.round(magnitude)
    return tf.floor(images / step) * step


def solarize(images: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Inverts the levels above a threshold."""
    return tf.where(images >= 255.0 - magnitude, 255.0 - images, images)


def auto_contrast(images: tf.Tensor, _magnitude: tf.Tensor) -> tf.Tensor:
    """Rescales each channel to the full range."""
    low, high = (reduce(images, axis=(1, 2), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, (images - low) * (255.0 / (high - low)), images)


def equalize(images: tf.Tensor, _magnitude: tf.Tensor) -> tf.Tensor:
    """Equalizes the histogram of each channel, after rounding to whole levels."""
    count, height, width, channels = images.shape
    first = LEVELS * tf.reshape(tf.range(count * channels), (count, 1, 1, channels))
    levels = tf.reshape(tf.cast(tf.round(images), tf.int32) + first, (-1,))
    histograms = tf.math.unsorted_segment_sum(tf.ones_like(levels), levels, count * channels * LEVELS)
    histograms = tf.reshape(histograms, (-1, LEVELS))
    highest = tf.reduce_max(tf.where(histograms > 0, tf.range(LEVELS), 0), axis=1)
    step = (height * width - tf.gather(histograms, highest, batch_dims=1))[:, None] // 255
    table = (step // 2 + tf.cumsum(histograms, axis=1, exclusive=True)) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(LEVELS))
    return tf.reshape(tf.cast(tf.gather(tf.reshape(table, (-1,)), levels), tf.float32), images.shape)


COLOR_OPERATIONS: dict[str, ColorOperation] = {
    each.__name__: each
    for each in (brightness, color, contrast, sharpness, posterize, solarize, auto_contrast, equalize)
}
