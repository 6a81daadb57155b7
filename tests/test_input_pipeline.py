from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests.tiny_records import AUGMENTATION

from tiny_imagenet import augmentation
from tiny_imagenet.input_pipeline import epoch_order, make_batch

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.int32) % 3
INDICES = np.int32([7, 0, 19, 3, 4, 11, 12, 5])


def batch(
    *, step: int = 5, seed: int = 1, part: int = 0, num_parts: int = 1, settings: Mapping[str, Any] = AUGMENTATION
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = make_batch(
        tf.constant(IMAGES),
        tf.constant(LABELS),
        tf.constant(INDICES),
        seed=seed,
        step=tf.constant(step),
        part=tf.constant(part),
        num_parts=num_parts,
        settings=settings,
    )
    return np.asarray(images), np.asarray(labels)


def test_an_epoch_visits_every_image_once() -> None:
    order = epoch_order(1, 2, 1000)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, np.arange(1000))


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    assert np.array_equal(epoch_order(1, 2, 1000), epoch_order(1, 2, 1000))
    orders = {epoch_order(seed, epoch, 1000).tobytes() for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


@pytest.mark.parametrize("num_parts", [1, 2, 4])
def test_the_parts_of_a_batch_are_the_batch(num_parts: int) -> None:
    parts = [batch(part=part, num_parts=num_parts) for part in range(num_parts)]
    assert {len(images) for images, _ in parts} == {len(INDICES) // num_parts}
    images, labels = batch()
    assert np.array_equal(np.concatenate([part for part, _ in parts]), images)
    assert np.array_equal(np.concatenate([part for _, part in parts]), labels)


def test_a_batch_is_its_images_and_labels_augmented() -> None:
    images, labels = batch()
    assert images.dtype == np.float32
    assert np.array_equal(labels, LABELS[INDICES])
    ranges = {key: value for key, value in AUGMENTATION.items() if key not in ("interpolation", "stretch")}
    transforms, factors = augmentation.draw(tf.constant([1, 5]), len(INDICES), image_size=16, **ranges)
    expected = augmentation.augment(
        tf.constant(IMAGES[INDICES]), transforms, factors, interpolation="bilinear", stretch=False
    )
    assert np.array_equal(images, expected)


def test_without_augmentation_a_batch_is_its_images() -> None:
    nothing = AUGMENTATION | {
        "rotation_degrees": 0.0,
        "shift_fraction": 0.0,
        "brightness": (1.0, 1.0),
        "horizontal_flip": False,
    }
    assert np.array_equal(batch(settings=nothing)[0], IMAGES[INDICES])


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    assert np.array_equal(batch()[0], batch()[0])
    assert not np.array_equal(batch()[0], batch(step=6)[0])
    assert not np.array_equal(batch()[0], batch(seed=2)[0])


@pytest.mark.parametrize(
    "change", [{"interpolation": "nearest"}, {"stretch": True}, {"brightness": (0.1, 0.2)}, {"shift_fraction": 0.3}]
)
def test_every_setting_is_used(change: dict[str, Any]) -> None:
    assert not np.array_equal(batch()[0], batch(settings=AUGMENTATION | change)[0])
