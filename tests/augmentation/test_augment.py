"""What is drawn, by its distribution; what is done, against numpy."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.support.tiny_records import AUGMENTATION, NOTHING

from tiny_imagenet.augmentation.augment import Drawn, augment, chances, draw
from tiny_imagenet.augmentation.resampling import resample

SIZE = 9
BATCH = 40_000
CROP = {"scale": (0.08, 1.0), "ratio": (0.75, 1.3333)}


def images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def drawn(
    batch: int, *, seed: int = 1, step: int = 2, size: int = 64, alternating: Any = None, **settings: Any
) -> Drawn:
    """Draws for images of a size, half of which would be mirrored if flips alternated."""
    alternating = np.arange(batch) % 2 == 0 if alternating is None else alternating
    found = draw(
        chances(seed, tf.constant(step), batch),
        tf.constant(alternating),
        image_size=size,
        final_size=size,
        settings=NOTHING | settings,
    )
    return Drawn(*(value if value is None else np.asarray(value) for value in found))


def augmented(batch: np.ndarray, **settings: Any) -> np.ndarray:
    return done(batch, np.arange(len(batch)), drawn(len(batch), size=SIZE, **settings), **settings)


def done(batch: np.ndarray, indices: Any, what: Drawn, **settings: Any) -> np.ndarray:
    images, indices = tf.constant(batch), tf.constant(indices, tf.int32)
    return np.asarray(augment(images, indices, what, final_size=SIZE, settings=NOTHING | settings))


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Within the range to a rounding, and evenly spread over it: five standard errors for each tenth."""
    margin = 1e-5 * max(abs(low), abs(high))
    assert low - margin <= values.min()
    assert values.max() <= high + margin
    shares = np.histogram(values, 10, (low - margin, high + margin))[0] / len(values)
    assert np.abs(shares - 0.1).max() < 5 * np.sqrt(0.09 / len(values))


PAPER = {key: AUGMENTATION[key] for key in ("rotation_degrees", "shift_fraction", "brightness", "flip")}


def test_angles_are_uniform() -> None:
    transforms = drawn(BATCH, rotation_degrees=20.0).transforms
    assert_uniform(np.degrees(np.arctan2(transforms[:, 3], transforms[:, 0])), -20, 20)


def test_shifts_are_uniform_in_both_directions_and_unrelated() -> None:
    transforms = drawn(BATCH, shift_fraction=0.1).transforms
    assert_uniform(transforms[:, 2], -6.4, 6.4)
    assert_uniform(transforms[:, 5], -6.4, 6.4)
    assert abs(np.corrcoef(transforms[:, 2], transforms[:, 5])[0, 1]) < 0.03


def test_factors_are_uniform() -> None:
    assert_uniform(drawn(BATCH, brightness=(0.5, 1.5)).factors, 0.5, 1.5)
    assert_uniform(drawn(BATCH, brightness=(0.9, 1.3)).factors, 0.9, 1.3)


def test_every_second_image_is_mirrored_whatever_else_is_drawn() -> None:
    what = drawn(BATCH, **PAPER)
    transforms, factors = what.transforms, what.factors
    mirrored = transforms[:, 0] < 0  # the angles are below a right one
    assert abs(mirrored.mean() - 0.5) < 5 * 0.5 / np.sqrt(BATCH)
    angle = np.arctan2(transforms[:, 3] * np.where(mirrored, -1, 1), np.abs(transforms[:, 0]))
    for other in (angle, factors, transforms[:, 5]):
        assert abs(np.corrcoef(mirrored, other)[0, 1]) < 0.03


def test_no_image_is_mirrored_where_that_is_switched_off() -> None:
    assert (drawn(1000, rotation_degrees=20.0).transforms[:, 0] > 0).all()


def mirrored(places: np.ndarray) -> np.ndarray:
    return np.asarray(places[:, 1, 0] > places[:, 1, -1])


def test_a_random_flip_by_whole_pixels_is_that_of_the_transform() -> None:
    whole, transforms = drawn(500, flip="random").places, drawn(500, flip="random", rotation_degrees=20.0).transforms
    assert np.array_equal(mirrored(whole), transforms[:, 0] < 0)


def test_an_alternating_flip_mirrors_those_whose_turn_it_is() -> None:
    turn = np.random.default_rng(0).random(50) < 0.5
    assert np.array_equal(mirrored(drawn(50, flip="alternating", alternating=turn).places), turn)
    turned = drawn(50, flip="alternating", alternating=turn, rotation_degrees=20.0).transforms
    assert np.array_equal(turned[:, 0] < 0, turn)


