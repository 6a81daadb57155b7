import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import MANIFEST, Manifest, Split, load_manifest, write_manifest
from tiny_imagenet.images.reader import iterate_examples, read_split, verify_split
from tiny_imagenet.records.writer import write_shard


def example(index: int) -> dict[str, Any]:
    return {
        "image/encoded": bytes([index]) * 50,
        "image/format": b"jpeg",
        "image/height": 16,
        "image/width": 16,
        "image/class/label": index % 2 - 1,
        "image/class/synset": b"n01",
        "image/class/text": "Köter".encode(),
        "image/filename": b"%d.JPEG" % index,
    }


EXAMPLES = [example(index) for index in range(20)]


@pytest.fixture
def records(tmp_path: Path) -> tuple[Path, Manifest]:
    shards = [
        write_shard(tmp_path / "train-00000-of-00002.tfrecord", EXAMPLES[:12]),
        write_shard(tmp_path / "train-00001-of-00002.tfrecord", EXAMPLES[12:]),
    ]
    splits = {"train": Split.of(shards)}
    manifest = Manifest("tiny", 16, (Class("n01", "Köter"),), splits, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    write_manifest(tmp_path, manifest)
    return tmp_path, manifest


def test_what_is_written_is_read(records: tuple[Path, Manifest]) -> None:
    directory, manifest = records
    assert load_manifest(directory) == manifest
    assert manifest.num_classes == 1
    verify_split(directory, manifest, "train")
    assert list(iterate_examples(directory, manifest, "train")) == EXAMPLES
    dataset = read_split(directory, manifest, "train")
    assert dataset.cardinality() == 20
    assert dataset.options().autotune.enabled is False
    pairs = [(encoded, int(label)) for encoded, label in dataset.as_numpy_iterator()]
    assert pairs == [(item["image/encoded"], item["image/class/label"]) for item in EXAMPLES]


def test_equal_examples_are_equal_bytes(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "a.tfrecord", EXAMPLES)
    other = write_shard(tmp_path / "b.tfrecord", [dict(reversed(item.items())) for item in EXAMPLES])
    assert one.sha256 == other.sha256
    assert one.bytes == (tmp_path / "a.tfrecord").stat().st_size


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_in_mid_record(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def cut_at_a_record_boundary(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: -len(data) // 8])


def swap_in_another_run(path: Path) -> None:
    write_shard(path, EXAMPLES[:7:-1][:8])


@pytest.mark.parametrize(
    "spoil", [flip_a_bit, cut_in_mid_record, cut_at_a_record_boundary, swap_in_another_run, Path.unlink]
)
def test_a_spoilt_shard_is_named(records: tuple[Path, Manifest], spoil: Any) -> None:
    directory, manifest = records
    spoil(directory / "train-00001-of-00002.tfrecord")
    with pytest.raises(InputError, match=r"train-00001-of-00002\.tfrecord.*dvc repro preprocess"):
        verify_split(directory, manifest, "train")


def test_an_unknown_split_is_named(records: tuple[Path, Manifest]) -> None:
    with pytest.raises(InputError, match="no split 'holdout'; choose among train"):
        read_split(*records, "holdout")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": "16"}, "image_size"),
        ({"classes": []}, "classes"),
        ({"train_mean": [0.1]}, "train_mean"),
        ({"surprise": 1}, "surprise"),
        ({"splits": {"train": {"num_images": 1, "shards": []}}}, "num_images is not the sum"),
    ],
)
def test_a_broken_manifest_is_named(records: tuple[Path, Manifest], change: dict[str, Any], message: str) -> None:
    path = records[0] / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=f"{MANIFEST}.*{message}.*dvc repro preprocess"):
        load_manifest(records[0])


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_cut_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match="dvc repro preprocess"):
        load_manifest(tmp_path)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest.json: No such file.*dvc repro preprocess"):
        load_manifest(tmp_path)


def test_a_shard_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"a\.tfrecord: cannot be written"):
        write_shard(tmp_path / "missing" / "a.tfrecord", EXAMPLES)


def test_reading_the_manifest_does_not_import_tensorflow() -> None:
    code = "import sys, tiny_imagenet.dataset.manifest; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False).returncode == 0
