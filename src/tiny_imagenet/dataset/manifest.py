"""The record format: feature keys of an example, and the manifest of the shards."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import write_json
from tiny_imagenet.dataset.classes import Class

MANIFEST = "manifest.json"
BYTES_FEATURES = ("image/encoded", "image/format", "image/class/synset", "image/class/text", "image/filename")
INT_FEATURES = ("image/height", "image/width", "image/class/label")

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
Count = Annotated[int, Field(ge=1)]
Channels = Annotated[tuple[float, ...], Field(min_length=3, max_length=3)]


@dataclass(frozen=True, config=STRICT)
class Shard:
    """One file of records, with its size and digest."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.tfrecord$")]
    num_images: Count
    bytes: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, config=STRICT)
class Split:
    """The shards of a split, in the order of reading."""

    num_images: Count
    shards: tuple[Shard, ...]

    @model_validator(mode="after")
    def _counted(self) -> Split:
        if self.num_images != sum(shard.num_images for shard in self.shards):
            raise ValueError("num_images is not the sum over the shards")
        return self

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> Split:
        """Returns the split of these shards, with its image count."""
        return cls(sum(shard.num_images for shard in shards), tuple(shards))


@dataclass(frozen=True, config=STRICT)
class Manifest:
    """The content of a folder of records.

    `train_mean` and `train_std` are by channel (red, green, blue), as fractions 0..1.
    """

    dataset: str
    image_size: Count
    classes: Annotated[tuple[Class, ...], Field(min_length=1)]
    splits: dict[str, Split]
    train_mean: Channels
    train_std: Channels

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)


def load_manifest(records_dir: Path) -> Manifest:
    """Reads `manifest.json`.

    Raises:
        InputError: It is missing or invalid.
    """
    path = records_dir / MANIFEST
    try:
        return TypeAdapter(Manifest).validate_json(path.read_bytes())
    except OSError as error:
        what = error.strerror or str(error)
    except ValidationError as error:
        problem = error.errors()[0]
        what = f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}".lstrip(": ")
    raise InputError(path, what, "run `dvc repro preprocess`")


def write_manifest(records_dir: Path, manifest: Manifest) -> None:
    """Writes `manifest.json`; equal content gives equal bytes."""
    write_json(records_dir / MANIFEST, dataclasses.asdict(manifest))
