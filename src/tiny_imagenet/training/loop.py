"""The training loop on tf.distribute: one loop for one device and for several, resumed bit for bit.

A step is a function of (seed, step) and of the state in a checkpoint: the weights, the optimizer's variables, the sums
of the metrics over the current epoch, and the history of the finished epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.process import Stopped
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.distribute import cluster
from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.scoring.metrics import STEP_METRICS, regularization_loss, require_finite, score
from tiny_imagenet.scoring.predictor import make_predictor
from tiny_imagenet.training.batch_source import epoch_order, make_batch_source
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.debug_limits import limit_splits, limit_steps
from tiny_imagenet.training.epoch_schedule import EpochSettings, epoch_schedule
from tiny_imagenet.training.optimizers import averaged, build_optimizer, learning_rate
from tiny_imagenet.training.train_step import TrainStep, device_errors

CALL_SECONDS = 0.5  # duration of a call of several steps; between calls the loop can stop and save

Row = dict[str, float]


@dataclass(frozen=True)
class LoopOptions:
    """The settings of the loop that do not change its result.

    Attributes:
        eval_batch_size: Images per batch in validation.
        checkpoint_seconds: The longest time between two checkpoints.
        memory_bytes: Decoded images up to this size are kept in memory.
    """

    eval_batch_size: int
    checkpoint_seconds: float
    memory_bytes: float


@dataclass
class Progress:
    """The state of a training besides its variables."""

    step: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * len(STEP_METRICS))
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)


class Trainer:
    """Trains a model.

    Args:
        model: Built under `strategy`; from images (batch, height, width, 3), 0 to 255, to logits (batch, classes).
        strategy: The devices.
        splits: The images to train on, and the images to score after each epoch.
        settings: The settings of the training.
        options: The settings of the loop.
        store: The checkpoints of the training.
    """

    def __init__(
        self,
        model: keras.Model,
        strategy: tf.distribute.Strategy,
        splits: tuple[DecodedSplit, DecodedSplit],
        settings: ModelSettings,
        options: LoopOptions,
        store: CheckpointStore,
    ) -> None:
        self.model, self.strategy, self.settings, self.options, self.store = model, strategy, settings, options, store
        train, self.val = limit_splits(splits, settings)
        self.num_images, self.image_size = len(train.labels), train.images.shape[1]
        self.steps_per_epoch = limit_steps(self.num_images // settings.batch_size, settings)
        self.epochs = epoch_schedule(settings, self.image_size)
        self._check_sizes()
        with strategy.scope():
            num_steps = settings.epochs * self.steps_per_epoch
            self.optimizer = build_optimizer(settings, model.trainable_variables, num_steps)
        self.progress = Progress()
        self.source = make_batch_source(train, settings.batch_size, strategy, options.memory_bytes)
        self.train_step = TrainStep(model, self.optimizer, strategy, settings, self.steps_per_epoch)
        self.predict = make_predictor(model, options.eval_batch_size, strategy, flip_tta=settings.flip_tta)
        self.saved_at = time.monotonic()

    def _check_sizes(self) -> None:
        batch_size, size = self.settings.batch_size, self.model.input_shape[1]
        if not self.steps_per_epoch:
            raise InputError("batch_size", f"{batch_size} is more than the {self.num_images} images", "lower it")
        if batch_size % self.strategy.num_replicas_in_sync:
            what = f"cannot be shared by {self.strategy.num_replicas_in_sync} devices"
            raise InputError("batch_size", what, "use a multiple of them")
        if size and any(epoch.image_size != size for epoch in self.epochs):
            what = f"{self.model.name} takes images of {size} pixels only"
            raise InputError("progressive_resizing", what, "set it to null, or use an architecture for any size")

    def restore(self) -> Mapping[str, Any] | None:
        """Restores the last checkpoint and returns its metadata, or None if there is no checkpoint."""
        found = cluster.broadcast_state(self.strategy, self.store.load() if cluster.is_chief(self.strategy) else None)
        if not found:
            return None
        arrays, metadata = found
        for i, variable in enumerate(self._variables()):
            variable.assign(arrays[f"variable_{i}"])
        self.progress = Progress(**metadata["progress"])
        return metadata

    def run(
        self,
        metadata: Mapping[str, Any],
        *,
        on_epoch: Sequence[Callable[[Row], object]],
        on_steps: Callable[[int], object],
        stop: Callable[[], bool],
    ) -> list[Row]:
        """Trains until the last epoch.

        Args:
            metadata: Saved with each checkpoint.
            on_epoch: Each is called with the metrics of an epoch after they are saved.
            on_steps: Called with the number of steps just taken.
            stop: Called between steps; returns whether to stop.

        Returns:
            The metrics of each epoch.

        Raises:
            Stopped: `stop` returned true on any worker; the state is saved.
            PipelineError: The loss is not finite, or a device runs out of memory.
        """
        while len(self.progress.history) < self.settings.epochs:
            self._finish_epoch_steps(metadata, on_steps, stop)
            self.progress.history.append(self._epoch_row(metadata, stop))
            self.progress.sums, self.progress.seconds = [0.0] * len(STEP_METRICS), 0.0
            self._save(metadata)
            for call in on_epoch:
                call(self.progress.history[-1])
        self.optimizer.finalize_variable_values(
            self.model.trainable_variables
        )  # the moving averages, if the recipe has them
        return self.progress.history

    def _finish_epoch_steps(
        self, metadata: Mapping[str, Any], on_steps: Callable[[int], object], stop: Callable[[], bool]
    ) -> None:
        progress, epoch = self.progress, len(self.progress.history)
        end = (epoch + 1) * self.steps_per_epoch
        order = epoch_order(self.settings.seed, epoch, self.num_images)
        self.source.start_epoch(order, (progress.step - epoch * self.steps_per_epoch) * self.settings.batch_size)
        steps = 1
        while progress.step < end:
            count, stopping = cluster.agree(self.strategy, min(steps, end - progress.step), stop())
            if stopping:
                self._save(metadata)
                raise self._stopped()
            began = time.monotonic()
            self._take_steps(count, self.epochs[epoch])
            took = time.monotonic() - began
            progress.seconds += took
            on_steps(count)
            steps = max(1, min(2 * count, int(CALL_SECONDS * count / took)))
            if time.monotonic() - self.saved_at > self.options.checkpoint_seconds:
                self._save(metadata)

    def _epoch_row(self, metadata: Mapping[str, Any], stop: Callable[[], bool]) -> Row:
        def stop_if_requested() -> None:
            if cluster.agree(self.strategy, 0, stop())[1]:
                raise self._stopped()

        try:
            with averaged(self.optimizer, self.settings, self.model.trainable_variables):
                return self._epoch_metrics(stop_if_requested)
        except Stopped:
            self._save(metadata)
            raise

    def _stopped(self) -> Stopped:
        return Stopped(f"stopped at step {self.progress.step}, which is saved; the next run resumes from there")

    def _take_steps(self, count: int, epoch: EpochSettings) -> None:
        with device_errors(self.settings.batch_size):
            batches = self.source.next_batches(count)
            sums = self.train_step(self.progress.step, count, batches, epoch).numpy().astype(np.float64)
        finite = np.isfinite(sums[:, 0])
        if not finite.all():
            step = self.progress.step + int(np.argmin(finite))
            raise PipelineError(
                "lr", f"the loss is not finite at step {step} with lr {self.settings.lr:g}", "lower `lr`"
            )
        for row in sums:  # one by one, so that the sums do not depend on the number of steps per call
            self.progress.sums = [total + float(value) for total, value in zip(self.progress.sums, row, strict=True)]
        self.progress.step += count

    def _epoch_metrics(self, between_batches: Callable[[], None]) -> Row:
        progress, count = self.progress, self.steps_per_epoch * self.settings.batch_size
        penalty = regularization_loss(self.model)
        row: Row = {"epoch": len(progress.history) + 1, "lr": self.learning_rate(progress.step - 1)}
        train = {metric.key: total / count for metric, total in zip(STEP_METRICS, progress.sums, strict=True)}
        logits = self.predict(self.val.images, between_batches)
        for prefix, metrics in (("", train), ("val_", score(logits, self.val.labels))):
            metrics = {"loss": metrics["loss"], "objective": metrics["loss"] + penalty, **metrics}
            row |= {prefix + name: value for name, value in metrics.items()}
        require_finite(row, f"epoch {row['epoch']} with lr {self.settings.lr:g}")
        return row | {"seconds": progress.seconds, "images_per_second": count / progress.seconds}

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step."""
        rate = learning_rate(self.settings, self.settings.epochs * self.steps_per_epoch)
        return rate if isinstance(rate, float) else float(rate(step))

    def _save(self, metadata: Mapping[str, Any]) -> None:
        self.saved_at = time.monotonic()
        if not cluster.is_chief(self.strategy):
            return
        arrays = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        self.store.save(arrays, {**metadata, "progress": vars(self.progress)})

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]
