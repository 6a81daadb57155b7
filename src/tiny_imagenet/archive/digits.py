"""The built-in dataset: scikit-learn's 1,797 handwritten digits as an archive in Tiny ImageNet's layout."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from tiny_imagenet.core.files import atomic_write

ROOT = "digits"
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
IMAGE_SIZE = 64
TEST_PER_CLASS = 20
VAL_PER_CLASS = 30
DATE = (1980, 1, 1, 0, 0, 0)  # of every member: equal digits give equal bytes


def write_digits_archive(path: Path) -> None:
    """Writes the digits as a zip, atomically: 10 classes, 64 x 64 gray images as RGB JPEG.

    In scikit-learn's order, the first 20 images of each class are test, without labels, the next 30 val, the rest
    train. Equal versions of scikit-learn and Pillow write equal bytes.
    """
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, data in _members():
            info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)


def _members() -> Iterator[tuple[str, bytes]]:
    from sklearn.datasets import load_digits  # slow to import, needed for this dataset only

    wnids = [f"n{label:08}" for label in range(len(WORDS))]  # in WordNet's format; not ids of WordNet
    yield "wnids.txt", "".join(f"{wnid}\n" for wnid in wnids).encode()
    yield "words.txt", "".join(f"{wnid}\t{words}\n" for wnid, words in zip(wnids, WORDS, strict=True)).encode()
    digits = load_digits()
    seen = dict.fromkeys(wnids, 0)
    num_test, annotations = 0, list[str]()
    for pixels, label in zip(digits.images, digits.target, strict=True):
        wnid = wnids[label]
        rank, seen[wnid] = seen[wnid], seen[wnid] + 1
        if rank < TEST_PER_CLASS:
            name = f"test/images/test_{num_test}.JPEG"
            num_test += 1
        elif rank < TEST_PER_CLASS + VAL_PER_CLASS:
            file = f"val_{len(annotations)}.JPEG"
            annotations.append(f"{file}\t{wnid}\t0\t0\t{IMAGE_SIZE - 1}\t{IMAGE_SIZE - 1}\n")
            name = f"val/images/{file}"
        else:
            name = f"train/{wnid}/images/{wnid}_{rank - TEST_PER_CLASS - VAL_PER_CLASS}.JPEG"
        yield name, _as_jpeg(pixels)
    yield "val/val_annotations.txt", "".join(annotations).encode()


def _as_jpeg(pixels: Any) -> bytes:
    """Encodes an (8, 8) array of values 0 to 16 as a JPEG."""
    gray = Image.fromarray((pixels * (255 / 16)).round().astype("uint8"))
    image = gray.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
