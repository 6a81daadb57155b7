from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tiny_imagenet.archive.digits import WORDS, write_digits_archive
from tiny_imagenet.archive.zip_archive import Archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    path = tmp_path_factory.mktemp("digits") / "archive.zip"
    write_digits_archive(path)
    with Archive(path) as archive:
        yield archive


def lines(archive: Archive, name: str) -> list[list[str]]:
    return [line.split("\t") for line in archive.read(name).decode().splitlines()]


def pixels(archive: Archive, name: str) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 64))
        return np.asarray(image)


def test_the_layout_is_tiny_imagenets(archive: Archive) -> None:
    assert archive.root == "digits"
    assert {"wnids.txt", "words.txt", "val/val_annotations.txt"} <= set(archive.names)
    wnids = [wnid for (wnid,) in lines(archive, "wnids.txt")]
    assert lines(archive, "words.txt") == [[wnid, words] for wnid, words in zip(wnids, WORDS, strict=True)]


def test_the_split_is_20_test_30_val_a_class_and_the_rest_train(archive: Archive) -> None:
    images = [name for name in archive.names if name.endswith(".JPEG")]
    assert Counter(name.split("/")[0] for name in images) == {"train": 1297, "val": 300, "test": 200}
    annotations = lines(archive, "val/val_annotations.txt")
    assert {f"val/images/{row[0]}" for row in annotations} == {name for name in images if name.startswith("val/")}
    assert set(Counter(row[1] for row in annotations).values()) == {30}
    in_train = Counter(name.split("/")[1] for name in images if name.startswith("train/"))
    assert list(in_train.values()) == [int(count) - 50 for count in np.bincount(load_digits().target)]


def test_every_digit_is_there_once_under_its_label(archive: Archive) -> None:
    """Each image is nearest to the digit it was made of, and no digit is in two places."""
    digits = load_digits()
    enlarged = [Image.fromarray(image.astype("float32")).resize((64, 64), Image.BICUBIC) for image in digits.images]
    originals = np.stack([np.clip(image, 0, 16) for image in enlarged]).reshape(-1, 64 * 64)
    label_of = {wnid: label for label, (wnid,) in enumerate(lines(archive, "wnids.txt"))}
    val_label = {f"val/images/{row[0]}": label_of[row[1]] for row in lines(archive, "val/val_annotations.txt")}
    names = [name for name in archive.names if name.endswith(".JPEG")]
    images = np.stack([pixels(archive, name) for name in names])
    assert np.ptp(images, axis=-1).max() == 0  # gray
    images = images[..., 0].reshape(-1, 64 * 64).astype("float32") * (16 / 255)
    nearest = (np.square(originals).sum(axis=1) - 2 * images @ originals.T).argmin(axis=1)
    assert sorted(nearest) == list(range(1797))
    for name, source in zip(names, nearest, strict=True):
        label = val_label.get(name, label_of.get(name.split("/")[1]))
        assert label == (None if name.startswith("test/") else digits.target[source])


def test_the_bytes_are_the_same_each_time(archive: Archive, tmp_path: Path) -> None:
    write_digits_archive(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == archive.path.read_bytes()
    assert [entry.name for entry in tmp_path.iterdir()] == ["again.zip"]
