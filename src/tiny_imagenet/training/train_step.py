"""The compiled train step: batch, forward pass, gradients and the optimizer's update, on all devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import keras
import tensorflow as tf

from tiny_imagenet.augmentation.batch import Batch, Images, Selection, StepKey, make_batch
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.scoring.metrics import STEP_METRICS
from tiny_imagenet.training.batch_source import Batches
from tiny_imagenet.training.epoch_schedule import EpochSettings
from tiny_imagenet.training.layer_overrides import BatchDropout, override_batch_normalization, override_large_dense
from tiny_imagenet.training.model import head_variables
from tiny_imagenet.training.optimizers import add_l2_gradients, l2_factors


class TrainStep:
    """The train step of one training: a function of (seed, step) and of the variables.

    Args:
        model: Built under `strategy`; from images (batch, height, width, 3), 0 to 255, to logits (batch, classes).
        optimizer: Built under `strategy`, for the model's trainable variables.
        strategy: The devices.
        settings: The settings of the training.
        steps_per_epoch: The steps of one epoch.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        strategy: tf.distribute.Strategy,
        settings: ModelSettings,
        steps_per_epoch: int,
    ) -> None:
        self.model, self.optimizer, self.strategy, self.settings = model, optimizer, strategy, settings
        self.steps_per_epoch = steps_per_epoch
        self.dropout = BatchDropout(model, settings.seed)
        override_batch_normalization(model, strategy.num_replicas_in_sync)
        override_large_dense(model)
        self.compiled: dict[EpochSettings, tf.types.experimental.GenericFunction] = {}

    def __call__(self, first: int, count: int, batches: Batches, epoch: EpochSettings) -> tf.Tensor:
        """Takes `count` steps, starting with step `first`.

        Returns:
            The sums of STEP_METRICS over the batch of each step, float32 (count, metrics).
        """
        return self.function(epoch)(tf.constant(first), tf.constant(count), batches)

    def function(self, epoch: EpochSettings) -> tf.types.experimental.GenericFunction:
        """Returns the function of the first step, the number of steps and their batches in epochs of these settings."""
        if epoch not in self.compiled:
            gradients = partial(self._gradients, epoch)
            one_program = self.settings.xla and compiles_whole_step(self.strategy)
            if self.settings.xla and not one_program:
                gradients = tf.function(gradients, jit_compile=True, autograph=False)
            step = partial(self._on_all_replicas, partial(self._step, gradients, self._variables(epoch)))
            if one_program:
                step = tf.function(step, jit_compile=True, autograph=False)
            step = tf.autograph.experimental.do_not_convert(step)  # the loop alone is Python to be converted
            self.compiled[epoch] = tf.function(partial(self._loop, step), reduce_retracing=True)
        return self.compiled[epoch]

    def _variables(self, epoch: EpochSettings) -> list[keras.Variable]:
        return head_variables(self.model) if epoch.frozen else self.model.trainable_variables

    def _loop(self, step: Callable[..., tf.Tensor], first: tf.Tensor, count: tf.Tensor, batches: Batches) -> tf.Tensor:
        sums = tf.TensorArray(tf.float32, count)
        batch_size = self.settings.batch_size
        for i in tf.range(count):
            start = [batches.offset + i * batch_size]
            selection = Selection(*(tf.slice(each, start, [batch_size]) for each in batches.selection))
            sums = sums.write(i, step(first + i, batches.source, selection))
        return sums.stack()

    def _on_all_replicas(self, step: Callable[..., tf.Tensor], *arguments: object) -> tf.Tensor:
        return self.strategy.reduce("SUM", self.strategy.run(step, args=arguments), axis=None)

    def _step(
        self,
        gradients: Callable[..., tuple[list[tf.Tensor], tf.Tensor]],
        variables: list[keras.Variable],
        step: tf.Tensor,
        source: Images,
        selection: Selection,
    ) -> tf.Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        parts, sums = gradients(step, tf.convert_to_tensor(replica), source, selection)
        self.optimizer.apply(parts, variables)
        return sums

    def _gradients(
        self, epoch: EpochSettings, step: tf.Tensor, replica: tf.Tensor, source: Images, selection: Selection
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Returns one replica's part of the gradients, to be summed, and of the sums of STEP_METRICS (metrics,)."""
        settings, num_replicas = self.settings, self.strategy.num_replicas_in_sync
        key = StepKey(settings.seed, step, step // self.steps_per_epoch, replica, num_replicas)
        batch = make_batch(source, selection, key, settings.augmentation, epoch.image_size)
        self.dropout.set(step, replica)
        variables = self._variables(epoch)
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model(batch.images, training=True), tf.float32)
            losses = cross_entropy(logits, batch)
            loss = tf.reduce_sum(smoothed(losses, logits, settings.label_smoothing)) / settings.batch_size
        factors = [factor / num_replicas for factor in l2_factors(self.model, variables)]
        gradients = add_l2_gradients(tape.gradient(loss, variables), variables, factors)
        labels = batch.labels if batch.lam is None else tf.where(batch.lam < 0.5, batch.mixed_labels, batch.labels)
        hits = [tf.math.in_top_k(labels, logits, metric.k) for metric in STEP_METRICS if metric.k]
        return gradients, tf.stack([tf.reduce_sum(losses), *(tf.reduce_sum(tf.cast(hit, tf.float32)) for hit in hits)])


def compiles_whole_step(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether `xla` compiles the whole step, with the optimizer's update, into one program.

    Otherwise it compiles the gradients only: XLA cannot sum over replicas here, and on a CPU the one program gains
    nothing and rounds differently.
    """
    return strategy.num_replicas_in_sync == 1 and bool(tf.config.get_visible_devices("GPU"))


def cross_entropy(logits: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Returns the cross-entropy of each image (batch,); for a mixed image, the weighted sum for both labels."""
    own = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.labels, logits)
    if batch.lam is None:
        return own
    others = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.mixed_labels, logits)
    return batch.lam * own + (1.0 - batch.lam) * others


def smoothed(losses: tf.Tensor, logits: tf.Tensor, smoothing: float) -> tf.Tensor:
    """Returns the cross-entropy (batch,) with label smoothing: a fraction of each target is spread over all classes.

    Source: Szegedy et al. 2016, "Rethinking the Inception architecture", section 7.
    """
    if not smoothing:
        return losses
    even = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=1)
    return (1.0 - smoothing) * losses + smoothing * even


@contextmanager
def device_errors(batch_size: int) -> Iterator[None]:
    """Raises a PipelineError if a device runs out of memory or has no deterministic kernel for an operation."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise PipelineError("batch_size", f"{batch_size} images do not fit into memory", "lower it") from None
    except tf.errors.UnimplementedError as error:
        if "determinis" not in str(error):
            raise
        what = "TensorFlow has no deterministic kernel for an operation of this model on this device"
        raise PipelineError("training.deterministic", what, "set it to false, or `xla` of the recipe") from None
