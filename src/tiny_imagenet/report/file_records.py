"""The records of a model's files: what training and evaluation wrote, and a row of the published table."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from tiny_imagenet.core.schema import Published
from tiny_imagenet.dataset.classes import Text
from tiny_imagenet.evaluation.metrics import METRICS

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

    wnid: Text
    words: Text
    num_images: int
    top_1_accuracy: Annotated[Fraction | None, Blank]
    top_5_accuracy: Annotated[Fraction | None, Blank]
    most_confused_with: Text
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
