"""How the weights move: the optimiser, and the L2 term's part of the gradient."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


def build_optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """Builds the optimiser of that name.

    Args:
        name: "sgd": plain stochastic gradient descent.
        learning_rate: Its step size.
    """
    return {"sgd": keras.optimizers.SGD}[name](learning_rate)


def l2_factors(model: keras.Model) -> list[float]:
    """Returns for each trainable variable the factor of its L2 penalty (0 where it has none)."""
    factors = {
        id(layer.kernel): float(layer.kernel_regularizer.l2)
        for layer in model.layers
        if isinstance(getattr(layer, "kernel_regularizer", None), keras.regularizers.L2)
    }
    return [factors.get(id(variable), 0.0) for variable in model.trainable_variables]


def add_l2_gradients(
    gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable], factors: Sequence[float]
) -> list[tf.Tensor]:
    """Adds the gradient of `factor x sum of squares`: the term itself need not be computed in each step."""
    return [
        gradient + 2.0 * factor * variable if factor else gradient
        for gradient, variable, factor in zip(gradients, variables, factors, strict=True)
    ]
