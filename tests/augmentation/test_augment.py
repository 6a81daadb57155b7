"""The distributions of the sampled parameters, and the operations against numpy."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.support.tiny_records import AUGMENTATION

from tiny_imagenet.augmentation.augment import Sampled, augment, random_numbers, sample
from tiny_imagenet.augmentation.resampling import resample
from tiny_imagenet.core.schema import Augmentation

SIZE = 9
BATCH = 40_000
CROP = {"scale": (0.08, 1.0), "ratio": (0.75, 1.3333)}


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def sampled(
    batch: int, *, seed: int = 1, step: int = 2, size: int = 64, alternating: Any = None, **keys: Any
) -> Sampled:
    """Samples for images of a size; every second one is mirrored where flips alternate."""
    alternating = np.arange(batch) % 2 == 0 if alternating is None else alternating
    rng = random_numbers(seed, tf.constant(step), batch)
    found = sample(rng, tf.constant(alternating), size, size, Augmentation(**keys))
    return Sampled(*(value if value is None else np.asarray(value) for value in found))


def augmented(batch: np.ndarray, **keys: Any) -> np.ndarray:
    return applied(batch, np.arange(len(batch)), sampled(len(batch), size=SIZE, **keys), **keys)


def applied(batch: np.ndarray, indices: Any, parameters: Sampled, **keys: Any) -> np.ndarray:
    images, indices = tf.constant(batch), tf.constant(indices, tf.int32)
    return np.asarray(augment(images, indices, parameters, SIZE, Augmentation(**keys)))


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Asserts the range, up to rounding, and each tenth's share of the values, up to five standard errors."""
    margin = 1e-5 * max(abs(low), abs(high))
    assert low - margin <= values.min()
    assert values.max() <= high + margin
    shares = np.histogram(values, 10, (low - margin, high + margin))[0] / len(values)
    assert np.abs(shares - 0.1).max() < 5 * np.sqrt(0.09 / len(values))


PAPER = AUGMENTATION.model_dump(exclude_defaults=True)


def test_angles_are_uniform() -> None:
    transforms = sampled(BATCH, rotation_degrees=20.0).transforms
    assert_uniform(np.degrees(np.arctan2(transforms[:, 3], transforms[:, 0])), -20, 20)


def test_shifts_are_uniform_and_independent_in_both_directions() -> None:
    transforms = sampled(BATCH, shift_fraction=0.1).transforms
    assert_uniform(transforms[:, 2], -6.4, 6.4)
    assert_uniform(transforms[:, 5], -6.4, 6.4)
    assert abs(np.corrcoef(transforms[:, 2], transforms[:, 5])[0, 1]) < 0.03


def test_brightness_factors_are_uniform() -> None:
    assert_uniform(sampled(BATCH, brightness=(0.5, 1.5)).brightness, 0.5, 1.5)
    assert_uniform(sampled(BATCH, brightness=(0.9, 1.3)).brightness, 0.9, 1.3)


def test_a_random_flip_has_probability_one_half_independent_of_the_rest() -> None:
    parameters = sampled(BATCH, **PAPER)
    transforms = parameters.transforms
    mirrored = transforms[:, 0] < 0  # the angles are below a right one
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(BATCH)
    angle = np.arctan2(transforms[:, 3] * np.where(mirrored, -1, 1), np.abs(transforms[:, 0]))
    for other in (angle, parameters.brightness, transforms[:, 5]):
        assert abs(np.corrcoef(mirrored, other)[0, 1]) < 0.03


def test_no_image_is_flipped_where_flips_are_off() -> None:
    assert (sampled(1000, rotation_degrees=20.0).transforms[:, 0] > 0).all()


def flipped(source_index: np.ndarray) -> np.ndarray:
    return np.asarray(source_index[:, 1, 0] > source_index[:, 1, -1])


def test_a_random_flip_by_source_index_equals_that_by_transform() -> None:
    source_index = sampled(500, flip="random").source_index
    transforms = sampled(500, flip="random", rotation_degrees=20.0).transforms
    assert np.array_equal(flipped(source_index), transforms[:, 0] < 0)


def test_an_alternating_flip_mirrors_the_given_images() -> None:
    given = np.random.default_rng(0).random(50) < 0.5
    assert np.array_equal(flipped(sampled(50, flip="alternating", alternating=given).source_index), given)
    rotated = sampled(50, flip="alternating", alternating=given, rotation_degrees=20.0).transforms
    assert np.array_equal(rotated[:, 0] < 0, given)


@pytest.mark.parametrize("more", [{}, {"rotation_degrees": 1e-30}], ids=["source_index", "transforms"])
def test_shifts_by_whole_pixels_are_uniform_and_repeat_the_edge(more: dict[str, float]) -> None:
    batch = np.repeat(images(1), 5000, axis=0)
    moved = augmented(batch, shift_pixels=2, **more)
    padded = np.pad(batch[0], ((2, 2), (2, 2), (0, 0)), mode="edge")
    shifted = {(y, x): padded[y : y + SIZE, x : x + SIZE] for y in range(5) for x in range(5)}
    counts = [sum(np.abs(image - each).max() < 1e-3 for image in moved) for each in shifted.values()]
    assert sum(counts) == 5000
    assert max(abs(count - 200) for count in counts) < 5 * np.sqrt(200)


