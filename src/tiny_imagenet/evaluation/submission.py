"""Predictions for the test split, whose labels are not published, in the challenge's submission format."""

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
    """Writes one line per test image, `test_0.JPEG n01443537`, ordered by number; an empty file without a test split.

    Args:
        path: The text file.
        records: Folder of the shards.
        manifest: Manifest of the records.
        cache: Folder of the decoded images.
        predict: Function from images, uint8 (images, height, width, 3), to logits (images, classes).
    """
    lines = []
    if "test" in manifest.splits:
        # Preprocess keeps the test images in natural order: 2 before 10.
        names = [example["image/filename"].decode() for example in iterate_examples(records, manifest, "test")]
        labels = predict(load_images(records, manifest, "test", cache).images).argmax(axis=1)
        lines = [f"{name} {manifest.classes[label].wnid}\n" for name, label in zip(names, labels, strict=True)]
    with atomic_write(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
