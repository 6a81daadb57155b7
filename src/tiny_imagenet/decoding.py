"""A split's images, decoded once and kept for the next time."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tiny_imagenet.files import locked, sha256_of, write_whole
from tiny_imagenet.tfrecords import Manifest, read_split, verify_split


@dataclass(frozen=True)
class Images:
    """A decoded split: images uint8 (images, height, width, 3), labels int32 (images,)."""

    images: np.ndarray
    labels: np.ndarray


def load_images(records: Path, manifest: Manifest, split: str, cache: Path | None = None) -> Images:
    """Checks a split's shards and decodes them in their order, to Pillow's pixels (with the exact inverse transform).

    Args:
        records: The folder of the shards.
        manifest: Its manifest.
        split: Such as "train".
        cache: A folder that keeps the decoded images for the next time, or None.

    Raises:
        InputError: A shard is not what the manifest says.
    """
    verify_split(records, manifest, split)
    shards = "".join(shard.sha256 for shard in manifest.splits[split].shards)
    if cache is None:
        return _decode(records, manifest, split)
    kept = cache / f"{hashlib.sha256(shards.encode()).hexdigest()[:16]}.npy"
    with locked(cache):
        decoded = _read_cache(kept, manifest.splits[split].num_images)
        if decoded is None:
            decoded = _decode(records, manifest, split)
            _write_cache(kept, decoded)
    return decoded


def _decode(records: Path, manifest: Manifest, split: str) -> Images:
    count, size = manifest.splits[split].num_images, manifest.image_size
    images, labels = np.empty((count, size, size, 3), np.uint8), np.empty(count, np.int32)

    def decode(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.ensure_shape(tf.io.decode_jpeg(encoded, 3, dct_method="INTEGER_ACCURATE"), (size, size, 3)), label

    at = 0
    for batch, batch_labels in read_split(records, manifest, split).map(decode, os.cpu_count()).batch(500):
        images[at : at + len(batch)], labels[at : at + len(batch)] = batch, batch_labels
        at += len(batch)
    assert at == count, f"{split}: {at} images read of {count}"
    return Images(images, labels)


def _write_cache(path: Path, decoded: Images) -> None:
    """Writes images, then labels, as .npy, and last the file's SHA-256 beside it."""
    with write_whole(path) as aside:
        with aside.open("wb") as file:
            np.save(file, decoded.images, allow_pickle=False)
            np.save(file, decoded.labels, allow_pickle=False)
        digest = sha256_of(aside)
    with write_whole(path.with_suffix(".sha256")) as aside:
        aside.write_text(digest)


def _read_cache(path: Path, num_images: int) -> Images | None:
    """Returns what `_write_cache` wrote, or None if it is not there or not whole."""
    digest = path.with_suffix(".sha256")
    if not path.exists() or not digest.exists() or digest.read_bytes() != sha256_of(path).encode():
        return None
    with path.open("rb") as file:
        images, labels = np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)
    return Images(images, labels) if len(images) == len(labels) == num_images else None
