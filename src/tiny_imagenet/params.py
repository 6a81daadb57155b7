"""params.yaml as frozen dataclasses; refuses unknown, missing, mistyped and out-of-range keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from tiny_imagenet.errors import InputError
from tiny_imagenet.strict_yaml import check, nearest, read_yaml

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
    """What concerns the loop and not its result."""

    checkpoint_seconds: Positive


@dataclass(frozen=True, config=STRICT)
class Augmentation:
    """Ranges of the random image operations (see augmentation.py)."""

    rotation_degrees: Annotated[Float, Field(ge=0, le=180)]
    shift_fraction: Share
    brightness: tuple[NonNegative, NonNegative]
    horizontal_flip: Flag
    interpolation: Literal["bilinear", "nearest"]
    stretch: Flag

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        if self.brightness[0] > self.brightness[1]:
            raise ValueError("brightness must be [lowest, highest]")
        return self


@dataclass(frozen=True, config=STRICT)
class Recipe:
    """How a model is trained."""

    optimizer: Literal["sgd"]
    lr: Positive
    epochs: Count
    batch_size: Count
    l2: NonNegative
    dropout: Fraction
    augmentation: Augmentation


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
    arguments: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class Evaluation:
    """How a saved model is scored."""

    batch_size: Count
    calibration_bins: Count


@dataclass(frozen=True, config=STRICT)
class Report:
    """What the page shows."""

    examples: list[str]


@dataclass(frozen=True, config=STRICT)
class Published:
    """One row of a published table; accuracies as fractions."""

    loss: NonNegative
    top_1_accuracy: Share
    top_5_accuracy: Share


@dataclass(frozen=True, config=STRICT)
class _File:
    """params.yaml as it is written."""

    dataset: str
    seed: Seed
    device: Literal["auto", "cpu", "gpu"]
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


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Reads and checks params.yaml.

    Raises:
        InputError: Names the key at fault, what it holds and what it should hold.
    """
    raw = read_yaml(path)
    file = check(_File, raw, str(path))
    if file.dataset not in file.datasets:
        raise InputError(f"{path}: dataset", f"no dataset {file.dataset!r}", nearest(file.dataset, file.datasets))
    if not file.models:
        raise InputError(f"{path}: models", "is empty", "name at least one model")
    overrides = {key: raw[key] for key in ("lr", "epochs", "batch_size") if raw[key] is not None}
    return Params(
        dataset_name=file.dataset,
        dataset=file.datasets[file.dataset],
        seed=file.seed,
        device=file.device,
        preprocess=file.preprocess,
        training=file.training,
        models={name: _resolve(path, name, entry, raw["recipes"], overrides) for name, entry in file.models.items()},
        evaluation=file.evaluation,
        report=file.report,
        published=file.published.get(file.dataset, {}),
    )


def as_flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Returns a dataclass as one flat mapping with dotted keys, as a tracking server shows parameters."""
    if not dataclasses.is_dataclass(value) and not isinstance(value, Mapping):
        return {prefix: value}
    fields = dataclasses.asdict(value) if not isinstance(value, Mapping) else value  # type: ignore[arg-type]
    flat: dict[str, Any] = {}
    for key, item in fields.items():
        flat |= as_flat(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _resolve(path: Path, name: str, entry: dict[str, Any], recipes: dict[str, Any], overrides: dict[str, Any]) -> Model:
    where = f"{path}: models.{name}"
    rest = dict(entry)
    architecture, recipe_name = rest.pop("architecture", None), rest.pop("recipe", None)
    arguments = rest.pop("arguments", {})
    if architecture is None or recipe_name is None:
        missing = "architecture" if architecture is None else "recipe"
        raise InputError(f"{where}.{missing}", "is missing", "add it")
    for key, value in (("architecture", architecture), ("recipe", recipe_name)):
        if not isinstance(value, str):
            raise InputError(f"{where}.{key}", f"got {value!r}", "name one")
    if architecture not in architectures():
        raise InputError(
            f"{where}.architecture", f"no architecture {architecture!r}", nearest(architecture, architectures())
        )
    if recipe_name not in recipes:
        raise InputError(f"{where}.recipe", f"no recipe {recipe_name!r}", nearest(recipe_name, recipes))
    recipe = check(Recipe, _merge(_merge(recipes[recipe_name], rest), overrides), where)
    return check(
        Model,
        {
            "name": name,
            "architecture": architecture,
            "recipe_name": recipe_name,
            "recipe_epochs": recipes[recipe_name]["epochs"],
            "recipe": recipe,
            "arguments": arguments,
        },
        where,
    )


def architectures() -> list[str]:
    """Returns the names that `models.<name>.architecture` can take: one a file in models/."""
    return sorted(path.stem for path in (Path(__file__).parent / "models").glob("[!_]*.py"))


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged
