import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.classes import Class
from tiny_imagenet.dataset.manifest import MANIFEST, Manifest, Shard, Split, load_manifest, write_manifest

SHARDS = [Shard(f"train-0000{index}-of-00002.tfrecord", 3 + index, 100, "0" * 64) for index in range(2)]
CONTENT = Manifest("tiny", 16, (Class("n01", "Köter"),), {"train": Split.of(SHARDS)}, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


@pytest.fixture
def records(tmp_path: Path) -> Path:
    write_manifest(tmp_path, CONTENT)
    return tmp_path


def test_a_manifest_is_read_as_written(records: Path) -> None:
    assert load_manifest(records) == CONTENT
    assert CONTENT.num_classes == 1
    assert CONTENT.splits["train"].num_images == 7


def test_equal_manifests_give_equal_bytes(records: Path, tmp_path: Path) -> None:
    written = (records / MANIFEST).read_bytes()
    write_manifest(tmp_path, load_manifest(records))
    assert (tmp_path / MANIFEST).read_bytes() == written
    assert list(json.loads(written)) == [field.name for field in dataclasses.fields(Manifest)]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"name": "../evil.tfrecord"}, "name"),
        ({"num_images": 0}, "num_images"),
        ({"bytes": -1}, "bytes"),
        ({"sha256": "0" * 63}, "sha256"),
    ],
)
def test_an_invalid_shard_entry_is_refused(change: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        Shard(**(dataclasses.asdict(SHARDS[0]) | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": "16"}, "image_size"),
        ({"classes": []}, "classes"),
        ({"train_mean": [0.1]}, "train_mean"),
        ({"unknown": 1}, "unknown"),
        ({"splits": {"train": {"num_images": 1, "shards": []}}}, "num_images is not the sum"),
    ],
)
def test_the_invalid_key_is_named(records: Path, change: dict[str, Any], message: str) -> None:
    path = records / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=f"{MANIFEST}.*{message}.*dvc repro preprocess"):
        load_manifest(records)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_truncated_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(InputError, match="dvc repro preprocess"):
        load_manifest(tmp_path)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"manifest.json: No such file.*dvc repro preprocess"):
        load_manifest(tmp_path)


def test_reading_the_manifest_does_not_import_tensorflow() -> None:
    code = "import sys, tiny_imagenet.dataset.manifest; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False).returncode == 0
