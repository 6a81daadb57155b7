"""The one example schema: TFRecord shards of JPEG images, and the manifest that describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from tiny_imagenet.data.classes import Class
from tiny_imagenet.errors import InputError, PipelineError
from tiny_imagenet.files import sha256_of, write_json

if TYPE_CHECKING:
    import tensorflow as tf  # imported late elsewhere: reading the manifest must not take the seconds TensorFlow does

MANIFEST = "manifest.json"
BYTES_FEATURES = ("image/encoded", "image/format", "image/class/synset", "image/class/text", "image/filename")
INT_FEATURES = ("image/height", "image/width", "image/class/label")
FRAME_BYTES = 16  # around each record: its length (8 bytes) and two checksums (4 each)

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
    """The shards of a split, in reading order."""

    num_images: Count
    shards: tuple[Shard, ...]

    @model_validator(mode="after")
    def _counted(self) -> Split:
        if self.num_images != sum(shard.num_images for shard in self.shards):
            raise ValueError("num_images is not the sum over the shards")
        return self

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> Split:
        """Returns the split that those shards make."""
        return cls(sum(shard.num_images for shard in shards), tuple(shards))


@dataclass(frozen=True, config=STRICT)
class Manifest:
    """What a directory of records holds; mean and standard deviation a channel (red, green, blue) in fractions 0..1."""

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
        InputError: It is missing or broken.
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
    """Writes `manifest.json`: the same bytes for the same content."""
    write_json(records_dir / MANIFEST, dataclasses.asdict(manifest))


def verify_split(records_dir: Path, manifest: Manifest, split: str) -> None:
    """Compares each shard of a split with the manifest: existence, size, SHA-256.

    Raises:
        InputError: Names the shard at fault.
    """
    for shard in _split(records_dir, manifest, split).shards:
        path, todo = records_dir / shard.name, "delete it and run `dvc repro preprocess`"
        try:
            size = path.stat().st_size
            digest = sha256_of(path) if size == shard.bytes else ""
        except OSError as error:
            raise InputError(path, error.strerror or str(error), "run `dvc repro preprocess`") from None
        if size != shard.bytes:
            raise InputError(
                path, f"has {size:,} bytes, not {shard.bytes:,}", "delete it and run `dvc repro preprocess`"
            )
        if digest != shard.sha256:
            raise InputError(path, f"has SHA-256 {digest[:12]}..., not {shard.sha256[:12]}...", todo)


def read_split(records_dir: Path, manifest: Manifest, split: str) -> tf.data.Dataset:
    """Returns the pairs (JPEG bytes, label) of a split, in the shards' order, always the same.

    Returns:
        A dataset of (string scalar, int64 scalar), of known cardinality.
    """
    import tensorflow as tf

    count = _split(records_dir, manifest, split).num_images
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(records, features)
        return parsed["image/encoded"], parsed["image/class/label"]

    pairs = _records(records_dir, manifest, split).batch(256).map(parse).unbatch()
    return pairs.apply(tf.data.experimental.assert_cardinality(count))


def iterate_examples(records_dir: Path, manifest: Manifest, split: str) -> Iterator[dict[str, Any]]:
    """Yields the features of each example of a split, in order: `bytes` or `int` by key."""
    import tensorflow as tf

    for record in _records(records_dir, manifest, split).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        yield {key: feature[key].bytes_list.value[0] for key in BYTES_FEATURES} | {
            key: feature[key].int64_list.value[0] for key in INT_FEATURES
        }


def write_shard(path: Path, examples: Iterable[dict[str, Any]]) -> Shard:
    """Writes examples, each a mapping from every feature key to `bytes` or `int`, and returns the shard's entry.

    Raises:
        PipelineError: The file could not be written whole.
    """
    import tensorflow as tf

    num_images = num_bytes = 0
    message = tf.train.Example()
    values = _values(message)
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                for key, value in values.items():
                    value[0] = example[key]
                record = message.SerializeToString(deterministic=True)
                writer.write(record)
                num_images += 1
                num_bytes += FRAME_BYTES + len(record)
        size = path.stat().st_size
    except (tf.errors.OpError, OSError) as error:
        raise PipelineError(path, f"cannot be written: {error}", "check the disk's space and permissions") from None
    if size != num_bytes:
        raise PipelineError(path, f"has {size:,} of {num_bytes:,} bytes", "check the disk's space")
    return Shard(path.name, num_images, size, sha256_of(path))


def _values(message: tf.train.Example) -> dict[str, Any]:
    """Gives an example every feature, and returns the lists of their values: to set these is twice as fast."""
    feature = message.features.feature
    values: dict[str, Any] = {}
    for key in BYTES_FEATURES:
        values[key] = feature[key].bytes_list.value
        values[key].append(b"")
    for key in INT_FEATURES:
        values[key] = feature[key].int64_list.value
        values[key].append(0)
    return values


def _split(records_dir: Path, manifest: Manifest, split: str) -> Split:
    if split not in manifest.splits:
        raise InputError(records_dir / MANIFEST, f"no split {split!r}", f"choose among {', '.join(manifest.splits)}")
    return manifest.splits[split]


def _records(records_dir: Path, manifest: Manifest, split: str) -> tf.data.Dataset:
    import tensorflow as tf

    paths = [str(records_dir / shard.name) for shard in _split(records_dir, manifest, split).shards]
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread can outlive the iterator and delay its end by a minute
    options.deterministic = True
    return tf.data.TFRecordDataset(paths, buffer_size=1 << 20).with_options(options)
