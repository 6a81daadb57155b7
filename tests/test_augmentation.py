"""The image operations against a reference written from their definition, pixel by pixel."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.tiny_records import AUGMENTATION

from tiny_imagenet import augmentation
from tiny_imagenet.resampling import resample

SIZE = 9
RANGES: dict[str, Any] = {
    key: AUGMENTATION[key] for key in ("rotation_degrees", "shift_fraction", "brightness", "horizontal_flip")
}
NOTHING: dict[str, Any] = {
    "rotation_degrees": 0.0,
    "shift_fraction": 0.0,
    "brightness": (1.0, 1.0),
    "horizontal_flip": False,
}


def reference(
    image: np.ndarray, angle: float, shift_x: float, shift_y: float, flip: bool, interpolation: str
) -> np.ndarray:
    """Rotates counter-clockwise about the centre, shifts right and down, mirrors: asks of each pixel where it was."""
    size = len(image)
    centre = (size - 1) / 2
    moved = np.empty_like(image)
    for row in range(size):
        for column in range(size):
            x, y = float(size - 1 - column if flip else column), float(row)
            right, up = x - shift_x - centre, -(y - shift_y - centre)
            radius, direction = np.hypot(right, up), np.arctan2(up, right)
            x = centre + radius * np.cos(direction - angle)
            y = centre - radius * np.sin(direction - angle)
            moved[row, column] = sample(image, x, y, interpolation)
    return moved


def sample(image: np.ndarray, x: float, y: float, interpolation: str) -> np.ndarray:
    """Returns the colour at a place; outside the image, that of its nearest place inside."""
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
    transforms = augmentation.projective_transforms(*map(tf.constant, (*floats, flips)), SIZE)
    return np.asarray(resample(tf.constant(batch.astype(np.uint8)), transforms, interpolation))


@pytest.mark.parametrize(
    ("angle", "shift_x", "shift_y", "flip"),
    [
        pytest.param(0.3, 0.0, 0.0, False, id="rotation"),
        pytest.param(-2.0, 0.0, 0.0, False, id="rotation clockwise, far"),
        pytest.param(0.0, 2.3, 0.0, False, id="shift right"),
        pytest.param(0.0, 0.0, -3.6, False, id="shift up"),
        pytest.param(0.0, 0.0, 0.0, True, id="mirror"),
        pytest.param(0.25, 1.7, -0.6, False, id="rotation and shift"),
        pytest.param(0.25, 1.7, -0.6, True, id="rotation, shift and mirror"),
    ],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_a_move_is_the_reference(angle: float, shift_x: float, shift_y: float, flip: bool, interpolation: str) -> None:
    batch = images(3)
    ours = moved(batch, angle, shift_x, shift_y, flip, interpolation)
    theirs = [reference(image, angle, shift_x, shift_y, flip, interpolation) for image in batch]
    assert np.abs(ours - theirs).max() < 0.01


def test_each_image_of_a_batch_has_its_own_move() -> None:
    rng = np.random.default_rng(1)
    batch, angle, flip = images(8), rng.uniform(-0.4, 0.4, 8), rng.random(8) < 0.5
    shift_x, shift_y = rng.uniform(-2, 2, (2, 8))
    ours = moved(batch, angle, shift_x, shift_y, flip)
    theirs = [reference(*arguments, "bilinear") for arguments in zip(batch, angle, shift_x, shift_y, flip, strict=True)]
    assert np.abs(ours - theirs).max() < 0.01


def test_moves_that_are_plain_to_see() -> None:
    image = images(1)
    assert np.array_equal(moved(image, 0, 0, 0, False), image)
    assert np.array_equal(moved(image, 0, 0, 0, True), image[:, :, ::-1])
    right = np.concatenate([image[:, :, :1], image[:, :, :-1]], axis=2)
    assert np.array_equal(moved(image, 0, 1, 0, False), right)
    down = np.concatenate([image[:, :1], image[:, :-1]], axis=1)
    assert np.array_equal(moved(image, 0, 0, 1, False), down)
    quarter = moved(image, np.pi / 2, 0, 0, False)
    assert np.abs(quarter - np.rot90(image, axes=(1, 2))).max() < 0.01  # rot90 turns counter-clockwise


def test_brightness_multiplies_and_clips() -> None:
    image = np.float32([[[[0, 100, 200]]]])
    bright = augmentation.brighten(tf.constant(np.repeat(image, 3, 0)), tf.constant([0.5, 1.0, 1.5]), stretch=False)
    assert np.asarray(bright)[:, 0, 0].tolist() == [[0, 50, 100], [0, 100, 200], [0, 150, 255]]


def test_stretch_takes_each_image_to_the_full_range_first() -> None:
    batch = np.float32([[[[50, 100, 150]]], [[[0, 51, 255]]], [[[7, 7, 7]]]])
    stretched = augmentation.brighten(tf.constant(batch), tf.constant([1.0, 1.0, 1.0]), stretch=True)
    assert np.asarray(stretched)[:2, 0, 0].tolist() == [[0, 127.5, 255], [0, 51, 255]]
    assert np.isfinite(stretched[2]).all()  # an image of one colour
    darker = augmentation.brighten(tf.constant(batch), tf.constant([0.5, 0.5, 0.5]), stretch=True)
    assert np.allclose(darker, np.asarray(stretched) / 2)


def test_augment_moves_then_brightens_uint8() -> None:
    batch = images(2)
    transforms, _ = augmentation.draw(tf.constant([1, 2]), 2, image_size=SIZE, **RANGES)
    factors = tf.constant([0.7, 1.4])
    both = augmentation.augment(
        tf.constant(batch.astype(np.uint8)), transforms, factors, interpolation="bilinear", stretch=False
    )
    assert both.dtype == tf.float32
    expected = np.asarray(resample(tf.constant(batch.astype(np.uint8)), transforms, "bilinear"))
    assert np.allclose(both, np.clip(expected * np.float32([0.7, 1.4])[:, None, None, None], 0, 255), atol=1e-3)


def drawn(seed: tuple[int, int], batch: int, size: int = 64, **changes: Any) -> tuple[np.ndarray, np.ndarray]:
    transforms, factors = augmentation.draw(tf.constant(seed), batch, image_size=size, **RANGES | changes)
    return np.asarray(transforms), np.asarray(factors)


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Within the range to a rounding, and evenly spread over it: five standard errors for each tenth."""
    margin = 1e-5 * max(abs(low), abs(high))
    assert low - margin <= values.min()
    assert values.max() <= high + margin
    shares = np.histogram(values, 10, (low - margin, high + margin))[0] / len(values)
    assert np.abs(shares - 0.1).max() < 5 * np.sqrt(0.09 / len(values))


