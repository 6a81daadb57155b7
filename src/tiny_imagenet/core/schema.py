"""The schema of params.yaml: frozen records with the type and the range of every key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.field_types import (
    BatchSize,
    Count,
    Device,
    Epochs,
    Flag,
    Float,
    Fraction,
    Int,
    Name,
    Named,
    NonNegative,
    Pixels,
    Positive,
    Seed,
    Sha256,
    Share,
    Strategy,
)
from tiny_imagenet.core.strict_yaml import REMOVED, nearest


class Record(BaseModel):
    """A frozen record: no unknown key, no NaN and no infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Dataset(Record):
    """The source of a dataset's archive: `builtin`, or `url` and at least one digest."""

    builtin: Literal["digits"] | None = None
    url: str | None = None
    size_bytes: Annotated[Int, Field(ge=1, lt=2**53)] | None = None
    sha256: Sha256 | None = None
    content_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Dataset:
        if (self.builtin is None) == (self.sha256 is None and self.content_sha256 is None):
            raise ValueError("needs either `builtin`, or `sha256` or `content_sha256` of the archive")
        return self


class Preprocess(Record):
    """The settings of the stage preprocess."""

    seed: Seed
    shard_images: Count
    holdout_per_class: Annotated[Int, Field(ge=0, le=10**9)]
    workers: Annotated[Int, Field(ge=1, le=1024)] | None


class Training(Record):
    """The settings that hold for all models."""

    checkpoint_seconds: Annotated[Positive, Field(le=10**9)]
    memory_gb: Annotated[Positive, Field(le=10**6)]
    deterministic: Flag


class Debug(Record):
    """The limits of a debug run, a quick try of a training; without any the training is a normal one.

    Attributes:
        fraction: Train on this fraction of the train images, the first ones of the records.
        steps: Train for so many steps an epoch, at most.
        overfit_batches: Train on the images of the first batches alone, without augmentation and regularization.
    """

    fraction: Annotated[Float, Field(gt=0, lt=1)] | None = None
    steps: Count | None = None
    overfit_batches: Count | None = None

    @model_validator(mode="after")
    def _compatible(self) -> Debug:
        if self.overfit_batches and (self.fraction or self.steps):
            raise ValueError("overfit_batches already limits images and steps: set fraction and steps to null")
        return self

    def __str__(self) -> str:
        """Returns the limits in words: "steps 10"."""
        return ", ".join(f"{key} {value}" for key, value in self.model_dump().items())

    @model_serializer(mode="wrap")
    def _limits(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class RandomResizedCrop(Record):
    """Ranges of the cropped box: its area as a fraction of the image's, and its aspect ratio (width over height)."""

    scale: tuple[Share, Share] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (0.75, 1.3333)

    @model_validator(mode="after")
    def _ordered(self) -> RandomResizedCrop:
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1]:
            raise ValueError("scale and ratio must be [lowest, highest]")
        return self


class Augmentation(Record):
    """The random image operations (augmentation/augment.py); the defaults change nothing."""

    rotation_degrees: Annotated[Float, Field(ge=0, le=180)] = 0.0
    shift_fraction: Share = 0.0
    shift_pixels: Pixels = 0
    brightness: tuple[NonNegative, NonNegative] = (1.0, 1.0)
    rescale_max: Flag = False
    flip: Literal["none", "random", "alternating"] = "none"
    interpolation: Literal["bilinear", "nearest"] = "bilinear"
    random_resized_crop: RandomResizedCrop | None = None
    trivial_augment: Flag = False
    random_erasing: Share = 0.0
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        if self.brightness[0] > self.brightness[1]:
            raise ValueError("brightness must be [lowest, highest]")
        return self


