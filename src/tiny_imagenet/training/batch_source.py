"""Batch sources: all images on the devices, or images read from disk ahead of the steps."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tiny_imagenet.augmentation.batch import Images, Selection
from tiny_imagenet.images.decoding import DecodedSplit, share_with_tensorflow

READ_AHEAD = 32  # batches


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """Returns the random order of the images in an epoch, int32 (images,); a function of the arguments only."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


class Batches(NamedTuple):
    """The batches of consecutive steps.

    Attributes:
        source: The images to gather from, on each replica.
        selection: The images of all batches, one batch after the other.
        offset: Index in `selection` of the first batch's first image, int32.
    """

    source: Images
    selection: Selection
    offset: tf.Tensor


class BatchSource(Protocol):
    """Provides the batches of an epoch, several steps at a time."""

    def start_epoch(self, order: np.ndarray, offset: int) -> None:
        """Starts an epoch at index `offset` of its order of the images, int32 (images,)."""

    def next_batches(self, steps: int) -> Batches:
        """Returns the batches of the next steps."""


def make_batch_source(
    split: DecodedSplit, batch_size: int, strategy: tf.distribute.Strategy, memory_bytes: float
) -> BatchSource:
    """Returns a source that keeps all images in memory, or reads from disk if they exceed `memory_bytes`."""
    if split.images.nbytes <= memory_bytes:
        return InMemory(split, batch_size, strategy)
    return FromDisk(split, batch_size, strategy)


class InMemory:
    """A source that keeps all images on every device."""

    def __init__(self, split: DecodedSplit, batch_size: int, strategy: tf.distribute.Strategy) -> None:
        self._batch_size = batch_size
        self._source = Images(*_on_each_device(strategy, split.images, split.labels.astype(np.int64)))
        self._order, self._offset = tf.constant(0, tf.int64), 0

    def start_epoch(self, order: np.ndarray, offset: int) -> None:
        """See BatchSource."""
        self._order, self._offset = tf.constant(order, tf.int64), offset

    def next_batches(self, steps: int) -> Batches:
        """See BatchSource."""
        offset, self._offset = self._offset, self._offset + steps * self._batch_size
        return Batches(self._source, Selection(self._order, self._order), tf.constant(offset))


class FromDisk:
    """A source whose thread reads up to READ_AHEAD batches ahead of the steps."""

    def __init__(self, split: DecodedSplit, batch_size: int, strategy: tf.distribute.Strategy) -> None:
        self._split, self._batch_size, self._strategy = split, batch_size, strategy
        self._read: Iterator[DecodedSplit] = iter(())
        self._order, self._offset = np.zeros(0, np.int32), 0

    def start_epoch(self, order: np.ndarray, offset: int) -> None:
        """See BatchSource."""
        self._order, self._offset = order, offset
        ends = range(offset + self._batch_size, len(order) + 1, self._batch_size)
        self._read = _prefetch(self._rows(order[end - self._batch_size : end]) for end in ends)

    def next_batches(self, steps: int) -> Batches:
        """See BatchSource."""
        batches = [next(self._read) for _ in range(steps)]
        images = np.concatenate([batch.images for batch in batches])
        labels = np.concatenate([batch.labels for batch in batches]).astype(np.int64)
        source = Images(*_on_each_device(self._strategy, images, labels))
        offset, self._offset = self._offset, self._offset + steps * self._batch_size
        image_ids = tf.constant(self._order[offset : self._offset], tf.int64)
        rows = tf.range(steps * self._batch_size, dtype=tf.int64)
        return Batches(source, Selection(rows, image_ids), tf.constant(0))

    def _rows(self, indices: np.ndarray) -> DecodedSplit:
        return DecodedSplit(self._split.images[indices], self._split.labels[indices])


def _prefetch(items: Iterator[DecodedSplit]) -> Iterator[DecodedSplit]:
    """Yields the items that a thread reads ahead; the thread ends with the iterator, and its errors are raised here."""
    fetched: queue.Queue[DecodedSplit | BaseException | None] = queue.Queue(READ_AHEAD)
    ended = threading.Event()

    def put(item: DecodedSplit | BaseException | None) -> None:
        while not ended.is_set():
            with contextlib.suppress(queue.Full):  # the queue is full: check whether the iterator has ended
                fetched.put(item, timeout=0.1)
                return

    def fetch() -> None:
        try:
            for item in items:
                put(item)
                if ended.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        while (item := fetched.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ended.set()


@tf.function(reduce_retracing=True, autograph=False)
def _copy(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.identity(tensor) for tensor in tensors]


def _on_each_device(strategy: tf.distribute.Strategy, *arrays: np.ndarray) -> tuple[tf.Tensor, ...]:
    with tf.device("cpu"):
        tensors = tuple(share_with_tensorflow(array) for array in arrays)
    if strategy.num_replicas_in_sync == 1 and not tf.config.get_visible_devices("GPU"):
        return tensors
    return tuple(strategy.run(_copy, tensors))
