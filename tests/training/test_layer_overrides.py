"""Overridden layers compute what Keras' own compute, and leave a plain Keras model."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tiny_imagenet.training import layer_overrides
from tiny_imagenet.training.layer_overrides import (
    SEED_STRIDE,
    BatchDropout,
    override_batch_normalization,
    override_large_dense,
)


@pytest.fixture
def dropout_model() -> keras.Model:
    inputs = keras.Input((10,))
    return keras.Model(inputs, layers.Dropout(0.25)(layers.Dropout(0.5)(inputs)))


def apply_dropout(
    model: keras.Model, step: int, replica: int = 0, rows: int = 8, training: bool = True, seed: int = 3
) -> np.ndarray:
    dropout = BatchDropout(model, seed)
    dropout.set(tf.constant(step), tf.constant(replica))
    return np.asarray(model(tf.ones((rows, 10)), training=training))


def test_dropout_on_one_device_equals_tensorflows_stateless_dropout(dropout_model: keras.Model) -> None:
    expected = tf.ones((8, 10))
    for number, rate in ((2, 0.5), (3, 0.25)):  # of the layers: the input is the first
        seed = [3 + SEED_STRIDE * number, 6]
        expected = tf.nn.experimental.stateless_dropout(expected, rate, seed=seed, rng_alg="philox")
    assert np.array_equal(apply_dropout(dropout_model, 6), expected)


def test_each_replica_takes_its_rows_of_the_dropout_mask(dropout_model: keras.Model) -> None:
    halves = [apply_dropout(dropout_model, 6, replica, rows=4) for replica in (0, 1)]
    assert np.array_equal(np.concatenate(halves), apply_dropout(dropout_model, 6))


def test_dropout_masks_differ_by_step_seed_and_layer(dropout_model: keras.Model) -> None:
    first = apply_dropout(dropout_model, 6)
    assert not np.array_equal(first, apply_dropout(dropout_model, 7))
    assert not np.array_equal(first, apply_dropout(dropout_model, 6, seed=4))
    assert set(np.unique(first)) == {0.0, np.float32(8 / 3)}  # 1 / (0.5 x 0.75): neither layer repeats the other's


def test_dropout_does_nothing_outside_training(dropout_model: keras.Model) -> None:
    assert np.array_equal(apply_dropout(dropout_model, 6, training=False), np.ones((8, 10)))


def test_dropout_is_saved_as_plain_layers(dropout_model: keras.Model, tmp_path: Path) -> None:
    BatchDropout(dropout_model, 1)
    dropout_model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers[1:]] == [layers.Dropout] * 2
    assert [layer.rate for layer in loaded.layers[1:]] == [0.5, 0.25]


IMAGES = np.random.default_rng(0).normal(2.0, 3.0, (8, 5, 5, 4)).astype(np.float32)


def normalization_model(dtype: str = "float32") -> keras.Model:
    images = keras.Input((5, 5, 4))
    normalized = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, dtype=dtype)(images)
    model = keras.Model(images, layers.Activation("relu")(normalized))
    for seed, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.default_rng(seed).uniform(0.5, 2.0, variable.shape))
    return model


def normalization_step(model: keras.Model) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the outputs of a training call, then the gradients and the variables after it."""
    with tf.GradientTape() as tape:
        outputs = tf.cast(model(IMAGES, training=True), tf.float32)
        loss = tf.reduce_sum(outputs**2 * np.linspace(0.1, 1.0, outputs.shape[-1], dtype=np.float32))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return outputs.numpy(), [np.asarray(each) for each in [*gradients, *model.variables]]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_batch_normalization_equals_keras_in_training_and_in_inference(dtype: str, tolerance: float) -> None:
    plain, fused = normalization_model(), normalization_model(dtype)
    override_batch_normalization(fused, 1)
    outputs, rest = normalization_step(fused)
    expected, expected_rest = normalization_step(plain)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance * 5)
    for ours, theirs in zip(rest, expected_rest, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())
    for images in (IMAGES, IMAGES[:1]):  # inference uses the moving statistics, whatever the batch
        np.testing.assert_allclose(
            tf.cast(fused(images), tf.float32), plain(images), rtol=tolerance, atol=tolerance * 5
        )


def test_batch_normalization_that_is_not_trainable_keeps_its_statistics() -> None:
    model = normalization_model()
    model.layers[1].trainable = False
    override_batch_normalization(model, 1)
    before = [np.asarray(each) for each in model.non_trainable_variables]
    model(IMAGES, training=True)
    for variable, value in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), value)


INPUTS = np.random.default_rng(0).normal(0.0, 1.0, (6, 40)).astype(np.float32)
MIDDLE_KERNEL = 40 * 30  # weights of the middle layer of dense_model: the first layer has more, the last fewer


def dense_model(dtype: str, *, use_bias: bool = True) -> keras.Model:
    inputs = keras.Input((40,))
    x = layers.Dense(40, activation="tanh", dtype=dtype)(inputs)
    x = layers.Dense(30, activation="relu", use_bias=use_bias, dtype=dtype)(x)
    model = keras.Model(inputs, layers.Dense(3, dtype="float32")(x))
    for seed, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(0.0, 0.2, variable.shape))
    return model


def dense_step(model: keras.Model) -> list[np.ndarray]:
    @tf.function(autograph=False)
    def outputs_and_gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs = model(INPUTS, training=True)
            loss = tf.reduce_sum(outputs**2)
        return [outputs, *tape.gradient(loss, [variable.value for variable in model.trainable_variables])]

    return [np.asarray(each) for each in outputs_and_gradients()]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_gradients_of_a_large_dense_layer_equal_keras(
    monkeypatch: pytest.MonkeyPatch, dtype: str, tolerance: float, use_bias: bool
) -> None:
    monkeypatch.setattr(layer_overrides, "LARGE_KERNEL", MIDDLE_KERNEL)
    expected = dense_step(dense_model(dtype, use_bias=use_bias))
    model = dense_model(dtype, use_bias=use_bias)
    override_large_dense(model)
    assert ["call" in vars(layer) for layer in model.layers] == [False, True, True, False]
    for ours, theirs in zip(dense_step(model), expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


def test_a_large_dense_layer_is_saved_as_a_plain_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(layer_overrides, "LARGE_KERNEL", 1)
    model = dense_model("float32")
    override_large_dense(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers[1:]] == [layers.Dense] * 3
    np.testing.assert_allclose(loaded(INPUTS), model(INPUTS), rtol=1e-6)
