"""Random image operations on whole batches: (batch, height, width, 3) in, the same shape out as float32, 0 to 255.

What is drawn is a pure function of the seed and of the image's place in the batch. Rotation, shift and flip are one
projective transform with one interpolation; outside the image lies its nearest pixel. The convention is that of
`tfa.image` 0.23 (tests/addons holds it to that, pixel for pixel), the ranges are those of the 2018 report.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tiny_imagenet.randomness import uniform
from tiny_imagenet.resampling import resample


def draw(
    seed: tf.Tensor,
    batch_size: int,
    *,
    image_size: int,
    rotation_degrees: float,
    shift_fraction: float,
    brightness: tuple[float, float],
    horizontal_flip: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws what happens to each image of a batch.

    Args:
        seed: int32 (2,).
        batch_size: Number of images.
        image_size: Height and width, in pixels.
        rotation_degrees: Angles are uniform in plus or minus this.
        shift_fraction: Shifts, horizontal and vertical, are uniform in plus or minus this fraction of the side.
        brightness: Factors are uniform between these two.
        horizontal_flip: Whether every second image, by chance, is mirrored.

    Returns:
        Transforms (batch, 8) as `projective_transforms` gives them, and brightness factors (batch,).
    """
    drawn = uniform(seed, (5, batch_size))
    signed = 2.0 * drawn - 1.0
    angle = signed[0] * math.radians(rotation_degrees)
    shift = signed[1:3] * shift_fraction * image_size
    flip = drawn[3] < 0.5 if horizontal_flip else tf.zeros(batch_size, tf.bool)
    low, high = brightness
    return projective_transforms(angle, shift[0], shift[1], flip, image_size), low + (high - low) * drawn[4]


def projective_transforms(
    angle: tf.Tensor, shift_x: tf.Tensor, shift_y: tf.Tensor, flip: tf.Tensor, image_size: int
) -> tf.Tensor:
    """Returns the transforms (batch, 8) that rotate an image, then shift, then mirror it, rounded as `tfa.image` does.

    They take an output pixel to an input pixel: (x, y) to (a0 x + a1 y + a2, a3 x + a4 y + a5).

    Args:
        angle: Of the rotation about the image's centre, counter-clockwise, in radians (batch,).
        shift_x: To the right, in pixels (batch,).
        shift_y: Down, in pixels (batch,).
        flip: Whether to mirror left and right (batch,).
        image_size: Height and width, in pixels.
    """
    last = image_size - 1.0
    cos, sin, zero, one = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle), tf.ones_like(angle)
    centre_x = (last - (cos * last - sin * last)) / 2.0
    centre_y = (last - (sin * last + cos * last)) / 2.0
    rotation = _matrices([cos, -sin, centre_x, sin, cos, centre_y, zero, zero, one])
    translation = _matrices([one, zero, -shift_x, zero, one, -shift_y, zero, zero, one])
    sign, edge = tf.where(flip, -1.0, 1.0), tf.where(flip, last, 0.0)
    mirror = _matrices([sign, zero, edge, zero, one, zero, zero, zero, one])
    return tf.reshape(rotation @ translation @ mirror, (-1, 9))[:, :8]


def _matrices(entries: list[tf.Tensor]) -> tf.Tensor:
    """Returns nine entries (batch,) as matrices (batch, 3, 3)."""
    return tf.reshape(tf.stack(entries, axis=1), (-1, 3, 3))


@tf.function(jit_compile=True)
def brighten(images: tf.Tensor, factors: tf.Tensor, *, stretch: bool) -> tf.Tensor:
    """Multiplies each image by its factor and clips it to 0 to 255.

    Args:
        images: float32 (batch, height, width, 3), 0 to 255.
        factors: (batch,).
        stretch: First stretches each image to the full range, as Keras 2.2's `ImageDataGenerator` did.
    """
    if stretch:
        low = tf.reduce_min(images, axis=(1, 2, 3), keepdims=True)
        high = tf.reduce_max(images, axis=(1, 2, 3), keepdims=True)
        images = tf.math.divide_no_nan(images - low, high - low) * 255.0
    return tf.clip_by_value(images * factors[:, None, None, None], 0.0, 255.0)


def augment(
    images: tf.Tensor,
    transforms: tf.Tensor,
    factors: tf.Tensor,
    *,
    interpolation: str,
    stretch: bool,
) -> tf.Tensor:
    """Moves, then brightens images by what `draw` returned.

    Args:
        images: uint8 (batch, height, width, 3).
        transforms: (batch, 8).
        factors: (batch,).
        interpolation: "bilinear" or "nearest".
        stretch: See `brighten`.

    Returns:
        float32 (batch, height, width, 3), 0 to 255.
    """
    return brighten(resample(images, transforms, interpolation), factors, stretch=stretch)
