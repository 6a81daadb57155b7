"""Projective transforms against a pixel-by-pixel reference written from their definition."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tiny_imagenet.augmentation import transforms
from tiny_imagenet.augmentation.resampling import resample

SIZE = 9


def reference(
    image: np.ndarray, angle: float, shift_x: float, shift_y: float, flip: bool, interpolation: str
) -> np.ndarray:
    """Rotates counter-clockwise about the center, shifts right and down, flips: by each output pixel's source."""
    size = len(image)
    center = (size - 1) / 2
    moved = np.empty_like(image)
    for row in range(size):
        for column in range(size):
            x, y = float(size - 1 - column if flip else column), float(row)
            right, up = x - shift_x - center, -(y - shift_y - center)
            radius, direction = np.hypot(right, up), np.arctan2(up, right)
            x = center + radius * np.cos(direction - angle)
            y = center - radius * np.sin(direction - angle)
            moved[row, column] = sample(image, x, y, interpolation)
    return moved


def sample(image: np.ndarray, x: float, y: float, interpolation: str) -> np.ndarray:
    """Returns the color at a point; outside the image, that of the nearest point inside."""
    last = len(image) - 1
    x, y = min(max(x, 0.0), last), min(max(y, 0.0), last)
    if interpolation == "nearest":
        return np.asarray(image[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))])
    left, top = int(x), int(y)
    right, bottom = min(left + 1, last), min(top + 1, last)
    above = image[top, left] * (left + 1 - x) + image[top, right] * (x - left)
    below = image[bottom, left] * (left + 1 - x) + image[bottom, right] * (x - left)
    return np.asarray(above * (top + 1 - y) + below * (y - top))


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.float32)


def moved(
    batch: np.ndarray, angle: Any, shift_x: Any, shift_y: Any, flip: Any, interpolation: str = "bilinear"
) -> np.ndarray:
    floats = [np.broadcast_to(np.float32(value), len(batch)) for value in (angle, shift_x, shift_y)]
    flips = np.broadcast_to(np.asarray(flip, bool), len(batch))
    matrices = transforms.projective_transforms(*map(tf.constant, (*floats, flips)), SIZE)
    return warped(batch, matrices, interpolation)


def warped(batch: np.ndarray, matrices: tf.Tensor, interpolation: str = "bilinear") -> np.ndarray:
    return np.asarray(resample(tf.constant(batch.astype(np.uint8)), transforms.flatten(matrices), interpolation))


@pytest.mark.parametrize(
    ("angle", "shift_x", "shift_y", "flip"),
    [
        pytest.param(0.3, 0.0, 0.0, False, id="rotation"),
        pytest.param(-2.0, 0.0, 0.0, False, id="rotation clockwise, far"),
        pytest.param(0.0, 2.3, 0.0, False, id="shift right"),
        pytest.param(0.0, 0.0, -3.6, False, id="shift up"),
        pytest.param(0.0, 0.0, 0.0, True, id="flip"),
        pytest.param(0.25, 1.7, -0.6, False, id="rotation and shift"),
        pytest.param(0.25, 1.7, -0.6, True, id="rotation, shift and flip"),
    ],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_a_transform_equals_the_reference(
    angle: float, shift_x: float, shift_y: float, flip: bool, interpolation: str
) -> None:
    batch = images(3)
    ours = moved(batch, angle, shift_x, shift_y, flip, interpolation)
    theirs = [reference(image, angle, shift_x, shift_y, flip, interpolation) for image in batch]
    assert np.abs(ours - theirs).max() < 0.01


def test_each_image_of_a_batch_has_its_own_transform() -> None:
    rng = np.random.default_rng(1)
    batch, angle, flip = images(8), rng.uniform(-0.4, 0.4, 8), rng.random(8) < 0.5
    shift_x, shift_y = rng.uniform(-2, 2, (2, 8))
    ours = moved(batch, angle, shift_x, shift_y, flip)
    theirs = [reference(*arguments, "bilinear") for arguments in zip(batch, angle, shift_x, shift_y, flip, strict=True)]
    assert np.abs(ours - theirs).max() < 0.01


def test_transforms_whose_result_is_obvious() -> None:
    image = images(1)
    assert np.array_equal(moved(image, 0, 0, 0, False), image)
    assert np.array_equal(moved(image, 0, 0, 0, True), image[:, :, ::-1])
    right = np.concatenate([image[:, :, :1], image[:, :, :-1]], axis=2)
    assert np.array_equal(moved(image, 0, 1, 0, False), right)
    down = np.concatenate([image[:, :1], image[:, :-1]], axis=1)
    assert np.array_equal(moved(image, 0, 0, 1, False), down)
    quarter = moved(image, np.pi / 2, 0, 0, False)
    assert np.abs(quarter - np.rot90(image, axes=(1, 2))).max() < 0.01  # rot90 turns counter-clockwise


def test_a_product_applies_its_left_factor_first() -> None:
    image, one = images(1), tf.ones(1)
    rotated = transforms.projective_transforms(one * (np.pi / 2), one * 0, one * 0, tf.constant([False]), SIZE)
    both = warped(image, rotated @ transforms.shift(one * 2, -one))
    expected = np.rot90(image, axes=(1, 2))[:, 1:, :-2]
    assert np.abs(both[:, :-1, 2:] - expected).max() < 0.01


def test_products_are_exact_to_float32_on_every_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """TF32 has 10 bits of mantissa: its products would be off by 2 ** -11 of the largest term."""
    rng = np.random.default_rng(3)
    left, right = (rng.normal(0, 20, (50, 3, 3)).astype(np.float32) for _ in range(2))
    bound = 2.0**-22 * (np.abs(left).astype(np.float64) @ np.abs(right))
    exact = left.astype(np.float64) @ right
    assert np.array_equal(transforms.product(left, right), tf.constant(left) @ right)  # to the bit, as ever
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["GPU"])
    graph = tf.function(transforms.product).get_concrete_function(tf.constant(left), tf.constant(right)).graph
    assert not [each.type for each in graph.get_operations() if "MatMul" in each.type]
    assert (np.abs(transforms.product(tf.constant(left), tf.constant(right)) - exact) <= bound).all()


def test_a_crop_equals_pillows_resized_box() -> None:
    """Pillow ignores pixels outside the box, so a margin is left out where ours interpolate with them."""
    rng = np.random.default_rng(2)
    batch = rng.integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    boxes = np.float32(
        [[0, 0, 64, 64], [5, 9, 32, 32], [0, 0, 20, 30], [30, 4, 34, 60], [11, 50, 7, 5], [1, 1, 62, 60]]
    )
    ours = warped(batch, transforms.crop(tf.constant(boxes), 64))
    for image, (left, top, width, height), cropped in zip(batch, boxes.astype(int), ours, strict=True):
        box = (left, top, left + width, top + height)
        theirs = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR, box), np.float32)
        margin = int(np.ceil(32 / min(width, height)))
        inner = slice(margin, -margin)
        assert np.abs(cropped - theirs)[inner, inner].max() < 1.01  # Pillow rounds twice
