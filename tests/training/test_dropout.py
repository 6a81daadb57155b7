"""The masks: those of Keras on one device, and the same on several."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.training.dropout import BatchDropout


@pytest.fixture
def model() -> keras.Model:
    images = keras.Input((10,))
    return keras.Model(images, keras.layers.Dropout(0.25)(keras.layers.Dropout(0.5)(images)))


def dropped(model: keras.Model, step: int, part: int = 0, rows: int = 8, training: bool = True, seed: int = 3) -> Any:
    masks = BatchDropout(model, seed)
    masks.set(tf.constant(step), tf.constant(part))
    return np.asarray(model(tf.ones((rows, 10)), training=training))


def test_on_one_device_it_is_tensorflows_own(model: keras.Model) -> None:
    once = tf.nn.experimental.stateless_dropout(tf.ones((8, 10)), 0.5, seed=[3 + 7919 * 2, 6], rng_alg="philox")
    twice = tf.nn.experimental.stateless_dropout(once, 0.25, seed=[3 + 7919 * 3, 6], rng_alg="philox")
    assert np.array_equal(dropped(model, 6), twice)


def test_a_replica_has_its_rows(model: keras.Model) -> None:
    halves = [dropped(model, 6, part, 4) for part in (0, 1)]
    assert np.array_equal(np.concatenate(halves), dropped(model, 6))


def test_masks_differ_by_step_seed_and_layer(model: keras.Model) -> None:
    first = dropped(model, 6)
    assert not np.array_equal(first, dropped(model, 7))
    assert not np.array_equal(first, dropped(model, 6, seed=4))
    assert set(np.unique(first)) == {0.0, np.float32(2.0), np.float32(8 / 3)} - {np.float32(2.0)}


def test_outside_training_nothing_is_dropped(model: keras.Model) -> None:
    assert np.array_equal(dropped(model, 6, training=False), np.ones((8, 10)))


def test_the_saved_model_has_plain_layers(model: keras.Model, tmp_path: Any) -> None:
    BatchDropout(model, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers[1:]] == [keras.layers.Dropout] * 2
    assert [layer.rate for layer in loaded.layers[1:]] == [0.5, 0.25]
