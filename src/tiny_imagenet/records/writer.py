"""Writing of one TFRecord shard and its manifest entry."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.dataset.manifest import BYTES_FEATURES, INT_FEATURES, Shard

if TYPE_CHECKING:
    import tensorflow as tf

FRAME_BYTES = 16  # around each record: length (8 bytes), two checksums (4 each)


def write_shard(path: Path, examples: Iterable[dict[str, Any]]) -> Shard:
    """Writes a shard and checks its size.

    Args:
        path: The file to write.
        examples: The value, `bytes` or `int`, of every feature key.

    Returns:
        The shard's manifest entry.

    Raises:
        PipelineError: The file cannot be written, or is incomplete.
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
    """Adds every feature to an empty example; returns the value lists, whose reuse is twice as fast."""
    feature = message.features.feature
    values: dict[str, Any] = {}
    for key in BYTES_FEATURES:
        values[key] = feature[key].bytes_list.value
        values[key].append(b"")
    for key in INT_FEATURES:
        values[key] = feature[key].int64_list.value
        values[key].append(0)
    return values
