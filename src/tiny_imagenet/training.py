"""The training loop, on tf.distribute: the same on one device and on several, exact to the bit when resumed.

Everything that happens in a step is a function of (seed, step) and of the state that a checkpoint holds: the weights,
the optimiser's variables, the sums over the running epoch and the history of those before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tiny_imagenet.checkpoint import CheckpointStore
from tiny_imagenet.decoding import Images
from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.evaluation import TOP_K, l2_term, require_finite, score
from tiny_imagenet.inference import make_predictor
from tiny_imagenet.input_pipeline import epoch_order, make_batch
from tiny_imagenet.lifecycle import Stopped
from tiny_imagenet.optimization import add_l2_gradients, build_optimizer, l2_factors

LAUNCH_SECONDS = 0.5  # steps are launched in groups of about this long: between groups the loop listens and saves
SUMS = ("loss", "top_1_accuracy", "top_5_accuracy")

Row = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know of a recipe; `augmentation` as the recipe's keys."""

    seed: int
    optimizer: str
    lr: float
    epochs: int
    batch_size: int
    eval_batch_size: int
    augmentation: Mapping[str, Any]
    checkpoint_seconds: float


@dataclass
class Progress:
    """How far a training has come: all of the state that is not in variables."""

    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * len(SUMS))
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)


