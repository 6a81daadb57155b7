"""The results of a model, with types: what training and evaluation wrote, and the published values beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from tiny_imagenet.core.run_record import TrainingRecord
from tiny_imagenet.core.schema import Published
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.evaluation.metrics import ECE, METRICS
from tiny_imagenet.scoring.flops import TRAIN_FLOPS_PER_MAC
from tiny_imagenet.scoring.metrics import TOP_1, Metric

# Of the tables, the accuracies first; the calibration error has a section of its own.
SCORES = tuple(sorted((metric for metric in METRICS if metric is not ECE), key=lambda metric: metric.k is None))
ACCURACIES = tuple(metric for metric in SCORES if metric.k)

Number = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Blank = BeforeValidator(lambda cell: None if cell == "" else cell)  # an empty cell of a CSV is no value


class FileRecord(BaseModel):
    """A frozen record read from a file; keys that the report does not use are left out."""

    model_config = ConfigDict(frozen=True)


class EvaluationRecord(FileRecord):
    """The content of evaluation.json; `Evaluation` adds METRICS.

    Attributes:
        split: "val" or "holdout"; older results do not name it.
        num_images: Of the split.
    """

    split: str = "val"
    num_images: int


_FIELDS: Any = {metric.key: (Fraction if metric.is_fraction else Number, Field(strict=True)) for metric in METRICS}
Evaluation = create_model("Evaluation", __base__=EvaluationRecord, **_FIELDS)


class Epoch(FileRecord):
    """A row of history.csv; `seconds` is in files of earlier versions only."""

    epoch: int
    lr: Number
    loss: Number
    objective: Number
    top_1_accuracy: Fraction
    top_5_accuracy: Fraction
    val_loss: Number
    val_objective: Number
    val_top_1_accuracy: Fraction
    val_top_5_accuracy: Fraction
    seconds: Annotated[Number | None, Blank] = None


class ClassResult(FileRecord):
    """A row of per_class.csv; the accuracies of a class without images are None."""

    wnid: str
    words: str
    num_images: int
    top_1_accuracy: Annotated[Fraction | None, Blank]
    top_5_accuracy: Annotated[Fraction | None, Blank]
    most_confused_with: str
    most_confused_count: Annotated[int | None, Blank]


class CalibrationBin(FileRecord):
    """A row of calibration.csv; confidence and accuracy of a bin without images are None."""

    num_images: int
    confidence: Annotated[Fraction | None, Blank]
    accuracy: Annotated[Fraction | None, Blank]


class Layer(FileRecord):
    """A layer of architecture.json; `output_shape` is that of one image."""

    name: str
    type: str
    details: str
    output_shape: tuple[int | None, ...]
    num_parameters: int


class Architecture(FileRecord):
    """The content of architecture.json."""

    input_shape: tuple[int | None, ...]
    num_parameters: int
    macs_per_image: int
    layers: tuple[Layer, ...]


class PublishedRow(Published):
    """A row of the published table, and the number of images that its training saw."""

    images_seen: int


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
    def is_short(self) -> bool:
        """Whether the model was trained for fewer epochs than its recipe has."""
        return self.training.epochs < self.training.recipe_epochs


def best_result(results: Sequence[Result]) -> Result:
    """Returns the result with the highest top-1 accuracy, the first among equals, a pretrained one only if all are."""
    comparable = [result for result in results if not result.training.pretrained]
    return max(comparable or results, key=lambda result: result.value(TOP_1))


def publish(rows: Mapping[str, Published], manifest: Manifest) -> dict[str, PublishedRow]:
    """Returns published rows with the number of images that their trainings saw: all of train, a hold-out included."""
    train_images = sum(split.num_images for name, split in manifest.splits.items() if name in ("train", "holdout"))
    return {
        model: PublishedRow(**row.model_dump(), images_seen=row.epochs * train_images) for model, row in rows.items()
    }
