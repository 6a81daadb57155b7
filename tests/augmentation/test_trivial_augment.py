"""The operations against Pillow's, which torchvision calls; the magnitudes against torchvision's table."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from tiny_imagenet.augmentation import transforms
from tiny_imagenet.augmentation.resampling import resample
from tiny_imagenet.augmentation.trivial_augment import (
    COLOR_OPERATIONS,
    OPERATIONS,
    change_colors,
    matrices,
    sample_operations,
)

BATCH = 28_000
BINS = np.arange(31)
RANGES = {
    "shear_x": BINS * 0.99 / 30,
    "shear_y": BINS * 0.99 / 30,
    "translate_x": (BINS * 32 / 30).astype(int),
    "translate_y": (BINS * 32 / 30).astype(int),
    "rotate": BINS * 135 / 30,
    "brightness": BINS * 0.99 / 30,
    "color": BINS * 0.99 / 30,
    "contrast": BINS * 0.99 / 30,
    "sharpness": BINS * 0.99 / 30,
}


def some_images(count: int = 6, size: int = 32) -> np.ndarray:
    """Returns noise, a gradient, an image of few levels, one of one color."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    made[1] = np.linspace(30, 200, size)[:, None, None]
    made[2] = made[2] // 64 * 40 + 50
    made[3] = 77
    made[4, ..., 0] = 5
    return made


