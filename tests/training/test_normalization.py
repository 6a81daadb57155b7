import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tiny_imagenet.training.normalization import take_over_batch_normalization

IMAGES = np.random.default_rng(0).normal(2.0, 3.0, (8, 5, 5, 4)).astype(np.float32)


def make_model(dtype: str = "float32") -> keras.Model:
    images = keras.Input((5, 5, 4))
    normalized = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, dtype=dtype)(images)
    model = keras.Model(images, layers.Activation("relu")(normalized))
    for seed, variable in enumerate(model.trainable_variables):
        variable.assign(np.random.default_rng(seed).uniform(0.5, 2.0, variable.shape))
    return model


def train_once(model: keras.Model) -> tuple[np.ndarray, list[np.ndarray]]:
    with tf.GradientTape() as tape:
        outputs = tf.cast(model(IMAGES, training=True), tf.float32)
        loss = tf.reduce_sum(outputs**2 * np.linspace(0.1, 1.0, outputs.shape[-1], dtype=np.float32))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return outputs.numpy(), [np.asarray(each) for each in [*gradients, *model.variables]]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
def test_equals_keras_own_in_training_and_after(dtype: str, tolerance: float) -> None:
    keras_own, fused = make_model(), make_model(dtype)
    take_over_batch_normalization(fused, 1)
    outputs, rest = train_once(fused)
    expected, expected_rest = train_once(keras_own)
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance * 5)
    for mine, theirs in zip(rest, expected_rest, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())
    for images in (IMAGES, IMAGES[:1]):  # outside training: by the running statistics, whatever the batch
        np.testing.assert_allclose(
            tf.cast(fused(images), tf.float32), keras_own(images), rtol=tolerance, atol=tolerance * 5
        )


def test_what_is_not_trained_keeps_its_statistics() -> None:
    model = make_model()
    model.layers[1].trainable = False
    take_over_batch_normalization(model, 1)
    before = [np.asarray(each) for each in model.non_trainable_variables]
    model(IMAGES, training=True)
    for mine, old in zip(model.non_trainable_variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), old)