class Trainer:
    """Trains a model.

    Args:
        model: Built under `strategy`; from images (batch, height, width, 3), 0 to 255, to logits (batch, classes).
        strategy: The devices.
        train_images: What it is trained on.
        val_images: What it is scored on after each epoch.
        settings: The recipe.
        store: Where checkpoints go.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        train_images: Images,
        val_images: Images,
        settings: Settings,
        store: CheckpointStore,
    ) -> None:
        self.model, self.strategy, self.settings, self.store = model, strategy, settings, store
        self.val_images = val_images
        self.steps_per_epoch = len(train_images.labels) // settings.batch_size
        if not self.steps_per_epoch:
            raise InputError(
                "batch_size", f"{settings.batch_size} is more than the {len(train_images.labels)} images", "lower it"
            )
        if settings.batch_size % strategy.num_replicas_in_sync:
            raise InputError(
                "batch_size", f"cannot be shared by {strategy.num_replicas_in_sync} devices", "use a multiple of them"
            )
        with strategy.scope():
            self.optimizer = build_optimizer(settings.optimizer, settings.lr)
            self.optimizer.build(model.trainable_variables)
        self.progress = Progress()
        self.images, self.labels = tf.convert_to_tensor(train_images.images), tf.convert_to_tensor(train_images.labels)
        self.order = tf.Variable(tf.zeros(len(train_images.labels), tf.int32))
        self.launch = tf.function(self._launch)
        self.predict = make_predictor(model, settings.eval_batch_size)
        self.saved_at = time.monotonic()

    def restore(self) -> Mapping[str, Any] | None:
        """Goes back to the last checkpoint, if there is one; returns what was saved `about` it."""
        found = self.store.load()
        if not found:
            return None
        arrays, about = found
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"variable_{i}"])
        self.progress = Progress(**about["progress"])
        return about

    def run(
        self,
        about: Mapping[str, Any],
        *,
        on_epoch: Sequence[Callable[[Row], object]],
        on_steps: Callable[[int], object],
        stop: Callable[[], bool],
    ) -> list[Row]:
        """Trains to the end.

        Args:
            about: Saved with each checkpoint.
            on_epoch: Each called with each epoch's metrics, after they are saved.
            on_steps: Called with the number of steps just taken.
            stop: Asked between steps.

        Returns:
            The metrics of each epoch.

        Raises:
            Stopped: When `stop` said so; the state is saved.
            PipelineError: The loss is not finite, or the device's memory is too small.
        """
        while len(self.progress.history) < self.settings.epochs:
            self._finish_epoch_steps(about, on_steps, stop)
            self.progress.history.append(self._epoch_metrics(lambda: self._end_if(stop, about)))
            self.progress.sums, self.progress.seconds = [0.0] * len(SUMS), 0.0
            self._save(about)
            for call in on_epoch:
                call(self.progress.history[-1])
        return self.progress.history

    def _finish_epoch_steps(
        self, about: Mapping[str, Any], on_steps: Callable[[int], object], stop: Callable[[], bool]
    ) -> None:
        progress, epoch = self.progress, len(self.progress.history)
        end = (epoch + 1) * self.steps_per_epoch
        self.order.assign(epoch_order(self.settings.seed, epoch, self.order.shape[0]))
        group = 1
        while progress.step < end:
            count = min(group, end - progress.step)
            began = time.monotonic()
            self._take_steps(count)
            took = time.monotonic() - began
            progress.seconds += took
            on_steps(count)
            group = max(1, min(2 * count, int(LAUNCH_SECONDS * count / took)))
            self._end_if(stop, about)
            if time.monotonic() - self.saved_at > self.settings.checkpoint_seconds:
                self._save(about)

    def _end_if(self, stop: Callable[[], bool], about: Mapping[str, Any]) -> None:
        if stop():
            self._save(about)
            raise Stopped(f"stopped at step {self.progress.step}, which is saved; the next run goes on from there")

    def _take_steps(self, count: int) -> None:
        try:
            sums = self.launch(tf.constant(self.progress.step), tf.constant(count)).numpy().astype(np.float64)
        except tf.errors.ResourceExhaustedError:
            batch_size = self.settings.batch_size
            raise PipelineError("batch_size", f"{batch_size} images do not fit into memory", "lower it") from None
        finite = np.isfinite(sums[:, 0])
        if not finite.all():
            step = self.progress.step + int(np.argmin(finite))
            raise PipelineError(
                "lr", f"the loss is not finite at step {step} with lr {self.settings.lr:g}", "lower `lr`"
            )
        for row in sums:  # one by one: the sums do not depend on how steps were grouped
            self.progress.sums = [total + float(value) for total, value in zip(self.progress.sums, row, strict=True)]
        self.progress.step += count

    def _launch(self, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Runs `count` steps from step `first` on; returns their sums over the batch, float32 (count, len(SUMS))."""
        sums = tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            replicas = self.strategy.run(self._step, args=(first + i,))
            sums = sums.write(i, self.strategy.reduce("SUM", replicas, axis=None))
        return sums.stack()

    def _step(self, step: tf.Tensor) -> tf.Tensor:
        settings, replica = self.settings, tf.distribute.get_replica_context()
        part, num_parts = replica.replica_id_in_sync_group, self.strategy.num_replicas_in_sync
        at = step % self.steps_per_epoch * settings.batch_size
        images, labels = make_batch(
            self.images,
            self.labels,
            tf.slice(self.order, [at], [settings.batch_size]),
            seed=settings.seed,
            step=step,
            part=part,
            num_parts=num_parts,
            settings=settings.augmentation,
        )
        self._seed_dropout(step * num_parts + part)
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(losses) / settings.batch_size
        variables = self.model.trainable_variables
        factors = [factor / num_parts for factor in l2_factors(self.model)]
        self.optimizer.apply(add_l2_gradients(tape.gradient(loss, variables), variables, factors), variables)
        hits = [tf.math.in_top_k(labels, logits, k) for k in (1, TOP_K)]
        return tf.stack([tf.reduce_sum(losses), *(tf.reduce_sum(tf.cast(hit, tf.float32)) for hit in hits)])

    def _seed_dropout(self, step: tf.Tensor) -> None:
        """Makes each dropout layer's next mask a function of the seed, the layer and the step."""
        for i, layer in enumerate(self.model.layers):
            if isinstance(layer, keras.layers.Dropout):
                state = layer.seed_generator.state
                state.assign(tf.cast(tf.stack([self.settings.seed + 7919 * (i + 1), step]), state.dtype))

    def _epoch_metrics(self, between: Callable[[], None]) -> Row:
        progress, count = self.progress, self.steps_per_epoch * self.settings.batch_size
        penalty = l2_term(self.model)
        row: Row = {"epoch": len(progress.history) + 1, "lr": self.settings.lr}
        train = {name: total / count for name, total in zip(SUMS, progress.sums, strict=True)}
        logits = self.predict(self.val_images.images, between)
        for prefix, metrics in (("", train), ("val_", score(logits, self.val_images.labels))):
            metrics = {"loss": metrics["loss"], "objective": metrics["loss"] + penalty, **metrics}
            row |= {prefix + name: value for name, value in metrics.items()}
        require_finite(row, f"epoch {row['epoch']} with lr {self.settings.lr:g}")
        return row | {"seconds": progress.seconds, "images_per_second": count / progress.seconds}

    def _save(self, about: Mapping[str, Any]) -> None:
        arrays = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        self.store.save(arrays, {**about, "progress": vars(self.progress)})
        self.saved_at = time.monotonic()

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]
