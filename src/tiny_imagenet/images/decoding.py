"""Decoding of a split into a cache file that is mapped into memory."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from tiny_imagenet.core.cpus import available_cpus
from tiny_imagenet.core.disk import disk_errors
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write, locked
from tiny_imagenet.dataset.classes import NO_LABEL
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.images.reader import REWRITE, read_split, verify_split

BLOCK_BYTES = 1 << 20  # hashed by one thread at a time
DIGEST_BYTES = 32
ALIGNMENT_BYTES = 64  # TensorFlow aborts on memory of a smaller alignment


@dataclass(frozen=True)
class DecodedSplit:
    """A decoded split: images uint8 (images, height, width, 3), labels int32 (images,)."""

    images: np.ndarray
    labels: np.ndarray


def load_images(records: Path, manifest: Manifest, split: str, cache: Path) -> DecodedSplit:
    """Verifies the shards of a split and decodes them in order to the pixels that Pillow gives.

    The images are mapped from a file, so the system can drop pages from memory that are not in use.

    Args:
        records: Folder of the shards.
        manifest: The manifest of that folder.
        split: Name of the split, such as "train".
        cache: Folder of decoded images, kept for later runs.

    Raises:
        InputError: A shard differs from the manifest, or has a label that is no class.
        PipelineError: The cache file cannot be written.
    """
    verify_split(records, manifest, split)
    shards = "".join(shard.sha256 for shard in manifest.splits[split].shards)
    path = cache / f"{hashlib.sha256(shards.encode()).hexdigest()[:16]}.decoded"
    shape = (manifest.splits[split].num_images, manifest.image_size, manifest.image_size, 3)
    num_bytes = int(np.prod(shape)) + 4 * shape[0]
    with disk_errors(path, num_bytes), locked(cache):
        if not _is_complete(path, num_bytes):
            with atomic_write(path) as temporary:
                _decode(records, manifest, split, temporary)
                digest = _digest(temporary, num_bytes)
                with temporary.open("ab") as file:
                    file.write(digest)
        return _map(path, shape)


def share_with_tensorflow(array: np.ndarray) -> tf.Tensor:
    """Returns a CPU tensor that shares the array's memory if possible; `tf.convert_to_tensor` makes two copies."""
    if array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % ALIGNMENT_BYTES == 0:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.convert_to_tensor(array)


def _decode(records: Path, manifest: Manifest, split: str, path: Path) -> None:
    """Writes all pixels, uint8, then all labels, int32."""
    shape, labels = (manifest.image_size, manifest.image_size, 3), []

    def decode(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.ensure_shape(tf.io.decode_jpeg(encoded, 3, dct_method="INTEGER_ACCURATE"), shape), label

    with path.open("wb") as file:
        for batch, batch_labels in read_split(records, manifest, split).map(decode, available_cpus()).batch(500):
            file.write(batch.numpy().data)
            labels.append(batch_labels.numpy())
        found = np.concatenate(labels)
        _check_labels(records, manifest, split, found)
        file.write(found.astype(np.int32).data)


def _check_labels(records: Path, manifest: Manifest, split: str, labels: np.ndarray) -> None:
    """Checks that each label, int64, is one of the classes, or in the test split NO_LABEL.

    Raises:
        InputError: One is not; names its shard. The manifest has the digests of the shards, not their labels.
    """
    lowest = NO_LABEL if split == "test" else 0
    wrong = np.flatnonzero((labels < lowest) | (labels >= manifest.num_classes))
    if len(wrong):
        shards = manifest.splits[split].shards
        ends = np.cumsum([shard.num_images for shard in shards])
        shard = shards[int(np.searchsorted(ends, wrong[0], side="right"))]
        what = f"has an image of label {labels[wrong[0]]}, and there are {manifest.num_classes} classes, from 0"
        raise InputError(records / shard.name, what, REWRITE)


def _map(path: Path, shape: tuple[int, ...]) -> DecodedSplit:
    data = np.asarray(np.memmap(path, np.uint8, mode="c"))  # copy-on-write: TensorFlow shares writable memory only
    end = int(np.prod(shape))
    return DecodedSplit(data[:end].reshape(shape), np.frombuffer(data[end:-DIGEST_BYTES].tobytes(), np.int32))


def _is_complete(path: Path, num_bytes: int) -> bool:
    """Returns whether a file holds `num_bytes` bytes followed by their digest."""
    if not path.exists() or path.stat().st_size != num_bytes + DIGEST_BYTES:
        return False
    with path.open("rb") as file:
        file.seek(num_bytes)
        return file.read() == _digest(path, num_bytes)


def _digest(path: Path, num_bytes: int) -> bytes:
    """Hashes the first bytes of a file: SHA-256 over the SHA-256 of its blocks, computed by several threads."""

    def digest_block(start: int) -> bytes:
        return hashlib.sha256(os.pread(file.fileno(), min(BLOCK_BYTES, num_bytes - start), start)).digest()

    with path.open("rb") as file, ThreadPoolExecutor(available_cpus()) as threads:
        return hashlib.sha256(b"".join(threads.map(digest_block, range(0, num_bytes, BLOCK_BYTES)))).digest()
