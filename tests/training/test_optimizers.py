"""Optimizers, schedules, and the L2 gradient, each against its published definition."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.core.schema import Recipe
from tiny_imagenet.training.model import build_model
from tiny_imagenet.training.optimizers import (
    ADAM_LR_RATIO,
    WarmupCosine,
    add_l2_gradients,
    build_optimizer,
    l2_factors,
    learning_rate,
)


def build(l2: float) -> keras.Model:
    return build_model(
        "simple_cnn", image_size=12, num_classes=3, dropout=0.0, l2=l2, seed=1, filters=4, hidden_units=8
    )


def test_l2_gradients_equal_those_of_keras_losses() -> None:
    model = build(0.03)
    variables = model.trainable_variables
    rng = np.random.default_rng(0)
    for variable in variables:  # biases too, so that a gradient of theirs would show
        variable.assign(rng.normal(size=variable.shape))
    gradients = [tf.constant(rng.normal(size=variable.shape), tf.float32) for variable in variables]
    with tf.GradientTape() as tape:
        penalty = tf.add_n(model.losses)
    expected = [
        gradient if own is None else gradient + own
        for gradient, own in zip(gradients, tape.gradient(penalty, [v.value for v in variables]), strict=True)
    ]
    ours = add_l2_gradients(gradients, variables, l2_factors(model, variables))
    assert sum(not np.array_equal(a, b) for a, b in zip(ours, gradients, strict=True)) == 4
    for own, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-6, atol=1e-7)


def test_only_kernels_have_an_l2_factor() -> None:
    model = build(0.03)
    assert l2_factors(model, model.trainable_variables) == [
        pytest.approx(0.03) if variable.path.endswith("/kernel") else 0.0 for variable in model.trainable_variables
    ]
    without = build(0.0).trainable_variables
    assert l2_factors(build(0.0), without) == [0.0] * len(without)


def recipe(**changes: Any) -> Recipe:
    return Recipe(**{"optimizer": "sgd", "lr": 0.1, "epochs": 1, "batch_size": 1} | changes)


def updated(start: np.ndarray, gradients: list[np.ndarray], num_steps: int = 10, **changes: Any) -> np.ndarray:
    """Returns a kernel after one update with each of the gradients."""
    variable = keras.Variable(start, name="kernel")
    optimizer = build_optimizer(recipe(**changes), [variable], num_steps)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    return np.asarray(variable)


START = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
GRADIENTS = [np.random.default_rng(seed).normal(size=(6, 4)).astype(np.float32) for seed in (2, 3)]


def test_sgd_subtracts_the_gradients() -> None:
    np.testing.assert_allclose(updated(START, GRADIENTS), START - 0.1 * (GRADIENTS[0] + GRADIENTS[1]), rtol=1e-5)


def test_nesterov_adds_the_momentum_of_the_next_step() -> None:
    first, second = GRADIENTS
    velocity = -0.1 * first
    expected = START + 0.9 * velocity - 0.1 * first
    velocity = 0.9 * velocity - 0.1 * second
    expected = expected + 0.9 * velocity - 0.1 * second
    np.testing.assert_allclose(
        updated(START, GRADIENTS, optimizer="nesterov", momentum=0.9), expected, rtol=1e-4, atol=1e-6
    )


def test_weight_decay_is_decoupled_and_leaves_vectors_alone() -> None:
    zero = np.zeros_like(START)
    for optimizer in ("sgd", "adamw", "muon"):
        np.testing.assert_allclose(
            updated(START, [zero], optimizer=optimizer, weight_decay=0.5), START * (1 - 0.1 * 0.5), rtol=1e-5
        )
    np.testing.assert_array_equal(updated(START[0], [zero[0]], weight_decay=0.5), START[0])


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (3, 3, 2, 32), (24, 16)])
def test_the_muon_update_of_a_kernel_is_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    gradient = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    update = updated(np.zeros(shape, np.float32), [gradient], optimizer="muon", momentum=0.95) / -0.1
    matrix = update.reshape(-1, shape[-1])
    values = np.linalg.svd(matrix / (0.2 * np.sqrt(max(matrix.shape))), compute_uv=False)
    assert values.min() > 0.5  # Newton-Schulz brings all singular values near 1
    assert values.max() < 1.4
    u, _, v = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
    assert np.sum(matrix * (u @ v)) / np.linalg.norm(matrix) / np.linalg.norm(u @ v) > 0.95


def test_muon_updates_logits_and_vectors_by_adamw() -> None:
    logits = keras.Variable(START, name="kernel")
    logits._path = "logits/kernel"
    bias = keras.Variable(START[0], name="bias")
    optimizer = build_optimizer(recipe(optimizer="muon", momentum=0.95), [logits, bias], 10)
    optimizer.apply([tf.constant(GRADIENTS[0]), tf.constant(GRADIENTS[0][0])], [logits, bias])
    for variable, start, gradient in ((logits, START, GRADIENTS[0]), (bias, START[0], GRADIENTS[0][0])):
        np.testing.assert_allclose(
            np.asarray(variable), start - 0.1 * ADAM_LR_RATIO * np.sign(gradient), rtol=1e-4, atol=1e-5
        )  # Adam's first step


def test_learning_rate_schedules() -> None:
    steps = np.arange(100)

    def rates(**changes: Any) -> np.ndarray:
        rate = learning_rate(recipe(**changes), 100)
        return np.array([rate if isinstance(rate, float) else float(rate(tf.constant(step))) for step in steps])

    np.testing.assert_array_equal(rates(), 0.1)
    np.testing.assert_allclose(
        rates(schedule="one_cycle", warmup_fraction=0.25),
        0.1 * np.minimum((steps + 1) / 25, (100 - steps) / 76),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        rates(schedule="warmup_cosine"), 0.05 * (1 + np.cos(np.pi * steps / 100)), rtol=1e-4, atol=1e-8
    )
    warm = rates(schedule="warmup_cosine", warmup_fraction=0.2)
    np.testing.assert_allclose(warm[:20], 0.1 * steps[:20] / 20, rtol=1e-5)
    np.testing.assert_allclose(warm[20:], 0.05 * (1 + np.cos(np.pi * (steps[20:] - 20) / 80)), rtol=1e-4, atol=1e-8)


def test_the_cosine_with_warmup_is_keras_to_the_bit() -> None:
    arguments = {"initial_learning_rate": 0.0, "decay_steps": 80, "warmup_target": 0.1, "warmup_steps": 20}
    ours, theirs = WarmupCosine(**arguments), keras.optimizers.schedules.CosineDecay(**arguments)
    for step in range(103):
        assert float(ours(tf.constant(step))) == float(theirs(tf.constant(step))), step