def sampled(count: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.random.default_rng(1).random((3, count)).astype(np.float32)
    operation, magnitude = sample_operations(tf.constant(numbers))
    return np.asarray(operation), np.asarray(magnitude)


def test_torchvisions_fourteen_operations_are_equally_frequent() -> None:
    operation, _ = sampled()
    assert len(OPERATIONS) == 14
    assert np.abs(np.bincount(operation, minlength=14) - BATCH / 14).max() < 5 * np.sqrt(BATCH / 14)


@pytest.mark.parametrize("name", RANGES)
def test_signed_magnitudes_are_uniform_over_the_bins(name: str) -> None:
    operation, magnitude = sampled()
    found = magnitude[operation == OPERATIONS.index(name)]
    expected = Counter(np.round(RANGES[name], 4).tolist())
    counts = Counter(np.round(np.abs(found), 4).astype(float).round(4).tolist())
    assert counts.keys() == expected.keys()
    for value, bins in expected.items():
        assert abs(counts[value] - len(found) * bins / 31) < 5 * np.sqrt(len(found) * bins / 31)
    assert abs((found > 0).sum() - (found < 0).sum()) < 5 * np.sqrt(len(found))


def test_unsigned_magnitudes() -> None:
    operation, magnitude = sampled()
    bits = 8 - np.round(magnitude[operation == OPERATIONS.index("posterize")])
    assert set(bits.tolist()) == set(range(2, 9))
    levels = 255 - magnitude[operation == OPERATIONS.index("solarize")]
    assert np.allclose(np.unique(levels), np.linspace(0, 255, 31), atol=1e-3)
    for name in ("identity", "auto_contrast", "equalize"):
        assert not magnitude[operation == OPERATIONS.index(name)].any()


def moved(batch: np.ndarray, name: str, magnitude: float) -> np.ndarray:
    operations = tf.fill(len(batch), OPERATIONS.index(name))
    found = matrices(operations, tf.fill(len(batch), magnitude), batch.shape[1])
    return np.asarray(resample(tf.constant(batch), transforms.flatten(found), "bilinear"))


@pytest.mark.parametrize(
    ("name", "magnitude", "forward"),
    [
        ("shear_x", 0.33, (1, 0.33, 0, 0, 1, 0)),
        ("shear_x", -0.99, (1, -0.99, 0, 0, 1, 0)),
        ("shear_y", 0.66, (1, 0, 0, 0.66, 1, 0)),
        ("translate_x", 7.0, (1, 0, -7, 0, 1, 0)),
        ("translate_y", -9.0, (1, 0, 0, 0, 1, 9)),
    ],
)
def test_geometric_operations_equal_pillows_inside_the_image(name: str, magnitude: float, forward: Any) -> None:
    batch = some_images()
    for ours, image in zip(moved(batch, name, magnitude), batch, strict=True):
        rgba = Image.fromarray(image).convert("RGBA")
        theirs = np.asarray(rgba.transform(rgba.size, Image.Transform.AFFINE, forward, Image.Resampling.BILINEAR))
        inside = theirs[..., 3] == 255
        assert inside.mean() > 0.3
        assert np.abs(ours - theirs[..., :3])[inside].max() < 1.01


@pytest.mark.parametrize("degrees", [13.5, -90.0, 135.0])
def test_rotations_equal_pillows_inside_the_image(degrees: float) -> None:
    batch = some_images()
    for ours, image in zip(moved(batch, "rotate", degrees), batch, strict=True):
        theirs = np.asarray(Image.fromarray(image).convert("RGBA").rotate(degrees, Image.Resampling.BILINEAR))
        inside = theirs[..., 3] == 255
        assert inside.mean() > 0.3
        assert np.abs(ours - theirs[..., :3])[inside].max() < 1.01


def test_color_operations_move_no_pixel() -> None:
    batch = some_images()
    for name in ("identity", *COLOR_OPERATIONS):
        assert np.array_equal(moved(batch, name, 0.7), batch)


Pillow = Callable[[Image.Image, float], Image.Image]


PILLOW: dict[
    str, tuple[Pillow, list[float], float]
] = {  # the operation, its magnitudes, the difference that rounding may make
    "brightness": (lambda image, by: ImageEnhance.Brightness(image).enhance(1 + by), [-0.99, -0.3, 0.66], 1.0),
    "color": (lambda image, by: ImageEnhance.Color(image).enhance(1 + by), [-0.99, -0.3, 0.66], 2.0),
    "contrast": (lambda image, by: ImageEnhance.Contrast(image).enhance(1 + by), [-0.99, -0.3, 0.66], 2.0),
    "sharpness": (lambda image, by: ImageEnhance.Sharpness(image).enhance(1 + by), [-0.99, -0.3, 0.66], 2.0),
    "posterize": (lambda image, by: ImageOps.posterize(image, 8 - round(by)), [0.0, 1.2, 2.0, 6.0], 0.0),
    "solarize": (lambda image, by: ImageOps.solarize(image, 255 - by), [0.0, 68.0, 127.5, 255.0], 0.0),
    "auto_contrast": (lambda image, _: ImageOps.autocontrast(image), [0.0], 1.01),
    "equalize": (lambda image, _: ImageOps.equalize(image), [0.0], 0.0),
}


@pytest.mark.parametrize("name", COLOR_OPERATIONS)
def test_color_operations_equal_pillows(name: str) -> None:
    batch, (operation, magnitudes, margin) = some_images(), PILLOW[name]
    for magnitude in magnitudes:
        operations = tf.fill(len(batch), OPERATIONS.index(name))
        ours = np.asarray(
            change_colors(tf.constant(batch, tf.float32), operations, tf.fill(len(batch), np.float32(magnitude)))
        )
        theirs = np.stack([np.asarray(operation(Image.fromarray(image), magnitude), np.float32) for image in batch])
        assert np.abs(ours - theirs).max() <= margin


def test_each_image_of_a_batch_gets_its_own_operation_however_frequent() -> None:
    rng = np.random.default_rng(3)
    batch = rng.integers(0, 256, (100, 8, 8, 3)).astype(np.float32)
    operation, magnitude = map(np.copy, sampled(100))
    operation[:40] = OPERATIONS.index("equalize")  # more than are changed at once
    ours = np.asarray(change_colors(tf.constant(batch), tf.constant(operation), tf.constant(magnitude)))
    for image, result, which, by in zip(batch, ours, operation, magnitude, strict=True):
        alone = change_colors(tf.constant(image[None]), tf.constant([which]), tf.constant([by]))[0]
        assert np.array_equal(result, alone)
        assert (OPERATIONS[which] in COLOR_OPERATIONS) or np.array_equal(result, image)
