import keras
import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.models import build_model
from tiny_imagenet.optimization import add_l2_gradients, build_optimizer, l2_factors


def build(l2: float) -> keras.Model:
    return build_model(
        "simple_cnn", image_size=12, num_classes=3, dropout=0.0, l2=l2, seed=1, filters=4, hidden_units=8
    )


def test_l2_gradients_are_those_of_the_models_losses() -> None:
    model = build(0.03)
    variables = model.trainable_variables
    rng = np.random.default_rng(0)
    for variable in variables:  # biases, too, are not zero: their gradient must be
        variable.assign(rng.normal(size=variable.shape))
    gradients = [tf.constant(rng.normal(size=variable.shape), tf.float32) for variable in variables]
    with tf.GradientTape() as tape:
        penalty = tf.add_n(model.losses)
    expected = [
        gradient if own is None else gradient + own
        for gradient, own in zip(gradients, tape.gradient(penalty, [v.value for v in variables]), strict=True)
    ]
    ours = add_l2_gradients(gradients, variables, l2_factors(model))
    assert sum(not np.array_equal(a, b) for a, b in zip(ours, gradients, strict=True)) == 4
    for mine, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-7)


def test_factors_are_on_kernels_only() -> None:
    model = build(0.03)
    assert l2_factors(model) == [
        pytest.approx(0.03) if variable.path.endswith("/kernel") else 0.0 for variable in model.trainable_variables
    ]
    assert l2_factors(build(0.0)) == [0.0] * len(model.trainable_variables)


def test_sgd_is_plain() -> None:
    variable = keras.Variable([1.0, 2.0])
    optimizer = build_optimizer("sgd", 0.1)
    optimizer.build([variable])
    for _ in range(2):  # no momentum: the second step is as long as the first
        before = np.asarray(variable)
        optimizer.apply([tf.constant([1.0, -1.0])], [variable])
        np.testing.assert_allclose(np.asarray(variable) - before, [-0.1, 0.1], rtol=1e-5)
