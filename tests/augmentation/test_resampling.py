"""Resampling against TensorFlow's kernel, bit for bit."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.augmentation import transforms as projective
from tiny_imagenet.augmentation.resampling import gather_pixels, resample

BATCH = 24


def images(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (BATCH, height, width, 3)).astype(np.uint8)


def kernel(batch: np.ndarray, transforms: Any, interpolation: str) -> np.ndarray:
    return np.asarray(
        tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(batch, tf.float32),
            transforms=transforms,
            output_shape=batch.shape[1:3],
            fill_value=0.0,
            interpolation=interpolation.upper(),
            fill_mode="NEAREST",
        )
    )


def transforms(size: int) -> tf.Tensor:
    rng = np.random.default_rng(1)
    angle, right, down = np.float32(rng.uniform(-1, 1, (3, BATCH)) * np.float32([[np.pi], [size / 2], [size / 2]]))
    return projective.flatten(projective.projective_transforms(angle, right, down, rng.random(BATCH) < 0.5, size))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("shape", [(64, 64), (9, 9), (9, 16)])
def test_the_result_equals_the_kernels_bit_for_bit(shape: tuple[int, int], interpolation: str) -> None:
    batch, moves = images(*shape), transforms(max(shape))
    assert np.array_equal(resample(tf.constant(batch), moves, interpolation), kernel(batch, moves, interpolation))


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_halves_are_rounded_as_the_kernel_rounds_them(interpolation: str) -> None:
    batch = images(8, 8)
    halves = np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (BATCH, 1))
    halves[:, 2], halves[:, 5] = np.arange(BATCH) / 2 - 3, 0.5
    ours = resample(tf.constant(batch), tf.constant(halves), interpolation)
    assert np.array_equal(ours, kernel(batch, halves, interpolation))


def test_xla_gives_the_same_result() -> None:
    batch, moves = tf.constant(images(16, 16)), transforms(16)
    compiled = tf.function(resample, jit_compile=True, autograph=False)
    assert np.array_equal(compiled(batch, moves, "bilinear"), resample(batch, moves, "bilinear"))


def test_gathered_pixels_are_rows_and_columns_of_the_images() -> None:
    batch, rng = images(9, 9), np.random.default_rng(2)
    indices, source_index = rng.integers(0, BATCH, 7).astype(np.int32), rng.integers(0, 9, (7, 2, 9)).astype(np.int32)
    gathered = gather_pixels(tf.constant(batch), tf.constant(indices), tf.constant(source_index))
    assert gathered.dtype == tf.float32
    for image, index, (rows, columns) in zip(gathered, indices, source_index, strict=True):
        assert np.array_equal(image, batch[index][rows][:, columns])