BATCH = 40_000


def test_angles_are_uniform() -> None:
    transforms, _ = drawn((1, 2), BATCH, shift_fraction=0.0, horizontal_flip=False)
    assert_uniform(np.degrees(np.arctan2(transforms[:, 3], transforms[:, 0])), -20, 20)


def test_shifts_are_uniform_in_both_directions_and_unrelated() -> None:
    transforms, _ = drawn((1, 2), BATCH, rotation_degrees=0.0, horizontal_flip=False)
    assert_uniform(transforms[:, 2], -6.4, 6.4)
    assert_uniform(transforms[:, 5], -6.4, 6.4)
    assert abs(np.corrcoef(transforms[:, 2], transforms[:, 5])[0, 1]) < 0.03


def test_factors_are_uniform() -> None:
    assert_uniform(drawn((1, 2), BATCH)[1], 0.5, 1.5)
    assert_uniform(drawn((1, 2), BATCH, brightness=(0.9, 1.3))[1], 0.9, 1.3)


def test_every_second_image_is_mirrored_whatever_else_is_drawn() -> None:
    transforms, factors = drawn((1, 2), BATCH)
    mirrored = transforms[:, 0] < 0  # the angles are below a right one
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(BATCH)
    angle = np.arctan2(transforms[:, 3] * np.where(mirrored, -1, 1), np.abs(transforms[:, 0]))
    for other in (angle, factors, transforms[:, 5]):
        assert abs(np.corrcoef(mirrored, other)[0, 1]) < 0.03


def test_no_image_is_mirrored_where_that_is_switched_off() -> None:
    assert (drawn((1, 2), 1000, horizontal_flip=False)[0][:, 0] > 0).all()


def test_ranges_of_zero_leave_images_as_they_are() -> None:
    batch = images(16)
    transforms, factors = augmentation.draw(tf.constant([3, 4]), 16, image_size=SIZE, **NOTHING)
    for interpolation in ("bilinear", "nearest"):
        same = augmentation.augment(tf.constant(batch), transforms, factors, interpolation=interpolation, stretch=False)
        assert np.array_equal(same, batch)


def test_what_is_drawn_is_a_function_of_the_seed() -> None:
    one, same = drawn((1, 2), 50), drawn((1, 2), 50)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    for seed in ((1, 3), (2, 2), (2, 1)):
        other = drawn(seed, 50)
        assert not np.isin(one[0][:, 2], other[0][:, 2]).any()
        assert not np.isin(one[1], other[1]).any()


def test_a_switch_does_not_change_what_else_is_drawn() -> None:
    one, other = drawn((1, 2), 50), drawn((1, 2), 50, horizontal_flip=False)
    assert np.array_equal(one[1], other[1])
    assert np.array_equal(np.abs(one[0][:, 0]), other[0][:, 0])
