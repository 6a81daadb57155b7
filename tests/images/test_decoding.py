import dataclasses
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tests.support.tiny_records import example, write_records

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.dataset.classes import NO_LABEL
from tiny_imagenet.dataset.manifest import Manifest, Split
from tiny_imagenet.images import decoding
from tiny_imagenet.images.decoding import DIGEST_BYTES, DecodedSplit, load_images, share_with_tensorflow
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.records.writer import write_shard


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("project") / "records"
    return folder, write_records(folder)


def test_the_pixels_equal_those_of_pillow(records: tuple[Path, Manifest], tmp_path: Path) -> None:
    folder, manifest = records
    for split, count in (("train", 26), ("val", 7)):
        found = load_images(folder, manifest, split, tmp_path)
        assert (found.images.shape, found.images.dtype) == ((count, 16, 16, 3), np.uint8)
        assert (found.labels.shape, found.labels.dtype) == ((count,), np.int32)
        modes = set()
        for pixels, label, features in zip(
            found.images, found.labels, iterate_examples(folder, manifest, split), strict=True
        ):
            image = Image.open(io.BytesIO(features["image/encoded"]))
            modes.add(image.mode)
            assert np.array_equal(pixels, np.asarray(image.convert("RGB")))
            assert label == features["image/class/label"]
        assert modes == {"RGB", "L"}


def test_the_cache_is_used(records: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_images(*records, "train", tmp_path / "cache")
    monkeypatch.setattr(decoding, "_decode", None)  # not called
    again = load_images(*records, "train", tmp_path / "cache")
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    with pytest.raises(TypeError):  # another split has a file of its own
        load_images(*records, "val", tmp_path / "cache")


def copies(found: DecodedSplit) -> DecodedSplit:
    """Copies the images to memory that does not depend on the file."""
    return DecodedSplit(np.array(found.images), found.labels)


def flip_the_first_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def flip_a_labels_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-DIGEST_BYTES - 1] ^= 1
    path.write_bytes(data)


def flip_the_digests_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def swap_two_blocks(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[1024:2048] + data[:1024] + data[2048:])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = [
    flip_the_first_bit,
    flip_a_bit,
    flip_a_labels_bit,
    flip_the_digests_bit,
    swap_two_blocks,
    truncate,
    lengthen,
    empty,
    Path.unlink,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_replaced(
    records: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    monkeypatch.setattr(decoding, "BLOCK_BYTES", 1024)
    good = copies(load_images(*records, "train", tmp_path))
    (path,) = tmp_path.glob("*.decoded")
    damage(path)
    again = load_images(*records, "train", tmp_path)
    assert np.array_equal(good.images, again.images)
    assert np.array_equal(good.labels, again.labels)
    monkeypatch.setattr(decoding, "_decode", None)
    assert np.array_equal(good.images, load_images(*records, "train", tmp_path).images)


def test_a_failure_leaves_no_partial_cache(
    records: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_records: Path, _manifest: Manifest, _split: str, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(decoding, "_decode", fail)
    with pytest.raises(PipelineError, match=r"\.decoded: needs 20,072 bytes.*free some space"):
        load_images(*records, "train", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def with_label(folder: Path, split: str, label: int) -> Manifest:
    """Writes records in which the last image of a split's second shard has a label; the manifest matches the files."""
    manifest = write_records(folder)
    shards = [
        write_shard(
            folder / f"{split}-0000{i}-of-00002.tfrecord",
            [example(2 * i, 0), example(2 * i + 1, 0) | {"image/class/label": i * label}],
        )
        for i in range(2)
    ]
    return dataclasses.replace(manifest, splits=manifest.splits | {split: Split.of(shards)})


@pytest.mark.parametrize(
    ("split", "label"), [("train", -1), ("val", 3), ("train", 2**40), ("val", -(2**63)), ("test", -2), ("test", 3)]
)
def test_a_label_that_is_no_class_is_refused(tmp_path: Path, split: str, label: int) -> None:
    manifest = with_label(tmp_path / "records", split, label)
    message = rf"{split}-00001-of-00002\.tfrecord: has an image of label {label}, and there are 3 classes, from 0; "
    with pytest.raises(InputError, match=message):
        load_images(tmp_path / "records", manifest, split, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_test_image_may_have_no_label(tmp_path: Path) -> None:
    manifest = with_label(tmp_path / "records", "test", NO_LABEL)
    found = load_images(tmp_path / "records", manifest, "test", tmp_path / "cache")
    assert found.labels.tolist() == [0, 0, 0, NO_LABEL]


def test_tensorflow_shares_the_memory_and_the_file_is_unchanged(records: tuple[Path, Manifest], tmp_path: Path) -> None:
    found = load_images(*records, "train", tmp_path)
    tensor = share_with_tensorflow(found.images)
    assert np.array_equal(tf.gather(tensor, [3, 25]), found.images[[3, 25]])
    found.images[3] ^= 255
    assert np.array_equal(tensor[3], found.images[3])
    assert not np.array_equal(load_images(*records, "train", tmp_path).images[3], found.images[3])


def test_memory_that_tensorflow_cannot_share_is_copied() -> None:
    memory = np.arange(3 * 64 + 16, dtype=np.uint8)
    at = (8 - memory.ctypes.data) % 64  # eight bytes past an aligned address
    misaligned = memory[at : at + 64]
    readonly = memory[:64]
    readonly.flags.writeable = False
    for array in (misaligned, memory[:128:2], readonly):
        assert np.array_equal(share_with_tensorflow(array), array)


def test_other_records_have_their_own_cache(records: tuple[Path, Manifest], tmp_path: Path) -> None:
    other = tmp_path / "records"
    manifest = write_records(other, train=11)
    cache = tmp_path / "cache"
    assert len(load_images(*records, "train", cache).labels) == 26
    assert len(load_images(other, manifest, "train", cache).labels) == 11


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty, Path.unlink])
def test_a_damaged_shard_is_an_error_despite_the_cache(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    manifest = write_records(tmp_path / "records")
    load_images(tmp_path / "records", manifest, "train", tmp_path / "cache")
    damage(tmp_path / "records" / "train-00001-of-00002.tfrecord")
    with pytest.raises(InputError, match=r"train-00001-of-00002\.tfrecord: .*dvc repro preprocess"):
        load_images(tmp_path / "records", manifest, "train", tmp_path / "cache")
