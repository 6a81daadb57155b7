"""Images in memory and images read from disk give the same batches; the reading thread ends with its epoch."""

import threading
import time
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.distribute import devices
from tiny_imagenet.images.decoding import DecodedSplit
from tiny_imagenet.training.batch_source import BatchSource, FromDisk, InMemory, epoch_order, make_batch_source

BATCH_SIZE, NUM_IMAGES = 4, 18
SPLIT = DecodedSplit(
    np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 5, 5, 3), dtype=np.uint8),
    np.arange(NUM_IMAGES, dtype=np.int32) % 7,
)
ORDER = epoch_order(1, 0, NUM_IMAGES)


def gather_batches(source: BatchSource, calls: list[int]) -> list[tuple[np.ndarray, ...]]:
    """Returns the images, labels and image ids of each batch, as the training step gathers them."""
    found = []
    for steps in calls:
        batches = source.next_batches(steps)
        for i in range(steps):
            start = [batches.offset + i * BATCH_SIZE]
            rows, image_ids = (tf.slice(each, start, [BATCH_SIZE]) for each in batches.selection)
            images, labels = (tf.gather(each, rows) for each in batches.source)
            found.append((np.asarray(images), np.asarray(labels), np.asarray(image_ids)))
    return found


@pytest.mark.parametrize(("offset", "calls"), [(0, [1, 2, 1]), (0, [4]), (8, [1, 1])])
@pytest.mark.parametrize(("memory_bytes", "kind"), [(0, FromDisk), (1e9, InMemory)])
def test_batches_follow_the_order_from_any_offset(
    offset: int, calls: list[int], memory_bytes: float, kind: type[BatchSource]
) -> None:
    source = make_batch_source(SPLIT, BATCH_SIZE, devices.make_strategy("cpu", "single"), memory_bytes)
    assert isinstance(source, kind)
    for _ in range(2):  # starting an epoch again starts from its offset
        source.start_epoch(ORDER, offset)
        found = gather_batches(source, calls)
        assert len(found) == sum(calls)
        for i, (images, labels, image_ids) in enumerate(found):
            expected = ORDER[offset + i * BATCH_SIZE : offset + (i + 1) * BATCH_SIZE]
            assert np.array_equal(image_ids, expected)
            assert np.array_equal(images, SPLIT.images[expected])
            assert np.array_equal(labels, SPLIT.labels[expected])


def test_the_order_is_a_permutation_that_differs_by_seed_and_epoch() -> None:
    assert np.array_equal(np.sort(ORDER), np.arange(NUM_IMAGES))
    assert ORDER.dtype == np.int32
    assert np.array_equal(ORDER, epoch_order(1, 0, NUM_IMAGES))
    assert not np.array_equal(ORDER, epoch_order(1, 1, NUM_IMAGES))
    assert not np.array_equal(ORDER, epoch_order(2, 0, NUM_IMAGES))


@pytest.mark.parametrize("kind", [FromDisk, InMemory])
def test_labels_and_rows_are_of_a_type_that_a_gpu_keeps_in_its_memory(kind: Any) -> None:
    source = kind(SPLIT, BATCH_SIZE, devices.make_strategy("cpu", "single"))
    source.start_epoch(ORDER, 0)
    batches = source.next_batches(2)
    assert {each.dtype for each in (batches.source.labels, *batches.selection)} == {tf.int64}


class FailingImages:
    """Images on a disk that fails after some reads."""

    shape, nbytes = SPLIT.images.shape, SPLIT.images.nbytes

    def __init__(self, reads: int) -> None:
        self.reads = reads

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.reads -= 1
        if self.reads < 0:
            raise OSError(5, "Input/output error")
        return SPLIT.images[rows]


def test_an_error_of_the_reading_thread_is_raised_in_next_batches() -> None:
    failing: Any = DecodedSplit(FailingImages(2), SPLIT.labels)  # type: ignore[arg-type]
    source = FromDisk(failing, BATCH_SIZE, devices.make_strategy("cpu", "single"))
    source.start_epoch(ORDER, 0)
    source.next_batches(2)
    with pytest.raises(OSError, match="Input/output error"):
        source.next_batches(1)


def test_no_reading_thread_outlives_its_epoch() -> None:
    before = threading.active_count()
    many = DecodedSplit(np.repeat(SPLIT.images, 20, axis=0), np.repeat(SPLIT.labels, 20))
    source = FromDisk(many, 1, devices.make_strategy("cpu", "single"))
    for _ in range(5):  # each epoch is left early, with a full queue
        source.start_epoch(epoch_order(1, 0, len(many.labels)), 0)
        source.next_batches(3)
    deadline = time.monotonic() + 30
    while threading.active_count() > before + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
