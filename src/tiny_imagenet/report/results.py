"""The results of a model, and the published values beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.core.schema import Published
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.evaluation.metrics import ECE, METRICS
from tiny_imagenet.report.file_records import (
    Architecture,
    CalibrationBin,
    ClassResult,
    Epoch,
    EvaluationRecord,
    PublishedRow,
)
from tiny_imagenet.scoring.flops import TRAIN_FLOPS_PER_MAC
from tiny_imagenet.scoring.metrics import TOP_1, Metric

# Of the tables, the accuracies first; the calibration error has a section of its own.
SCORES = tuple(sorted((metric for metric in METRICS if metric is not ECE), key=lambda metric: metric.k is None))
ACCURACIES = tuple(metric for metric in SCORES if metric.k)


@dataclass(frozen=True)
class Result:
    """The results of a model.

    Attributes:
        model: Its name.
        training: Its settings, and what the training cost.
        evaluation: Its metrics; see `value`.
        architecture: Its layers.
        history: The epochs in order, at least one.
        per_class: The classes in the order of their labels.
        calibration: The bins of confidence, the lowest first.
        train_seconds: Of all training steps, without validation; None if not known.
        published: The row of the published table that it is compared with.
    """

    model: str
    training: TrainingRecord
    evaluation: EvaluationRecord
    architecture: Architecture
    history: Sequence[Epoch]
    per_class: Sequence[ClassResult]
    calibration: Sequence[CalibrationBin]
    train_seconds: float | None = None
    published: PublishedRow | None = None

    def value(self, metric: Metric) -> float:
        """Returns a metric of the evaluation; accuracies as fractions."""
        return float(getattr(self.evaluation, metric.key))

    @property
    def top_1_accuracy(self) -> float:
        """The top-1 accuracy, as a fraction."""
        return self.value(TOP_1)

    def standard_error(self, accuracy: Metric) -> float:
        """Returns the standard error of one of the accuracies, as a fraction."""
        return self.error_of(self.value(accuracy))

    def error_of(self, accuracy: float) -> float:
        """Returns the standard error of an accuracy p on the n images of the evaluation, sqrt(p (1 - p) / n)."""
        return math.sqrt(accuracy * (1.0 - accuracy) / self.evaluation.num_images)

    def published_value(self, metric: Metric) -> float | None:
        """Returns the published value of a metric, None where there is none."""
        value = getattr(self.published, metric.key, None)
        return None if value is None else float(value)

    @property
    def published_flops(self) -> float | None:
        """The estimated cost of the published training: this architecture, the images that the training saw."""
        if self.published is None:
            return None
        return float(TRAIN_FLOPS_PER_MAC * self.architecture.macs_per_image * self.published.images_seen)

    @property
    def is_debug(self) -> bool:
        """Whether the training was a debug run, which is compared with nothing."""
        return self.training.debug is not None

    @property
    def is_short(self) -> bool:
        """Whether the model was trained for fewer epochs than its recipe has."""
        return self.training.epochs < self.training.recipe_epochs


def comparable(results: Sequence[Result]) -> list[Result]:
    """Returns the results without those of debug runs."""
    return [result for result in results if not result.is_debug]


def best_result(results: Sequence[Result]) -> Result:
    """Returns the result with the highest top-1 accuracy, the first among equals.

    A pretrained one is best only if all are, and that of a debug run only if all are.
    """
    results = comparable(results) or results
    own = [result for result in results if not result.training.pretrained]
    return max(own or results, key=lambda result: result.top_1_accuracy)


def publish(rows: Mapping[str, Published], manifest: Manifest) -> dict[str, PublishedRow]:
    """Returns published rows with the number of images that their trainings saw: all of train, a hold-out included."""
    train_images = sum(split.num_images for name, split in manifest.splits.items() if name in ("train", "holdout"))
    return {
        model: PublishedRow(**row.model_dump(), images_seen=row.epochs * train_images) for model, row in rows.items()
    }
