"""The challenge's submission: a class for each test image, whose labels were never published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tiny_imagenet.core.files import atomic_write
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.images.decoding import load_images
from tiny_imagenet.images.reader import iterate_examples


def write_submission(
    path: Path, records: Path, manifest: Manifest, cache: Path, predict: Callable[[np.ndarray], np.ndarray]
) -> None:
    """Writes a line a test image, `test_0.JPEG n01443537`, in the numbers' order; no line if there is no test split.

    Args:
        path: The text file.
        records: The folder of the shards.
        manifest: Its manifest.
        cache: The folder of decoded images.
        predict: From images, uint8 (images, height, width, 3), to logits (images, classes).
    """
    lines = []
    if "test" in manifest.splits:
        # Preprocess leaves the test images in their natural order: 2 before 10.
        names = [example["image/filename"].decode() for example in iterate_examples(records, manifest, "test")]
        labels = predict(load_images(records, manifest, "test", cache).images).argmax(axis=1)
        lines = [f"{name} {manifest.classes[label].wnid}\n" for name, label in zip(names, labels, strict=True)]
    with atomic_write(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
