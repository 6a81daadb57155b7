"""Where the steps find their images: all of them on the devices, or read from disk ahead of the steps."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tiny_imagenet.data.decoding import Images, share_with_tensorflow

READ_AHEAD = 32  # batches


class Group(NamedTuple):
    """The images of some steps.

    Attributes:
        images: On each replica, uint8 (images, height, width, 3).
        labels: On each replica, int32 (images,).
        order: Which of these images the steps take, one batch after the other, int32.
        numbers: What the same images are numbered in their split, int32.
        start: The place in `order` of the first step's batch, int32.
    """

    images: tf.Tensor
    labels: tf.Tensor
    order: tf.Tensor
    numbers: tf.Tensor
    start: tf.Tensor


class Feed(Protocol):
    """What gives an epoch's images, some steps at a time."""

    def begin(self, order: np.ndarray, start: int) -> None:
        """Begins an epoch that visits the images in this order, int32, from place `start` on."""

    def take(self, steps: int) -> Group:
        """Returns what the next steps need."""


def make_feed(images: Images, batch_size: int, strategy: tf.distribute.Strategy, memory_bytes: float) -> Feed:
    """Returns a feed of images that holds them all, or if they are larger than `memory_bytes` a few batches of them."""
    if images.images.nbytes <= memory_bytes:
        return InMemory(images, batch_size, strategy)
    return FromDisk(images, batch_size, strategy)


class InMemory:
    """All images on every device."""

    def __init__(self, images: Images, batch_size: int, strategy: tf.distribute.Strategy) -> None:
        self._batch_size = batch_size
        self._images, self._labels = _on_each_device(strategy, images.images, images.labels)
        self._order, self._next = tf.constant(0), 0

    def begin(self, order: np.ndarray, start: int) -> None:
        """See Feed."""
        self._order, self._next = tf.constant(order), start

    def take(self, steps: int) -> Group:
        """See Feed."""
        start, self._next = self._next, self._next + steps * self._batch_size
        return Group(self._images, self._labels, self._order, self._order, tf.constant(start))


class FromDisk:
    """A thread reads the batches ahead of the steps; no more than a few are in memory."""

    def __init__(self, images: Images, batch_size: int, strategy: tf.distribute.Strategy) -> None:
        self._images, self._batch_size, self._strategy = images, batch_size, strategy
        self._read: Iterator[Images] = iter(())
        self._order, self._next = np.zeros(0, np.int32), 0

    def begin(self, order: np.ndarray, start: int) -> None:
        """See Feed."""
        self._order, self._next = order, start
        ends = range(start + self._batch_size, len(order) + 1, self._batch_size)
        self._read = _ahead(self._rows(order[end - self._batch_size : end]) for end in ends)

    def take(self, steps: int) -> Group:
        """See Feed."""
        batches = [next(self._read) for _ in range(steps)]
        images = np.concatenate([batch.images for batch in batches])
        labels = np.concatenate([batch.labels for batch in batches])
        images, labels = _on_each_device(self._strategy, images, labels)
        start, self._next = self._next, self._next + steps * self._batch_size
        numbers = tf.constant(self._order[start : self._next])
        return Group(images, labels, tf.range(steps * self._batch_size), numbers, tf.constant(0))

    def _rows(self, indices: np.ndarray) -> Images:
        return Images(self._images.images[indices], self._images.labels[indices])


def _ahead(items: Iterator[Images]) -> Iterator[Images]:
    """Yields the items, fetched by a thread of its own, which ends with the iterator; what it raises is raised here."""
    fetched: queue.Queue[Images | BaseException | None] = queue.Queue(READ_AHEAD)
    ended = threading.Event()

    def put(item: Images | BaseException | None) -> None:
        while not ended.is_set():
            with contextlib.suppress(queue.Full):  # nobody took one yet: look whether anybody will, and try again
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


@tf.function(reduce_retracing=True)
def _copy(*tensors: tf.Tensor) -> list[tf.Tensor]:
    return [tf.identity(tensor) for tensor in tensors]


def _on_each_device(strategy: tf.distribute.Strategy, *arrays: np.ndarray) -> tuple[tf.Tensor, ...]:
    with tf.device("cpu"):
        tensors = tuple(share_with_tensorflow(array) for array in arrays)
    if strategy.num_replicas_in_sync == 1 and not tf.config.get_visible_devices("GPU"):
        return tensors
    return tuple(strategy.run(_copy, tensors))
