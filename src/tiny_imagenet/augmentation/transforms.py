"""Projective transforms from output to input coordinates: matrices (batch, 3, 3), multiplied by `product`.

The leftmost factor of a product is applied to the image first. The convention is that of `tfa.image` 0.23.
"""

from __future__ import annotations

import tensorflow as tf


def projective_transforms(
    angle: tf.Tensor, shift_x: tf.Tensor, shift_y: tf.Tensor, flip: tf.Tensor, image_size: int
) -> tf.Tensor:
    """Returns the transforms that rotate, then shift, then flip, rounded as `tfa.image` does.

    Args:
        angle: Rotation about the image's center, counter-clockwise, in radians (batch,).
        shift_x: To the right, in pixels (batch,).
        shift_y: Down, in pixels (batch,).
        flip: Whether to flip left and right, bool (batch,).
        image_size: Height and width, in pixels.
    """
    last = image_size - 1.0
    cos, sin, zero, one = tf.cos(angle), tf.sin(angle), tf.zeros_like(angle), tf.ones_like(angle)
    center_x = (last - (cos * last - sin * last)) / 2.0
    center_y = (last - (sin * last + cos * last)) / 2.0
    rotation = affine(cos, -sin, center_x, sin, cos, center_y)
    translation = affine(one, zero, -shift_x, zero, one, -shift_y)
    sign, edge = tf.where(flip, -1.0, 1.0), tf.where(flip, last, 0.0)
    mirror = affine(sign, zero, edge, zero, one, zero)
    return product(product(rotation, translation), mirror)


def product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Multiplies matrices, (batch, 3, 3).

    On a GPU, `@` may round its inputs to TF32, which moves pixels by up to 0.03 of their size: there the sums are
    computed element by element. On a CPU, `@` is exact to float32 and rounds once per product and sum.
    """
    if not tf.config.get_visible_devices("GPU"):
        return left @ right
    return tf.add_n([left[:, :, i, None] * right[:, None, i, :] for i in range(3)])


def affine(*entries: tf.Tensor) -> tf.Tensor:
    """Returns the matrices whose first two rows are these six entries, each (batch,)."""
    zero, one = tf.zeros_like(entries[0]), tf.ones_like(entries[0])
    return tf.reshape(tf.stack([*entries, zero, zero, one], axis=1), (-1, 3, 3))


def crop(boxes: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the transforms that crop boxes, (batch, 4), and resize them to the image's size."""
    left, top, width, height = tf.unstack(boxes, axis=1)
    wide, high, zero = width / image_size, height / image_size, tf.zeros_like(left)
    # The center of a pixel is half a pixel from its corner.
    return affine(wide, zero, left + 0.5 * wide - 0.5, zero, high, top + 0.5 * high - 0.5)


def shift(shift_x: tf.Tensor, shift_y: tf.Tensor) -> tf.Tensor:
    """Returns the transforms that shift images right and down, by pixels (batch,)."""
    zero, one = tf.zeros_like(shift_x), tf.ones_like(shift_x)
    return affine(one, zero, -shift_x, zero, one, -shift_y)


def flatten(matrices: tf.Tensor) -> tf.Tensor:
    """Returns the transforms in the layout of TensorFlow's kernel: (batch, 8)."""
    return tf.reshape(matrices, (-1, 9))[:, :8]
