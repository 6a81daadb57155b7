"""What params.yaml may hold: frozen dataclasses with the type and the range of every key."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from tiny_imagenet.errors import InputError
from tiny_imagenet.strict_yaml import nearest

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Int = Annotated[int, Field(strict=True)]
Float = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[Int, Field(ge=1)]
Fraction = Annotated[Float, Field(ge=0, lt=1)]
Share = Annotated[Float, Field(ge=0, le=1)]
NonNegative = Annotated[Float, Field(ge=0)]
Positive = Annotated[Float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
Seed = Annotated[Int, Field(ge=0, lt=2**31)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT)
class Dataset:
    """Where a dataset's archive comes from: `builtin`, or `url` and at least one of the two digests."""

    builtin: Literal["digits"] | None = None
    url: str | None = None
    size_bytes: Count | None = None
    sha256: Sha256 | None = None
    content_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Dataset:
        if (self.builtin is None) == (self.sha256 is None and self.content_sha256 is None):
            raise ValueError("needs either `builtin`, or `sha256` or `content_sha256` of the archive")
        return self


@dataclass(frozen=True, config=STRICT)
class Preprocess:
    """How the archive becomes shards."""

    seed: Seed
    shard_images: Count
    holdout_per_class: Annotated[Int, Field(ge=0)]
    workers: Count | None


@dataclass(frozen=True, config=STRICT)
class Training:
    """How the loop goes about its work, whatever the model."""

    checkpoint_seconds: Positive
    memory_gb: Positive
    deterministic: Flag


@dataclass(frozen=True, config=STRICT)
class RandomResizedCrop:
    """Ranges of the box that is cut out: its area as a fraction of the image's, its width over its height."""

    scale: tuple[Share, Share] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (0.75, 1.3333)

    @model_validator(mode="after")
    def _ordered(self) -> RandomResizedCrop:
        if self.scale[0] > self.scale[1] or self.ratio[0] > self.ratio[1]:
            raise ValueError("scale and ratio must be [lowest, highest]")
        return self


@dataclass(frozen=True, config=STRICT)
class Augmentation:
    """The random image operations (see augmentation/augment.py); one that is not named does nothing."""

    rotation_degrees: Annotated[Float, Field(ge=0, le=180)] = 0.0
    shift_fraction: Share = 0.0
    shift_pixels: Annotated[Int, Field(ge=0)] = 0
    brightness: tuple[NonNegative, NonNegative] = (1.0, 1.0)
    stretch: Flag = False
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


@dataclass(frozen=True, config=STRICT)
class ProgressiveResizing:
    """Small images first, as Composer defines it: the side's share in the beginning, and when it grows and is whole."""

    initial_scale: Annotated[Float, Field(gt=0, le=1)]
    delay_fraction: Share
    finetune_fraction: Share
    size_increment: Count

    @model_validator(mode="after")
    def _room(self) -> ProgressiveResizing:
        if self.delay_fraction + self.finetune_fraction > 1:
            raise ValueError("delay_fraction and finetune_fraction are together more than the training")
        return self


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """How a model is trained; what a recipe does not name is off."""

    optimizer: Literal["sgd", "nesterov", "adamw", "muon"]
    lr: Positive
    epochs: Count
    batch_size: Count
    momentum: Fraction = 0.0
    schedule: Literal["constant", "one_cycle", "warmup_cosine", "linear"] = "constant"
    warmup: Fraction = 0.0
    weight_decay: NonNegative = 0.0
    clip_norm: Positive | None = None
    ema_momentum: Fraction = 0.0
    l2: NonNegative = 0.0
    dropout: Fraction = 0.0
    label_smoothing: Fraction = 0.0
    progressive_resizing: ProgressiveResizing | None = None
    frozen_epochs: Annotated[Int, Field(ge=0)] = 0
    flip_averaging: Flag = False
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    xla: Flag = False
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, config=STRICT)
class Model:
    """One row of the comparison: an architecture and the recipe it is trained by, all overrides applied.

    `recipe_epochs` is what the named recipe says, whatever `recipe.epochs` has become.
    """

    name: Name
    architecture: Name
    recipe_name: Name
    recipe_epochs: Count
    recipe: Recipe
    seed: Seed
    arguments: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """How a saved model is scored."""

    split: Literal["val", "holdout"]
    batch_size: Count
    calibration_bins: Count


@dataclass(frozen=True, config=STRICT)
class Report:
    """What the page shows, and whether the best model is registered."""

    examples: list[str]
    champion: Flag = False


@dataclass(frozen=True, config=STRICT)
class Published:
    """One row of a published table; accuracies as fractions.

    `curve` is the top-1 accuracy on val after some of the epochs, as read off a published plot.
    """

    epochs: Count
    loss: NonNegative
    top_1_accuracy: Share
    top_5_accuracy: Share
    curve: dict[Count, Share] = field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class File:
    """params.yaml as it is written."""

    dataset: str
    seed: Seed
    device: Literal["auto", "cpu", "gpu"]
    strategy: Literal["auto", "single", "mirrored", "multi_worker"]
    lr: Positive | None
    epochs: Count | None
    batch_size: Count | None
    datasets: dict[Name, Dataset]
    preprocess: Preprocess
    training: Training
    recipes: dict[Name, Recipe]
    models: dict[Name, dict[str, Any]]
    evaluation: Evaluation
    report: Report
    published: dict[Name, dict[Name, Published]]


@dataclass(frozen=True, config=STRICT)
class Params:
    """The whole of params.yaml, checked; `models` in the file's order, each with its resolved recipe."""

    dataset_name: str
    dataset: Dataset
    seed: Seed
    device: Literal["auto", "cpu", "gpu"]
    strategy: Literal["auto", "single", "mirrored", "multi_worker"]
    preprocess: Preprocess
    training: Training
    models: dict[Name, Model]
    evaluation: Evaluation
    report: Report
    published: dict[Name, Published]

    def model(self, name: str) -> Model:
        """Returns the model of that name."""
        if name not in self.models:
            raise InputError(f"models.{name}", "no such model", nearest(name, self.models))
        return self.models[name]
