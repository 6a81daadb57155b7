"""Resampling by projective transforms: equal to `ImageProjectiveTransformV3`, bit for bit.

TensorFlow's kernel computes each coordinate once per channel, one number at a time. Here a pixel's three bytes are
packed into one integer, its neighbors are gathered once, and XLA vectorizes the arithmetic: four times as fast on a
CPU. It can also be part of a step that XLA compiles.
"""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

# Packed pixels, int32 (batch, height * width): above left, above right, below left, below right.
Corners: TypeAlias = tuple[tf.Tensor, ...]

FINITE = 3e38


def resample(images: tf.Tensor, transforms: tf.Tensor, interpolation: str) -> tf.Tensor:
    """Transforms images; a pixel outside the image has the value of the nearest one inside.

    Args:
        images: uint8 (batch, height, width, 3).
        transforms: float32 (batch, 8): an output pixel (x, y) shows the input at (a0 x + a1 y + a2, a3 x + a4 y + a5);
            a6 and a7 must be 0.
        interpolation: "bilinear" or "nearest".

    Returns:
        float32 (batch, height, width, 3), 0 to 255.
    """
    _, height, width, _ = images.shape
    # Separate compiled functions: in one, XLA would pack and gather again for each channel.
    packed = _pack(images)
    if interpolation == "nearest":
        return _unpack(_nearest(packed, transforms, height, width), height, width)
    return _blend(_corners(packed, transforms, height, width), transforms, height, width)


@tf.function(jit_compile=True, autograph=False)
def gather_images(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Gathers images on the device: without XLA, TensorFlow has no kernel to gather uint8 on a GPU."""
    return tf.gather(images, indices)


@tf.function(jit_compile=True, autograph=False)
def gather_pixels(images: tf.Tensor, indices: tf.Tensor, source_index: tf.Tensor) -> tf.Tensor:
    """Gathers images shifted or flipped by whole pixels: equal to `resample`, and three times as fast.

    Args:
        images: All images, uint8 (images, height, width, 3).
        indices: Rows of `images`, int64 (batch,).
        source_index: Source row and column of each output row and column, int32 (batch, 2, size).

    Returns:
        float32 (batch, size, size, 3), 0 to 255.
    """
    rows, columns = source_index[:, 0, :, None], source_index[:, 1, None, :]
    shape = tf.broadcast_static_shape(rows.shape, columns.shape)
    first = tf.cast(indices, tf.int32)[:, None, None]
    each = [tf.broadcast_to(index, shape) for index in (first, rows, columns)]
    return tf.cast(tf.gather_nd(images, tf.stack(each, axis=-1)), tf.float32)


@tf.function(jit_compile=True, autograph=False)
def _pack(images: tf.Tensor) -> tf.Tensor:
    """Returns one int32 a pixel, (batch * height * width,)."""
    red, green, blue = tf.unstack(tf.cast(tf.reshape(images, (-1, 3)), tf.int32), axis=1)
    return red | tf.bitwise.left_shift(green, 8) | tf.bitwise.left_shift(blue, 16)


def _channels(packed: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(tf.bitwise.right_shift(packed, shift) & 255, tf.float32) for shift in (0, 8, 16)]


@tf.function(jit_compile=True, autograph=False)
def _unpack(packed: tf.Tensor, height: int, width: int) -> tf.Tensor:
    return tf.reshape(tf.stack(_channels(packed), axis=-1), (-1, height, width, 3))


def _rounded(product: tf.Tensor) -> tf.Tensor:
    """Prevents the fusion of a product and a sum into one operation, which would round once instead of twice."""
    return tf.minimum(product, FINITE)


def _coordinates(transforms: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the input coordinates of each output pixel: x and y, float32 (batch, height * width)."""
    y, x = tf.meshgrid(tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij")
    x, y = tf.reshape(x, (1, -1)), tf.reshape(y, (1, -1))
    a = [transforms[:, i : i + 1] for i in range(6)]
    from_x = _rounded(a[0] * x) + _rounded(a[1] * y) + a[2]
    from_y = _rounded(a[3] * x) + _rounded(a[4] * y) + a[5]
    return tf.clip_by_value(from_x, 0.0, width - 1.0), tf.clip_by_value(from_y, 0.0, height - 1.0)


def _gather(packed: tf.Tensor, x: tf.Tensor, y: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns the pixels at integer coordinates, packed (batch, height * width)."""
    first = tf.range(x.shape[0])[:, None] * (height * width)
    return tf.gather(packed, first + y * width + x)


@tf.function(jit_compile=True, autograph=False)
def _nearest(packed: tf.Tensor, transforms: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns the pixels nearest to the coordinates, halves rounded up, packed (batch, height * width)."""
    x, y = (
        tf.floor(at) + tf.cast(at - tf.floor(at) >= 0.5, tf.float32) for at in _coordinates(transforms, height, width)
    )
    return _gather(packed, tf.cast(x, tf.int32), tf.cast(y, tf.int32), height, width)


@tf.function(jit_compile=True, autograph=False)
def _corners(packed: tf.Tensor, transforms: tf.Tensor, height: int, width: int) -> Corners:
    """Returns the four pixels around each coordinate."""
    left, top = (tf.cast(at, tf.int32) for at in _coordinates(transforms, height, width))
    right, bottom = tf.minimum(left + 1, width - 1), tf.minimum(top + 1, height - 1)
    return tuple(_gather(packed, x, y, height, width) for y in (top, bottom) for x in (left, right))


@tf.function(jit_compile=True, autograph=False)
def _blend(corners: Corners, transforms: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Interpolates the four pixels around each coordinate; float32 (batch, height, width, 3)."""
    x, y = _coordinates(transforms, height, width)
    to_right, to_left = x - tf.floor(x), tf.floor(x) + 1.0 - x
    to_bottom, to_top = y - tf.floor(y), tf.floor(y) + 1.0 - y
    blended = []
    for above_left, above_right, below_left, below_right in zip(*map(_channels, corners), strict=True):
        above = _rounded(to_left * above_left) + _rounded(to_right * above_right)
        below = _rounded(to_left * below_left) + _rounded(to_right * below_right)
        blended.append(_rounded(to_top * above) + _rounded(to_bottom * below))
    return tf.reshape(tf.stack(blended, axis=-1), (-1, height, width, 3))
