"""Reading of shards: verification against the manifest, parsing in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.dataset.manifest import BYTES_FEATURES, INT_FEATURES, MANIFEST, Manifest, Split

if TYPE_CHECKING:
    import tensorflow as tf  # imported in functions: a missing shard is reported without that import

REWRITE = "delete it and run `dvc repro preprocess`"


def verify_split(records_dir: Path, manifest: Manifest, split: str) -> None:
    """Compares each shard of a split with the manifest: existence, size, SHA-256.

    Raises:
        InputError: A shard differs or is missing; names it.
    """
    for shard in _split(records_dir, manifest, split).shards:
        path = records_dir / shard.name
        try:
            size = path.stat().st_size
            digest = sha256_of(path) if size == shard.bytes else ""
        except OSError as error:
            raise InputError(path, error.strerror or str(error), "run `dvc repro preprocess`") from None
        if size != shard.bytes:
            raise InputError(path, f"has {size:,} bytes, not {shard.bytes:,}", REWRITE)
        if digest != shard.sha256:
            raise InputError(path, f"has SHA-256 {digest[:12]}..., not {shard.sha256[:12]}...", REWRITE)


def read_split(records_dir: Path, manifest: Manifest, split: str) -> tf.data.Dataset:
    """Returns the pairs (JPEG bytes, label) of a split in the order of its shards.

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
    """Yields the features of each example of a split in order, `bytes` or `int` by key."""
    import tensorflow as tf

    for record in _records(records_dir, manifest, split).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        yield {key: feature[key].bytes_list.value[0] for key in BYTES_FEATURES} | {
            key: feature[key].int64_list.value[0] for key in INT_FEATURES
        }


def _split(records_dir: Path, manifest: Manifest, split: str) -> Split:
    if split not in manifest.splits:
        raise InputError(records_dir / MANIFEST, f"no split {split!r}", f"choose among {', '.join(manifest.splits)}")
    return manifest.splits[split]


def _records(records_dir: Path, manifest: Manifest, split: str) -> tf.data.Dataset:
    import tensorflow as tf

    paths = [str(records_dir / shard.name) for shard in _split(records_dir, manifest, split).shards]
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread can delay the end of the iterator by a minute
    options.deterministic = True
    return tf.data.TFRecordDataset(paths, buffer_size=1 << 20).with_options(options)
