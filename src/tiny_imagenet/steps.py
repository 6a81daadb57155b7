"""Training steps as one compiled function, on all of a strategy's devices, many to a launch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tiny_imagenet.dropout import BatchDropout
from tiny_imagenet.evaluation import TOP_K
from tiny_imagenet.feeding import Group
from tiny_imagenet.input_pipeline import make_batch
from tiny_imagenet.optimization import add_l2_gradients, l2_factors

SUMS = ("loss", "top_1_accuracy", "top_5_accuracy")


class Steps:
    """The steps of one training: everything in a step is a function of (seed, step) and of the variables.

    Args:
        model: Built under `strategy`; from images (batch, height, width, 3), 0 to 255, to logits (batch, classes).
        optimizer: Built under `strategy`, for the model's trainable variables.
        strategy: The devices.
        seed: Of augmentation and dropout.
        batch_size: Images a step, on all replicas together.
        steps_per_epoch: Steps an epoch.
        augmentation: The recipe's keys.
        xla: Whether XLA compiles what a replica computes, from the images to the gradients.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        *,
        seed: int,
        batch_size: int,
        steps_per_epoch: int,
        augmentation: Mapping[str, Any],
        xla: bool,
    ) -> None:
        self.model, self.optimizer, self.strategy = model, optimizer, strategy
        self.seed, self.batch_size, self.augmentation = seed, batch_size, augmentation
        self.steps_per_epoch = steps_per_epoch
        self.dropout = BatchDropout(model, seed)
        self.gradients = tf.function(self._gradients, jit_compile=True) if xla else self._gradients
        self.launch = tf.function(self._launch, reduce_retracing=True)

    def __call__(self, first: int, count: int, group: Group) -> tf.Tensor:
        """Takes `count` steps from step `first` on; returns their sums over the batch, float32 (count, len(SUMS))."""
        return self.launch(tf.constant(first), tf.constant(count), group)

    def _launch(self, first: tf.Tensor, count: tf.Tensor, group: Group) -> tf.Tensor:
        sums = tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            chosen = tf.slice(group.order, [group.start + i * self.batch_size], [self.batch_size])
            replicas = self.strategy.run(self._step, args=(first + i, group.images, group.labels, chosen))
            sums = sums.write(i, self.strategy.reduce("SUM", replicas, axis=None))
        return sums.stack()

    def _step(self, step: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
        part = tf.distribute.get_replica_context().replica_id_in_sync_group
        gradients, sums = self.gradients(step, tf.convert_to_tensor(part), images, labels, chosen)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return sums

    def _gradients(
        self, step: tf.Tensor, part: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, chosen: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns one replica's part of the gradients, to be added up, and its sums (len(SUMS),)."""
        num_parts = self.strategy.num_replicas_in_sync
        batch, labels, *_ = make_batch(
            images,
            labels,
            chosen,
            seed=self.seed,
            step=step,
            epoch=step // self.steps_per_epoch,
            part=part,
            num_parts=num_parts,
            settings=self.augmentation,
        )
        self.dropout.set(step, part)
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(batch, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(losses) / self.batch_size
        factors = [factor / num_parts for factor in l2_factors(self.model)]
        gradients = add_l2_gradients(tape.gradient(loss, variables), variables, factors)
        hits = [tf.math.in_top_k(labels, logits, k) for k in (1, TOP_K)]
        return gradients, tf.stack([tf.reduce_sum(losses), *(tf.reduce_sum(tf.cast(hit, tf.float32)) for hit in hits)])