@pytest.mark.parametrize("more", [{}, {"rotation_degrees": 1e-30}], ids=["places", "transforms"])
def test_whole_pixels_shift_evenly_and_leave_the_edge_behind(more: dict[str, float]) -> None:
    batch = np.repeat(images(1), 5000, axis=0)
    moved = augmented(batch, shift_pixels=2, **more)
    padded = np.pad(batch[0], ((2, 2), (2, 2), (0, 0)), mode="edge")
    shifted = {(y, x): padded[y : y + SIZE, x : x + SIZE] for y in range(5) for x in range(5)}
    counts = [sum(np.abs(image - each).max() < 1e-3 for image in moved) for each in shifted.values()]
    assert sum(counts) == 5000
    assert max(abs(count - 200) for count in counts) < 5 * np.sqrt(200)


def test_a_pixel_shift_comes_after_the_mirror_on_either_way() -> None:
    settings = {"shift_pixels": 3, "flip": "random"}
    assert np.array_equal(augmented(images(64), **settings), augmented(images(64), rotation_degrees=1e-30, **settings))


def test_a_crop_is_moved_like_any_image() -> None:
    crop, moves = drawn(50, random_resized_crop=CROP).transforms, drawn(50, **PAPER).transforms
    both = drawn(50, random_resized_crop=CROP, **PAPER).transforms
    matrices = [np.concatenate([each, np.ones((50, 1))], axis=1).reshape(-1, 3, 3) for each in (crop, moves, both)]
    assert np.abs(matrices[0] @ matrices[1] - matrices[2]).max() < 1e-4


def test_crops_are_uniform_in_area() -> None:
    transforms = drawn(BATCH, random_resized_crop={"scale": (0.2, 0.5), "ratio": (0.75, 1.3333)}).transforms
    area, shape = transforms[:, 0] * transforms[:, 4], transforms[:, 0] / transforms[:, 4]
    assert abs(area.mean() - 0.35) < 5 * 0.3 / np.sqrt(12 * BATCH)
    assert abs(np.log(shape).mean()) < 0.01
    assert 0.72 < shape.min() < 0.78
    assert 1.28 < shape.max() < 1.38


def test_augment_moves_then_brightens() -> None:
    batch = images(2)
    what = drawn(2, size=SIZE, **PAPER)
    both = done(batch, [0, 1], what._replace(factors=np.float32([0.7, 1.4])), **PAPER)
    assert both.dtype == np.float32
    expected = np.asarray(resample(tf.constant(batch), what.transforms, "bilinear"))
    assert np.allclose(both, np.clip(expected * np.float32([0.7, 1.4])[:, None, None, None], 0, 255), atol=1e-3)


def test_erased_boxes_are_grey_and_the_rest_is_untouched() -> None:
    batch = images(2000)
    result = augmented(batch, random_erasing=0.25)
    grey = (result == 127.5).all(axis=-1)
    assert np.array_equal(result[~grey], batch[~grey])
    assert abs(grey.any(axis=(1, 2)).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)


def test_erasing_is_the_last_thing_done() -> None:
    result = augmented(images(50), random_erasing=1.0, **PAPER)
    assert ((result == 127.5).all(axis=-1).sum(axis=(1, 2)) > 0).all()


def test_a_recipe_that_names_nothing_leaves_images_as_they_are() -> None:
    batch = images(16)
    assert drawn(16) == (None,) * len(Drawn._fields)
    assert np.array_equal(augmented(batch), batch)
    assert augmented(batch).dtype == np.float32


def test_images_are_taken_by_their_indices() -> None:
    batch, indices = images(9), [4, 4, 0, 8]
    for settings in ({}, {"flip": "random"}, {"rotation_degrees": 5.0}):
        what = drawn(4, size=SIZE, **settings)
        assert np.array_equal(done(batch, indices, what, **settings), done(batch[indices], range(4), what, **settings))


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
def test_what_is_drawn_is_a_function_of_seed_and_step(key: dict[str, Any]) -> None:
    def values(**where: int) -> np.ndarray:
        found = [np.ravel(value) for value in drawn(50, **where, **key) if value is not None]
        return np.concatenate(found)

    assert np.array_equal(values(), values())
    for where in ({"step": 3}, {"seed": 2}, {"seed": 2, "step": 1}):
        assert not np.array_equal(values(), values(**where))


def test_a_key_does_not_change_what_another_draws() -> None:
    one, other = drawn(50, **PAPER), drawn(50, **PAPER | {"flip": "none"})
    assert np.array_equal(one.factors, other.factors)
    assert np.array_equal(np.abs(one.transforms[:, 0]), other.transforms[:, 0])
    plain, shifted = drawn(50, rotation_degrees=20.0), drawn(50, rotation_degrees=20.0, shift_pixels=3)
    assert np.array_equal(plain.transforms[:, [0, 1, 3, 4]], shifted.transforms[:, [0, 1, 3, 4]])
