"""The batch as a pure function of (seed, step), from images decoded once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tiny_imagenet import augmentation
from tiny_imagenet.tfrecords import Manifest, read_split, verify_split


@dataclass(frozen=True)
class Images:
    """A decoded split: images uint8 (images, height, width, 3), labels int32 (images,)."""

    images: np.ndarray
    labels: np.ndarray


def load_images(records: Path, manifest: Manifest, split: str, cache: Path | None = None) -> Images:
    """Checks a split's shards and decodes them, in the shards' order, with Pillow's pixels (an exact inverse transform).

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
    kept = cache / f"{hashlib.sha256(shards.encode()).hexdigest()[:16]}.npy" if cache else None
    if kept and kept.exists() and (found := _read_cache(kept, manifest, split)):
        return found
    decoded = _decode(records, manifest, split)
    if kept:
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
    """Writes `path` (images, then labels, as .npy) and, last, its SHA-256 beside it; each whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.tmp")
    with aside.open("wb") as file:
        np.save(file, decoded.images, allow_pickle=False)
        np.save(file, decoded.labels, allow_pickle=False)
    digest = _sha256(aside)
    aside.replace(path)
    aside.write_text(digest)
    aside.replace(path.with_suffix(".sha256"))


def _read_cache(path: Path, manifest: Manifest, split: str) -> Images | None:
    digest = path.with_suffix(".sha256")
    if not digest.exists() or digest.read_text() != _sha256(path):
        return None
    with path.open("rb") as file:
        images, labels = np.load(file, allow_pickle=False), np.load(file, allow_pickle=False)
    assert len(images) == len(labels) == manifest.splits[split].num_images
    return Images(images, labels)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """Returns the order in which an epoch visits the images, int32 (images,): a function of its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


def make_batch(
    images: tf.Tensor,
    labels: tf.Tensor,
    indices: tf.Tensor,
    *,
    seed: int,
    step: tf.Tensor,
    part: tf.Tensor,
    num_parts: int,
    settings: Mapping[str, Any],
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns one part of an augmented batch; the parts together are the batch, however many they are.

    Args:
        images: All images, uint8 (images, height, width, 3).
        labels: All labels, int32 (images,).
        indices: The whole batch's images, int32 (batch,).
        seed: The training's seed.
        step: The training's step, int32.
        part: Which part: the replica's number.
        num_parts: How many parts the batch is cut into; divides its size.
        settings: The recipe's `augmentation`.

    Returns:
        float32 (batch / num_parts, height, width, 3) with values 0 to 255, and int32 (batch / num_parts,).
    """
    batch_size = indices.shape[0]
    drawn = augmentation.draw(
        tf.stack([seed, step]),
        batch_size,
        image_size=images.shape[1],
        rotation_degrees=settings["rotation_degrees"],
        shift_fraction=settings["shift_fraction"],
        brightness=settings["brightness"],
        horizontal_flip=settings["horizontal_flip"],
    )
    size = batch_size // num_parts
    indices, transforms, factors = (whole[part * size : (part + 1) * size] for whole in (indices, *drawn))
    moved = augmentation.augment(
        tf.gather(images, indices),
        transforms,
        factors,
        interpolation=settings["interpolation"],
        stretch=settings["stretch"],
    )
    return moved, tf.gather(labels, indices)
