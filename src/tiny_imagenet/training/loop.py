"""The training loop, on tf.distribute: the same on one device and on several, exact to the bit when resumed.

What happens in a step is a function of (seed, step) and of the state that a checkpoint holds: the weights, the
optimiser's variables, the sums over the running epoch and the history of those before it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tiny_imagenet.data.decoding import Images
from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.evaluation.inference import make_predictor
from tiny_imagenet.evaluation.metrics import l2_term, require_finite, score
from tiny_imagenet.lifecycle import Stopped
from tiny_imagenet.schema import Recipe
from tiny_imagenet.training import cluster
from tiny_imagenet.training.checkpoint import CheckpointStore
from tiny_imagenet.training.feeding import make_feed
from tiny_imagenet.training.input_pipeline import epoch_order
from tiny_imagenet.training.optimization import averaged, build_optimizer, learning_rate
from tiny_imagenet.training.phases import Phase, plan
from tiny_imagenet.training.steps import SUMS, Steps, device_errors

LAUNCH_SECONDS = 0.5  # steps are launched in groups of about this long: between groups the loop listens and saves

Row = dict[str, float]


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know.

    The recipe and the seed say what is computed. The rest how to go about it: val images at once, the longest time
    between two checkpoints, and the size up to which decoded images are held in memory.
    """

    recipe: Recipe
    seed: int
    eval_batch_size: int
    checkpoint_seconds: float
    memory_bytes: float


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
        recipe = self.recipe = settings.recipe
        self.steps_per_epoch = len(train_images.labels) // recipe.batch_size
        if not self.steps_per_epoch:
            raise InputError(
                "batch_size", f"{recipe.batch_size} is more than the {len(train_images.labels)} images", "lower it"
            )
        if recipe.batch_size % strategy.num_replicas_in_sync:
            raise InputError(
                "batch_size", f"cannot be shared by {strategy.num_replicas_in_sync} devices", "use a multiple of them"
            )
        self.image_size = train_images.images.shape[1]
        self.phases = plan(recipe, self.image_size)
        if model.input_shape[1] and any(phase.image_size != model.input_shape[1] for phase in self.phases):
            what = f"{model.name} takes images of {model.input_shape[1]} pixels only"
            raise InputError("progressive_resizing", what, "set it to null, or use an architecture for any size")
        with strategy.scope():
            num_steps = recipe.epochs * self.steps_per_epoch
            self.optimizer = build_optimizer(recipe, model.trainable_variables, num_steps)
        self.progress = Progress()
        self.num_images = len(train_images.labels)
        self.feed = make_feed(train_images, recipe.batch_size, strategy, settings.memory_bytes)
        self.take = Steps(
            model, self.optimizer, strategy, recipe, seed=settings.seed, steps_per_epoch=self.steps_per_epoch
        )
        self.predict = make_predictor(model, settings.eval_batch_size, strategy, flip_averaging=recipe.flip_averaging)
        self.saved_at = time.monotonic()

    def restore(self) -> Mapping[str, Any] | None:
        """Goes back to the last checkpoint, if there is one; returns what was saved `about` it."""
        found = cluster.broadcast_state(self.strategy, self.store.load() if cluster.is_chief(self.strategy) else None)
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
            Stopped: When `stop` said so, of any worker; the state is saved.
            PipelineError: The loss is not finite, or the device's memory is too small.
        """
        while len(self.progress.history) < self.recipe.epochs:
            self._finish_epoch_steps(about, on_steps, stop)
            self.progress.history.append(self._epoch_row(about, stop))
            self.progress.sums, self.progress.seconds = [0.0] * len(SUMS), 0.0
            self._save(about)
            for call in on_epoch:
                call(self.progress.history[-1])
        self.optimizer.finalize_variable_values(self.model.trainable_variables)  # the averages, where there are any
        return self.progress.history

    def _finish_epoch_steps(
        self, about: Mapping[str, Any], on_steps: Callable[[int], object], stop: Callable[[], bool]
    ) -> None:
        progress, epoch = self.progress, len(self.progress.history)
        end = (epoch + 1) * self.steps_per_epoch
        order = epoch_order(self.settings.seed, epoch, self.num_images)
        self.feed.begin(order, (progress.step - epoch * self.steps_per_epoch) * self.recipe.batch_size)
        group = 1
        while progress.step < end:
            count, stopping = cluster.agree(self.strategy, min(group, end - progress.step), stop())
            if stopping:
                self._save(about)
                raise self._stopped()
            began = time.monotonic()
            self._take_steps(count, self.phases[epoch])
            took = time.monotonic() - began
            progress.seconds += took
            on_steps(count)
            group = max(1, min(2 * count, int(LAUNCH_SECONDS * count / took)))
            if time.monotonic() - self.saved_at > self.settings.checkpoint_seconds:
                self._save(about)

    def _epoch_row(self, about: Mapping[str, Any], stop: Callable[[], bool]) -> Row:
        def between() -> None:
            if cluster.agree(self.strategy, 0, stop())[1]:
                raise self._stopped()

        try:
            with averaged(self.optimizer, self.recipe, self.model.trainable_variables):
                return self._epoch_metrics(between)
        except Stopped:
            self._save(about)
            raise

    def _stopped(self) -> Stopped:
        return Stopped(f"stopped at step {self.progress.step}, which is saved; the next run goes on from there")

    def _take_steps(self, count: int, phase: Phase) -> None:
        with device_errors(self.recipe.batch_size):
            sums = self.take(self.progress.step, count, self.feed.take(count), phase).numpy().astype(np.float64)
        finite = np.isfinite(sums[:, 0])
        if not finite.all():
            step = self.progress.step + int(np.argmin(finite))
            raise PipelineError("lr", f"the loss is not finite at step {step} with lr {self.recipe.lr:g}", "lower `lr`")
        for row in sums:  # one by one: the sums do not depend on how steps were grouped
            self.progress.sums = [total + float(value) for total, value in zip(self.progress.sums, row, strict=True)]
        self.progress.step += count

    def _epoch_metrics(self, between: Callable[[], None]) -> Row:
        progress, count = self.progress, self.steps_per_epoch * self.recipe.batch_size
        penalty = l2_term(self.model)
        row: Row = {"epoch": len(progress.history) + 1, "lr": self.learning_rate(progress.step - 1)}
        train = {name: total / count for name, total in zip(SUMS, progress.sums, strict=True)}
        logits = self.predict(self.val_images.images, between)
        for prefix, metrics in (("", train), ("val_", score(logits, self.val_images.labels))):
            metrics = {"loss": metrics["loss"], "objective": metrics["loss"] + penalty, **metrics}
            row |= {prefix + name: value for name, value in metrics.items()}
        require_finite(row, f"epoch {row['epoch']} with lr {self.recipe.lr:g}")
        return row | {"seconds": progress.seconds, "images_per_second": count / progress.seconds}

    def learning_rate(self, step: int) -> float:
        """Returns the learning rate of a step."""
        rate = learning_rate(self.recipe, self.recipe.epochs * self.steps_per_epoch)
        return rate if isinstance(rate, float) else float(rate(step))

    def _save(self, about: Mapping[str, Any]) -> None:
        self.saved_at = time.monotonic()
        if not cluster.is_chief(self.strategy):
            return
        arrays = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        self.store.save(arrays, {**about, "progress": vars(self.progress)})

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.optimizer.variables]
