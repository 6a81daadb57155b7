from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.tiny_records import AUGMENTATION, NOTHING

from tiny_imagenet.augmentation import augment, draw
from tiny_imagenet.input_pipeline import Batch, epoch_order, make_batch

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.int32) % 3
INDICES = np.int32([7, 0, 19, 3, 4, 11, 12, 5])


def batch(
    *,
    step: int = 5,
    seed: int = 1,
    epoch: int = 0,
    part: int = 0,
    num_parts: int = 1,
    settings: Mapping[str, Any] = AUGMENTATION,
    compiled: bool = False,
    indices: np.ndarray = INDICES,
    **more: Any,
) -> Batch:
    def make() -> Batch:
        return make_batch(
            tf.constant(IMAGES),
            tf.constant(LABELS),
            tf.constant(indices),
            seed=seed,
            step=tf.constant(step),
            epoch=tf.constant(epoch),
            part=tf.constant(part),
            num_parts=num_parts,
            settings=settings,
            **more,
        )

    made = tf.function(make, jit_compile=True)() if compiled else make()
    return Batch(*(value if value is None else np.asarray(value) for value in made))


def test_an_epoch_visits_every_image_once() -> None:
    order = epoch_order(1, 2, 1000)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, np.arange(1000))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_order(1, 2, 1000), epoch_order(1, 2, 1000))
    orders = {epoch_order(seed, epoch, 1000).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


KEYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "paper": AUGMENTATION,
    "flip": {"flip": "alternating"},
    "pixels": {"flip": "random", "shift_pixels": 2},
    "crop": {"random_resized_crop": {"scale": (0.08, 1.0), "ratio": (0.75, 1.3333)}, "flip": "alternating"},
}
each_key = pytest.mark.parametrize("settings", [NOTHING | keys for keys in KEYS.values()], ids=KEYS)


@each_key
@pytest.mark.parametrize("num_parts", [2, 4])
def test_the_parts_of_a_batch_are_the_batch(num_parts: int, settings: Mapping[str, Any]) -> None:
    parts = [batch(part=part, num_parts=num_parts, settings=settings, image_size=12) for part in range(num_parts)]
    assert {len(part.images) for part in parts} == {len(INDICES) // num_parts}
    whole = batch(settings=settings, image_size=12)
    for value, of_parts in zip(whole, zip(*parts, strict=True), strict=True):
        assert value is None or np.array_equal(np.concatenate(of_parts), value)


@each_key
def test_compiled_it_is_the_same_to_rounding(settings: Mapping[str, Any]) -> None:
    for ours, theirs in zip(batch(settings=settings, compiled=True), batch(settings=settings), strict=True):
        assert theirs is None or np.abs(ours - theirs).max() < 0.01


def test_a_batch_is_its_images_and_labels_augmented() -> None:
    images, labels, *mixed = batch()
    assert images.dtype == np.float32
    assert np.array_equal(labels, LABELS[INDICES])
    assert mixed == [None, None]
    drawn = draw(1, tf.constant(5), tf.constant(0), tf.constant(INDICES), image_size=16, settings=AUGMENTATION)
    assert np.array_equal(images, augment(tf.constant(IMAGES), tf.constant(INDICES), drawn, AUGMENTATION))


def test_without_augmentation_a_batch_is_its_images() -> None:
    assert np.array_equal(batch(settings=NOTHING).images, IMAGES[INDICES])


@pytest.mark.parametrize("settings", [NOTHING, AUGMENTATION])
def test_images_are_brought_to_a_size_at_the_end(settings: Mapping[str, Any]) -> None:
    images = batch(settings=settings).images
    for size in (12, 16, 20):
        expected = tf.image.resize(images, (size, size), antialias=True)
        assert np.abs(batch(settings=settings, image_size=size).images - expected).max() < 1e-3
    assert np.array_equal(batch(settings=settings, image_size=16).images, images)


def test_images_read_from_disk_alternate_by_their_own_numbers() -> None:
    settings = NOTHING | {"flip": "alternating"}
    for epoch in (0, 1):
        by_index = batch(settings=settings, epoch=epoch).images
        shuffled = IMAGES[INDICES]
        made = make_batch(
            tf.constant(shuffled),
            tf.constant(LABELS[INDICES]),
            tf.range(len(INDICES)),
            seed=1,
            step=tf.constant(5),
            epoch=tf.constant(epoch),
            part=tf.constant(0),
            num_parts=1,
            settings=settings,
            numbers=tf.constant(INDICES),
        )
        assert np.array_equal(made.images, by_index)


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    assert np.array_equal(batch().images, batch().images)
    assert not np.array_equal(batch().images, batch(step=6).images)
    assert not np.array_equal(batch().images, batch(seed=2).images)


@pytest.mark.parametrize(
    "change", [{"interpolation": "nearest"}, {"stretch": True}, {"brightness": (0.1, 0.2)}, {"shift_fraction": 0.3}]
)
def test_every_setting_is_used(change: dict[str, Any]) -> None:
    assert not np.array_equal(batch().images, batch(settings=AUGMENTATION | change).images)
