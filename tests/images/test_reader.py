from pathlib import Path
from typing import Any

import pytest
from tests.support.tiny_examples import EXAMPLES

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import Manifest, Split
from tiny_imagenet.images.reader import iterate_examples, read_split, verify_split
from tiny_imagenet.records.writer import write_shard


@pytest.fixture
def records(tmp_path: Path) -> tuple[Path, Manifest]:
    shards = [
        write_shard(tmp_path / "train-00000-of-00002.tfrecord", EXAMPLES[:12]),
        write_shard(tmp_path / "train-00001-of-00002.tfrecord", EXAMPLES[12:]),
    ]
    splits = {"train": Split.of(shards)}
    manifest = Manifest("tiny", 16, (Class("n01", "Köter"),), splits, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    return tmp_path, manifest


def test_written_examples_are_read_back(records: tuple[Path, Manifest]) -> None:
    directory, manifest = records
    verify_split(directory, manifest, "train")
    assert list(iterate_examples(directory, manifest, "train")) == EXAMPLES
    dataset = read_split(directory, manifest, "train")
    assert dataset.cardinality() == 20
    assert dataset.options().autotune.enabled is False
    pairs = [(encoded, int(label)) for encoded, label in dataset.as_numpy_iterator()]
    assert pairs == [(item["image/encoded"], item["image/class/label"]) for item in EXAMPLES]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate_within_a_record(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def truncate_between_records(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: -len(data) // 8])


def replace_with_another_shard(path: Path) -> None:
    write_shard(path, EXAMPLES[:7:-1][:8])


@pytest.mark.parametrize(
    "damage", [flip_a_bit, truncate_within_a_record, truncate_between_records, replace_with_another_shard, Path.unlink]
)
def test_a_damaged_shard_is_named(records: tuple[Path, Manifest], damage: Any) -> None:
    directory, manifest = records
    damage(directory / "train-00001-of-00002.tfrecord")
    with pytest.raises(InputError, match=r"train-00001-of-00002\.tfrecord.*dvc repro preprocess"):
        verify_split(directory, manifest, "train")


def test_an_unknown_split_is_named(records: tuple[Path, Manifest]) -> None:
    with pytest.raises(InputError, match="no split 'holdout'; choose among train"):
        read_split(*records, "holdout")
