import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.tiny_records import write_records

from tiny_imagenet import decoding
from tiny_imagenet.decoding import load_images
from tiny_imagenet.errors import InputError
from tiny_imagenet.tfrecords import Manifest, iterate_examples


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    folder = tmp_path_factory.mktemp("project") / "records"
    return folder, write_records(folder)


def test_the_pixels_are_pillows_bit_for_bit(records: tuple[Path, Manifest]) -> None:
    folder, manifest = records
    for split, count in (("train", 26), ("val", 7)):
        found = load_images(folder, manifest, split)
        assert (found.images.shape, found.images.dtype) == ((count, 16, 16, 3), np.uint8)
        assert (found.labels.shape, found.labels.dtype) == ((count,), np.int32)
        modes = set()
        for pixels, label, example in zip(
            found.images, found.labels, iterate_examples(folder, manifest, split), strict=True
        ):
            image = Image.open(io.BytesIO(example["image/encoded"]))
            modes.add(image.mode)
            assert np.array_equal(pixels, np.asarray(image.convert("RGB")))
            assert label == example["image/class/label"]
        assert modes == {"RGB", "L"}


def test_the_cache_is_used(records: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_images(*records, "train", tmp_path / "cache")
    monkeypatch.setattr(decoding, "_decode", None)  # not called
    again = load_images(*records, "train", tmp_path / "cache")
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    with pytest.raises(TypeError):  # another split has a file of its own
        load_images(*records, "val", tmp_path / "cache")


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def forget_the_digest(path: Path) -> None:
    path.with_suffix(".sha256").unlink()


def cut_the_digest(path: Path) -> None:
    cut(path.with_suffix(".sha256"))


def put_pickles_in_it(path: Path) -> None:
    np.save(path, np.array([{}], object), allow_pickle=True)


@pytest.mark.parametrize("spoil", [flip_a_bit, cut, empty, forget_the_digest, cut_the_digest, put_pickles_in_it])
def test_a_damaged_cache_is_not_trusted_but_made_again(
    records: tuple[Path, Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    good = load_images(*records, "train", tmp_path)
    (path,) = tmp_path.glob("*.npy")
    spoil(path)
    again = load_images(*records, "train", tmp_path)
    assert np.array_equal(good.images, again.images)
    assert np.array_equal(good.labels, again.labels)
    monkeypatch.setattr(decoding, "_decode", None)
    assert np.array_equal(good.images, load_images(*records, "train", tmp_path).images)


def test_another_datas_cache_is_not_found(records: tuple[Path, Manifest], tmp_path: Path) -> None:
    other = tmp_path / "records"
    manifest = write_records(other, train=11)
    cache = tmp_path / "cache"
    assert len(load_images(*records, "train", cache).labels) == 26
    assert len(load_images(other, manifest, "train", cache).labels) == 11


@pytest.mark.parametrize("spoil", [flip_a_bit, cut, empty, Path.unlink])
def test_a_spoilt_shard_is_an_error_also_where_there_is_a_cache(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    manifest = write_records(tmp_path / "records")
    load_images(tmp_path / "records", manifest, "train", tmp_path / "cache")
    spoil(tmp_path / "records" / "train-00001-of-00002.tfrecord")
    with pytest.raises(InputError, match=r"train-00001-of-00002\.tfrecord: .*dvc repro preprocess"):
        load_images(tmp_path / "records", manifest, "train", tmp_path / "cache")