class ProgressiveResizing(Record):
    """Progressive resizing as in Composer: the initial scale, and the fractions of the training at each end.

    Image sizes are multiples of `size_increment`.
    """

    initial_scale: Annotated[Float, Field(gt=0, le=1)]
    delay_fraction: Share
    finetune_fraction: Share
    size_increment: Annotated[Pixels, Field(ge=1)]

    @model_validator(mode="after")
    def _within_training(self) -> ProgressiveResizing:
        if self.delay_fraction + self.finetune_fraction > 1:
            raise ValueError("delay_fraction + finetune_fraction must be at most 1")
        return self


class Recipe(Record):
    """The settings of a training that models share; the defaults switch everything off."""

    optimizer: Literal["sgd", "nesterov", "adamw", "muon"]
    lr: Positive
    epochs: Epochs
    batch_size: BatchSize
    momentum: Fraction = 0.0
    schedule: Literal["constant", "one_cycle", "warmup_cosine"] = "constant"
    warmup_fraction: Fraction = 0.0
    weight_decay: NonNegative = 0.0
    ema_momentum: Fraction = 0.0
    l2: NonNegative = 0.0
    dropout: Fraction = 0.0
    label_smoothing: Fraction = 0.0
    progressive_resizing: ProgressiveResizing | None = None
    frozen_epochs: Annotated[Int, Field(ge=0, le=100_000)] = 0
    flip_tta: Flag = False
    precision: Literal["float32", "tf32", "mixed_bfloat16"] = "float32"
    xla: Flag = False
    augmentation: Augmentation = Augmentation()


class ModelSettings(Recipe):
    """All settings of one training: its recipe's keys, with all changes applied, and the model's own.

    `recipe_epochs` is the recipe's number of epochs, without the changes. `debug` is None in a normal training, whose
    serialized settings do not have the key.
    """

    model: Name
    architecture: Name
    arguments: dict[str, JsonValue]
    recipe: Name
    recipe_epochs: Epochs
    dataset: str
    seed: Seed
    debug: Debug | None = None

    @model_serializer(mode="wrap")
    def _without_debug(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if content.get("debug") is None:
            content.pop("debug", None)
        return content

    @model_validator(mode="before")
    @classmethod
    def _without_removed(cls, raw: Any) -> Any:
        """Drops the removed keys of earlier records, if they were off."""
        if not isinstance(raw, Mapping):
            return raw
        return {key: value for key, value in raw.items() if key not in REMOVED or value is not None}


class Evaluation(Record):
    """The settings of the stage evaluate."""

    split: Literal["val", "holdout"]
    batch_size: BatchSize
    calibration_bins: Annotated[Int, Field(ge=1, le=10_000)]


class Report(Record):
    """The settings of the stage report."""

    examples: list[str]
    champion: Flag = False


class Published(Record):
    """One row of a published table; accuracies as fractions.

    `curve` is the top-1 accuracy on val by epoch, read off a published plot.
    """

    epochs: Epochs
    loss: NonNegative
    top_1_accuracy: Share
    top_5_accuracy: Share
    curve: dict[Count, Share] = {}


class File(Record):
    """The content of params.yaml."""

    dataset: str
    seed: Seed
    device: Device
    strategy: Strategy
    lr: Positive | None
    epochs: Epochs | None
    batch_size: BatchSize | None
    debug: Debug = Debug()
    datasets: Named[Dataset]
    preprocess: Preprocess
    training: Training
    recipes: Named[Recipe]
    models: Named[dict[str, Any]]
    evaluation: Evaluation
    report: Report
    published: dict[Name, dict[Name, Published]]


class Params(Record):
    """The resolved content of params.yaml; `models` in the file's order."""

    dataset_name: str
    dataset: Dataset
    seed: Seed
    device: Device
    strategy: Strategy
    preprocess: Preprocess
    training: Training
    models: dict[Name, ModelSettings]
    evaluation: Evaluation
    report: Report
    published: dict[Name, Published]

    def model(self, name: str) -> ModelSettings:
        """Returns the settings of a model.

        Raises:
            InputError: There is no model of that name.
        """
        if name not in self.models:
            raise InputError(f"models.{name}", "no such model", nearest(name, self.models))
        return self.models[name]
