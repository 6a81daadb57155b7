"""Both feeds give the same batches, from any place in an epoch; reading ahead ends when it should."""

import threading
import time
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.distribute import devices
from tiny_imagenet.images.decoding import Images
from tiny_imagenet.training.batch_source import FromDisk, InMemory, epoch_order, make_feed

BATCH = 4
IMAGES = Images(
    np.random.default_rng(0).integers(0, 256, (18, 5, 5, 3), dtype=np.uint8), np.arange(18, dtype=np.int32) % 7
)


def batches(feed: Any, start: int, groups: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the images and labels that steps would take, as steps.py takes them."""
    feed.begin(epoch_order(1, 0, 18), start)
    found = []
    for steps in groups:
        group = feed.take(steps)
        for i in range(steps):
            chosen = tf.slice(group.order, [group.start + i * BATCH], [BATCH])
            found.append((np.asarray(tf.gather(group.images, chosen)), np.asarray(tf.gather(group.labels, chosen))))
    return found


@pytest.mark.parametrize(("start", "groups"), [(0, [1, 2, 1]), (0, [4]), (8, [1, 1])])
@pytest.mark.parametrize("limit", [0, 1e9])
def test_the_batches_are_the_orders(start: int, groups: list[int], limit: float) -> None:
    feed = make_feed(IMAGES, BATCH, devices.make_strategy("cpu", "single"), limit)
    assert isinstance(feed, InMemory if limit else FromDisk)
    order = epoch_order(1, 0, 18)
    for _ in range(2):  # an epoch begun again begins anew
        found = batches(feed, start, groups)
        assert len(found) == sum(groups)
        for i, (images, labels) in enumerate(found):
            rows = order[start + i * BATCH : start + (i + 1) * BATCH]
            assert np.array_equal(images, IMAGES.images[rows])
            assert np.array_equal(labels, IMAGES.labels[rows])


class Broken:
    """Images on a disk that fails after some reads."""

    shape, nbytes = IMAGES.images.shape, IMAGES.images.nbytes

    def __init__(self, reads: int) -> None:
        self.reads = reads

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        self.reads -= 1
        if self.reads < 0:
            raise OSError(5, "Input/output error")
        return IMAGES.images[rows]


def test_what_the_reading_thread_raises_is_raised_by_take() -> None:
    broken: Any = Images(Broken(2), IMAGES.labels)  # type: ignore[arg-type]
    feed = FromDisk(broken, BATCH, devices.make_strategy("cpu", "single"))
    feed.begin(epoch_order(1, 0, 18), 0)
    feed.take(2)
    with pytest.raises(OSError, match="Input/output error"):
        feed.take(1)


def test_no_thread_outlives_its_epoch() -> None:
    before = threading.active_count()
    many = Images(np.repeat(IMAGES.images, 20, axis=0), np.repeat(IMAGES.labels, 20))
    feed = FromDisk(many, 1, devices.make_strategy("cpu", "single"))
    for _ in range(5):  # each left when the next begins, its queue full
        feed.begin(epoch_order(1, 0, 360), 0)
        feed.take(3)
    deadline = time.monotonic() + 30
    while threading.active_count() > before + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
