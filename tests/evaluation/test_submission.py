"""The challenge's submission: every test image in order, with its predicted class."""

import dataclasses
from pathlib import Path

import numpy as np
from tests.support.tiny_archive import SIZE, WNIDS, jpeg
from tests.support.tiny_records import example, write_records

from tiny_imagenet.dataset.classes import NO_LABEL
from tiny_imagenet.dataset.manifest import Split
from tiny_imagenet.evaluation.submission import write_submission
from tiny_imagenet.records.jpeg import decode
from tiny_imagenet.records.writer import write_shard

COUNT = 12  # in two shards; test_10 comes after test_9


def predict(images: np.ndarray) -> np.ndarray:
    """Logits that depend on the pixels alone."""
    return images.mean(axis=(1, 2)).astype(np.float32)


def test_every_test_image_has_one_line(tmp_path: Path) -> None:
    records = tmp_path / "records"
    manifest = write_records(records, train=6, val=3)
    examples = [
        example(7000 + index, NO_LABEL) | {"image/filename": f"test_{index}.JPEG".encode()} for index in range(COUNT)
    ]
    parts = examples[: COUNT // 2], examples[COUNT // 2 :]
    shards = [write_shard(records / f"test-{index}.tfrecord", part) for index, part in enumerate(parts)]
    manifest = dataclasses.replace(manifest, splits=manifest.splits | {"test": Split.of(shards)})
    write_submission(tmp_path / "submission.txt", records, manifest, tmp_path / "cache", predict)

    pixels, _ = decode([jpeg(7000 + index) for index in range(COUNT)], ["image"] * COUNT, SIZE)
    expected = [f"test_{index}.JPEG {WNIDS[label]}" for index, label in enumerate(predict(pixels).argmax(axis=1))]
    assert (tmp_path / "submission.txt").read_text().splitlines() == expected
    assert len({line.split()[1] for line in expected}) > 1


def test_without_a_test_split_the_file_is_empty(tmp_path: Path) -> None:
    manifest = write_records(tmp_path / "records", train=6, val=3)
    write_submission(tmp_path / "submission.txt", tmp_path / "records", manifest, tmp_path / "cache", predict)
    assert (tmp_path / "submission.txt").read_text() == ""
