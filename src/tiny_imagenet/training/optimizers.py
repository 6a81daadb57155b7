"""The optimizer of a recipe, its learning-rate schedule, and the gradient of the L2 term."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule

from tiny_imagenet.core.schema import Recipe

LOGITS = "logits"  # the layer whose kernel is updated by AdamW also under Muon
ADAM_LR_RATIO = 0.3  # AdamW's learning rate as a fraction of Muon's; 0.1 and 0.3 were tried, see docs/recipes.md


def build_optimizer(recipe: Recipe, variables: Sequence[keras.Variable], num_steps: int) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a recipe and its variables.

    Weight decay is decoupled, as in Keras: each step subtracts `learning rate x weight_decay` of a kernel. Vectors
    (biases, scales and offsets of normalizations) do not decay. Averages of the weights are variables of the optimizer.

    Args:
        recipe: The recipe of the training.
        variables: The variables to train.
        num_steps: The steps of the whole training.
    """
    rate = learning_rate(recipe, num_steps)
    shared: dict[str, Any] = {"weight_decay": recipe.weight_decay or None, "use_ema": bool(recipe.ema_momentum)}
    if recipe.ema_momentum:
        shared["ema_momentum"] = recipe.ema_momentum
    if recipe.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(rate, **shared)
    elif recipe.optimizer == "muon":
        optimizer = ConvolutionMuon(
            rate,
            momentum=recipe.momentum,
            exclude_layers=[LOGITS],
            adam_lr_ratio=ADAM_LR_RATIO,
            adam_weight_decay=recipe.weight_decay or None,
            **shared,
        )
    else:
        optimizer = keras.optimizers.SGD(rate, recipe.momentum, nesterov=recipe.optimizer == "nesterov", **shared)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay([variable for variable in variables if len(variable.shape) < 2])
    optimizer.build(variables)
    return optimizer


@contextmanager
def averaged(
    optimizer: keras.optimizers.Optimizer, recipe: Recipe, variables: Sequence[keras.Variable]
) -> Iterator[None]:
    """Sets the variables to their moving averages inside the block, if the recipe has any."""
    if not recipe.ema_momentum:
        yield
        return
    kept = [np.asarray(variable).copy() for variable in variables]
    optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, value in zip(variables, kept, strict=True):
            variable.assign(value)


class ConvolutionMuon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras' Muon, also for convolution kernels, as matrices (height x width x inputs, outputs).

    Keras applies Muon to matrices only, and AdamW to the rest. The flattening, and the iteration in bfloat16, follow
    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def _should_use_adamw(self, variable: keras.Variable) -> bool:
        return len(variable.shape) != 4 and super()._should_use_adamw(variable)

    def _apply_weight_decay(self, variables: Sequence[keras.Variable]) -> None:
        keras.optimizers.Optimizer._apply_weight_decay(self, variables)  # Muon's own does not support tf.distribute

    def zeropower_via_newtonschulz5(self, x: tf.Tensor, steps: int) -> tf.Tensor:
        """Returns the nearest semi-orthogonal matrix of a gradient, in the gradient's shape, by Keras' iteration."""
        matrix = tf.cast(tf.reshape(x, (-1, x.shape[-1])), tf.bfloat16)
        return tf.cast(tf.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape), x.dtype)

    def lr_adjust(self, x: tf.Tensor) -> tf.Tensor:
        """Scales an update by Keras' rule, applied to its matrix form (Liu et al. 2025, "Muon is scalable")."""
        return x * (math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate)


class OneCycle(LearningRateSchedule):  # type: ignore[misc]
    """A learning rate that rises linearly to a peak, then falls linearly to zero.

    Source: Smith and Topin 2018, "Super-convergence".

    Args:
        peak: The highest learning rate.
        warmup_steps: The steps until the peak.
        num_steps: The steps of the whole training.
    """

    def __init__(self, peak: float, warmup_steps: int, num_steps: int) -> None:
        self.peak, self.warmup_steps, self.num_steps = peak, warmup_steps, num_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of a step, counted from 0."""
        done = tf.cast(step, tf.float32) + 1.0  # from 1, so that the first rate and the last are above zero
        up = done / max(self.warmup_steps, 1)
        down = (self.num_steps + 1.0 - done) / (self.num_steps + 1.0 - self.warmup_steps)
        return self.peak * tf.minimum(up, down)

    def get_config(self) -> dict[str, float]:
        """Returns the arguments of the constructor."""
        return {"peak": self.peak, "warmup_steps": self.warmup_steps, "num_steps": self.num_steps}


class WarmupCosine(CosineDecay):  # type: ignore[misc]
    """Keras' cosine decay with warmup, without a branch.

    Keras evaluates the schedule once for each variable, and on a GPU each branch waits for its condition on the host.
    """

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the learning rate of a step, counted from 0."""
        warmup_steps, decay_steps = float(self.warmup_steps), float(self.decay_steps)
        step = tf.minimum(tf.cast(step, tf.float32), decay_steps + warmup_steps)
        rising = self._warmup_function(step, warmup_steps, self.warmup_target, self.initial_learning_rate)
        falling = self._decay_function(step - warmup_steps, decay_steps, self.warmup_target, tf.float32)
        return tf.where(step < warmup_steps, rising, falling)


def learning_rate(recipe: Recipe, num_steps: int) -> float | LearningRateSchedule:
    """Returns the learning rate of a recipe: a constant, or a function of the step.

    Args:
        recipe: The recipe, with its `lr`, `schedule` and `warmup_fraction`.
        num_steps: The steps of the whole training.
    """
    warmup_steps = round(recipe.warmup_fraction * num_steps)
    if recipe.schedule == "one_cycle":
        return OneCycle(recipe.lr, warmup_steps, num_steps)
    if recipe.schedule == "warmup_cosine":
        if not warmup_steps:
            return CosineDecay(recipe.lr, num_steps)
        return WarmupCosine(0.0, num_steps - warmup_steps, warmup_target=recipe.lr, warmup_steps=warmup_steps)
    return recipe.lr


def l2_factors(model: keras.Model, variables: Sequence[keras.Variable]) -> list[float]:
    """Returns the L2 factor of each variable; 0 for one without L2."""
    factors = {
        id(layer.kernel): float(layer.kernel_regularizer.l2)
        for layer in model.layers
        if isinstance(getattr(layer, "kernel_regularizer", None), keras.regularizers.L2)
    }
    return [factors.get(id(variable), 0.0) for variable in variables]


def add_l2_gradients(
    gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable], factors: Sequence[float]
) -> list[tf.Tensor]:
    """Adds the gradients of `factor x sum of squares`, without computing that term itself."""
    return [
        gradient + 2.0 * factor * variable if factor else gradient
        for gradient, variable, factor in zip(gradients, variables, factors, strict=True)
    ]