def test_a_pixel_shift_comes_after_the_flip_by_source_index_and_by_transform() -> None:
    keys = {"shift_pixels": 3, "flip": "random"}
    assert np.array_equal(augmented(images(64), **keys), augmented(images(64), rotation_degrees=1e-30, **keys))


def test_a_crop_comes_before_the_other_transforms() -> None:
    crop, moves = sampled(50, random_resized_crop=CROP).transforms, sampled(50, **PAPER).transforms
    both = sampled(50, random_resized_crop=CROP, **PAPER).transforms
    matrices = [np.concatenate([each, np.ones((50, 1))], axis=1).reshape(-1, 3, 3) for each in (crop, moves, both)]
    assert np.abs(matrices[0] @ matrices[1] - matrices[2]).max() < 1e-4


def test_crops_are_uniform_in_area() -> None:
    transforms = sampled(BATCH, random_resized_crop={"scale": (0.2, 0.5), "ratio": (0.75, 1.3333)}).transforms
    area, shape = transforms[:, 0] * transforms[:, 4], transforms[:, 0] / transforms[:, 4]
    assert abs(area.mean() - 0.35) < 5 * 0.3 / np.sqrt(12 * BATCH)
    assert abs(np.log(shape).mean()) < 0.01
    assert 0.72 < shape.min() < 0.78
    assert 1.28 < shape.max() < 1.38


def test_brightness_comes_after_the_transform() -> None:
    batch = images(2)
    parameters = sampled(2, size=SIZE, **PAPER)
    both = applied(batch, [0, 1], parameters._replace(brightness=np.float32([0.7, 1.4])), **PAPER)
    assert both.dtype == np.float32
    expected = np.asarray(resample(tf.constant(batch), parameters.transforms, "bilinear"))
    assert np.allclose(both, np.clip(expected * np.float32([0.7, 1.4])[:, None, None, None], 0, 255), atol=1e-3)


def test_erased_boxes_are_gray_and_the_rest_is_unchanged() -> None:
    batch = images(2000)
    result = augmented(batch, random_erasing=0.25)
    gray = (result == 127.5).all(axis=-1)
    assert np.array_equal(result[~gray], batch[~gray])
    assert abs(gray.any(axis=(1, 2)).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)


def test_erasing_comes_last() -> None:
    result = augmented(images(50), random_erasing=1.0, **PAPER)
    assert ((result == 127.5).all(axis=-1).sum(axis=(1, 2)) > 0).all()


def test_the_defaults_leave_images_unchanged() -> None:
    batch = images(16)
    assert sampled(16) == (None,) * len(Sampled._fields)
    assert np.array_equal(augmented(batch), batch)
    assert augmented(batch).dtype == np.float32


def test_images_are_gathered_by_their_indices() -> None:
    batch, indices = images(9), [4, 4, 0, 8]
    for keys in ({}, {"flip": "random"}, {"rotation_degrees": 5.0}):
        parameters = sampled(4, size=SIZE, **keys)
        assert np.array_equal(
            applied(batch, indices, parameters, **keys), applied(batch[indices], range(4), parameters, **keys)
        )


KEYS = [
    {"rotation_degrees": 20.0},
    {"shift_fraction": 0.1},
    {"shift_pixels": 9},
    {"brightness": (0.5, 1.5)},
    {"flip": "random"},
    {"random_resized_crop": CROP},
    {"random_erasing": 1.0},
    {"trivial_augment": True},
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: next(iter(key)))
def test_the_parameters_are_a_function_of_seed_and_step(key: dict[str, Any]) -> None:
    def values(**where: int) -> np.ndarray:
        found = [np.ravel(value) for value in sampled(50, **where, **key) if value is not None]
        return np.concatenate(found)

    assert np.array_equal(values(), values())
    for where in ({"step": 3}, {"seed": 2}, {"seed": 2, "step": 1}):
        assert not np.array_equal(values(), values(**where))


def test_a_key_does_not_change_the_random_numbers_of_another() -> None:
    one, other = sampled(50, **PAPER), sampled(50, **PAPER | {"flip": "none"})
    assert np.array_equal(one.brightness, other.brightness)
    assert np.array_equal(np.abs(one.transforms[:, 0]), other.transforms[:, 0])
    plain, shifted = sampled(50, rotation_degrees=20.0), sampled(50, rotation_degrees=20.0, shift_pixels=3)
    assert np.array_equal(plain.transforms[:, [0, 1, 3, 4]], shifted.transforms[:, [0, 1, 3, 4]])
