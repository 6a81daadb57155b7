"""Layer overrides: Keras layers whose computation is replaced in training; their configuration is unchanged.

- `Dropout`: masks are a function of (seed, layer, step) and of the image's position in the batch. Keras uses a seed
  generator with a separate state in each replica, so a run on more devices would have other masks.
- `BatchNormalization`: TensorFlow's fused operation. Keras composes it of many small float32 operations, which take
  seven times as long in bfloat16 on a CPU.
- `Dense` with a large kernel: the input gradient is computed as (W dy^T)^T, which oneDNN runs in 0.6 of the time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import partial

import keras
import tensorflow as tf

from tiny_imagenet.augmentation.rng import uniform

LARGE_KERNEL = 1 << 24  # smallest number of weights for which (W dy^T)^T is used
SEED_STRIDE = 7919  # between the seeds of neighboring layers


class BatchDropout:
    """Replaces the dropout masks of a model: each replica uses its rows of one mask for the whole batch.

    Args:
        model: The model; outside training its `keras.layers.Dropout` layers still do nothing.
        seed: The seed of the training.
    """

    def __init__(self, model: keras.Model, seed: int) -> None:
        self._now = threading.local()  # each replica traces the model in its own thread
        self.set(tf.constant(0), tf.constant(0))
        for number, layer in enumerate(model.layers, 1):
            if isinstance(layer, keras.layers.Dropout):
                layer.call = partial(self._drop, layer.rate, seed + SEED_STRIDE * number)

    def set(self, step: tf.Tensor, replica: tf.Tensor) -> None:
        """Sets the step and the replica of the next masks."""
        self._now.step, self._now.replica = step, replica

    def _drop(self, rate: float, seed: int, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or not rate:
            return inputs
        first = self._now.replica * math.prod(inputs.shape)
        kept = uniform(tf.stack([seed, self._now.step]), inputs.shape, first) >= rate
        return tf.where(kept, inputs * (1.0 / (1.0 - rate)), tf.zeros_like(inputs))


def override_batch_normalization(model: keras.Model, num_replicas: int) -> None:
    """Makes the batch-normalization layers of a model use the statistics of the whole batch.

    Args:
        model: The model; layers of a nested model (a backbone) are not changed.
        num_replicas: 1: TensorFlow's fused operation. More: Keras' own, synchronized over the replicas.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            if num_replicas > 1:
                layer.synchronized = True
            elif layer.axis in (-1, 3) and layer.scale and layer.center:
                layer.call = partial(_normalize, layer, layer.call)


def _normalize(
    layer: keras.layers.BatchNormalization,
    inference: Callable[..., tf.Tensor],
    inputs: tf.Tensor,
    training: bool = False,
    mask: None = None,
) -> tf.Tensor:
    if not training or not layer.trainable:
        return inference(inputs, training=False)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs,
        scale=layer.gamma,
        offset=layer.beta,
        mean=[],
        variance=[],
        epsilon=layer.epsilon,
        is_training=True,
    )
    count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
    variance *= (count - 1.0) / count  # TensorFlow applies Bessel's correction, Keras does not
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + new * (1.0 - layer.momentum))
    return outputs


def override_large_dense(model: keras.Model) -> None:
    """Makes dense layers with at least LARGE_KERNEL weights compute their input gradient as (W dy^T)^T.

    The same products are summed, possibly in another order.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense) and layer.kernel.shape[0] * layer.kernel.shape[1] >= LARGE_KERNEL:
            layer.call = partial(_dense, layer)


def _dense(layer: keras.layers.Dense, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
    outputs = _product(inputs, tf.convert_to_tensor(layer.kernel))
    return layer.activation(outputs + layer.bias if layer.use_bias else outputs)


@tf.custom_gradient
def _product(
    inputs: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_inputs = tf.transpose(tf.matmul(kernel, tf.transpose(upstream)))
        return of_inputs, tf.matmul(inputs, upstream, transpose_a=True)

    return tf.matmul(inputs, kernel), gradients
