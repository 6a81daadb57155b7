"""Training steps as one compiled function, on all of a strategy's devices, many to a launch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import keras
import tensorflow as tf

from tiny_imagenet.errors import PipelineError
from tiny_imagenet.evaluation.metrics import TOP_K
from tiny_imagenet.models import head_variables
from tiny_imagenet.schema import Recipe
from tiny_imagenet.training.dense import take_over_large_dense
from tiny_imagenet.training.dropout import BatchDropout
from tiny_imagenet.training.feeding import Group
from tiny_imagenet.training.input_pipeline import Batch, make_batch
from tiny_imagenet.training.normalization import take_over_batch_normalization
from tiny_imagenet.training.optimization import add_l2_gradients, clip_by_global_norm, l2_factors
from tiny_imagenet.training.phases import Phase

SUMS = ("loss", "top_1_accuracy", "top_5_accuracy")


class Steps:
    """The steps of one training: everything in a step is a function of (seed, step) and of the variables.

    Args:
        model: Built under `strategy`; from images (batch, height, width, 3), 0 to 255, to logits (batch, classes).
        optimizer: Built under `strategy`, for the model's trainable variables.
        strategy: The devices.
        recipe: How the model is trained.
        seed: Of augmentation and dropout.
        steps_per_epoch: Steps that make an epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        recipe: Recipe,
        *,
        seed: int,
        steps_per_epoch: int,
    ) -> None:
        self.model, self.optimizer, self.strategy, self.recipe = model, optimizer, strategy, recipe
        self.seed, self.steps_per_epoch = seed, steps_per_epoch
        self.augmentation = dataclasses.asdict(recipe.augmentation)
        self.dropout = BatchDropout(model, seed)
        take_over_batch_normalization(model, strategy.num_replicas_in_sync)
        take_over_large_dense(model)
        self.launches: dict[Phase, tf.types.experimental.GenericFunction] = {}

    def __call__(self, first: int, count: int, group: Group, phase: Phase) -> tf.Tensor:
        """Takes `count` steps from step `first` on; returns their sums over the batch, float32 (count, len(SUMS))."""
        if phase not in self.launches:
            gradients = partial(self._gradients, phase)
            compiled = tf.function(gradients, jit_compile=True) if self.recipe.xla else gradients
            step = partial(self._step, compiled, self._variables(phase))
            self.launches[phase] = tf.function(partial(self._launch, step), reduce_retracing=True)
        return self.launches[phase](tf.constant(first), tf.constant(count), group)

    def _variables(self, phase: Phase) -> list[keras.Variable]:
        return head_variables(self.model) if phase.frozen else self.model.trainable_variables

    def _launch(self, take: Callable[..., tf.Tensor], first: tf.Tensor, count: tf.Tensor, group: Group) -> tf.Tensor:
        sums = tf.TensorArray(tf.float32, count)
        batch_size = self.recipe.batch_size
        for i in tf.range(count):
            start = [group.start + i * batch_size]
            chosen, numbers = (tf.slice(each, start, [batch_size]) for each in (group.order, group.numbers))
            replicas = self.strategy.run(take, args=(first + i, group.images, group.labels, chosen, numbers))
            sums = sums.write(i, self.strategy.reduce("SUM", replicas, axis=None))
        return sums.stack()

    def _step(
        self,
        gradients: Callable[..., tuple[list[tf.Tensor], tf.Tensor]],
        variables: list[keras.Variable],
        step: tf.Tensor,
        *images: tf.Tensor,
    ) -> tf.Tensor:
        part = tf.distribute.get_replica_context().replica_id_in_sync_group
        parts, sums = gradients(step, tf.convert_to_tensor(part), *images)
        if self.recipe.clip_norm is not None:
            parts = clip_by_global_norm(parts, self.recipe.clip_norm)
        self.optimizer.apply(parts, variables)
        return sums

    def _gradients(
        self,
        phase: Phase,
        step: tf.Tensor,
        part: tf.Tensor,
        images: tf.Tensor,
        labels: tf.Tensor,
        chosen: tf.Tensor,
        numbers: tf.Tensor,
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns one replica's part of the gradients, to be added up, and its sums (len(SUMS),)."""
        num_parts = self.strategy.num_replicas_in_sync
        batch = make_batch(
            images,
            labels,
            chosen,
            seed=self.seed,
            step=step,
            epoch=step // self.steps_per_epoch,
            part=part,
            num_parts=num_parts,
            settings=self.augmentation,
            image_size=phase.image_size,
            numbers=numbers,
        )
        self.dropout.set(step, part)
        variables = self._variables(phase)
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(batch.images, training=True), tf.float32)
            losses = cross_entropy(logits, batch)
            loss = tf.reduce_sum(smoothed(losses, logits, self.recipe.label_smoothing)) / self.recipe.batch_size
        factors = [factor / num_parts for factor in l2_factors(self.model, variables)]
        gradients = add_l2_gradients(tape.gradient(loss, variables), variables, factors)
        labels = batch.labels if batch.share is None else tf.where(batch.share < 0.5, batch.partners, batch.labels)
        hits = [tf.math.in_top_k(labels, logits, k) for k in (1, TOP_K)]
        return gradients, tf.stack([tf.reduce_sum(losses), *(tf.reduce_sum(tf.cast(hit, tf.float32)) for hit in hits)])


def cross_entropy(logits: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Returns each image's cross-entropy (batch,): of a mixed image, that of both labels by their shares."""
    own = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.labels, logits)
    if batch.share is None:
        return own
    partners = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.partners, logits)
    return batch.share * own + (1.0 - batch.share) * partners


def smoothed(losses: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Returns the cross-entropy (batch,) with a fraction of each target spread evenly over all classes.

    Label smoothing of Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.
    """
    if not smoothing:
        return losses
    even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
    return (1.0 - smoothing) * losses + smoothing * even


@contextmanager
def device_errors(batch_size: int) -> Iterator[None]:
    """Raises a PipelineError where a device has too little memory for a step, or no deterministic way to take it."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise PipelineError("batch_size", f"{batch_size} images do not fit into memory", "lower it") from None
    except tf.errors.UnimplementedError as error:
        if "determinis" not in str(error):
            raise
        what = "TensorFlow has no deterministic way to compute something in this model on this device"
        raise PipelineError("training.deterministic", what, "set it to false, or `xla` of the recipe") from None
