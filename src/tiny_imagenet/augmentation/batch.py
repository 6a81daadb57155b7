"""The augmented batch, a pure function of the seed, the step and the epoch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tiny_imagenet.augmentation.augment import Sampled, augment, random_numbers, sample
from tiny_imagenet.augmentation.mixing import mix_images, sample_mix
from tiny_imagenet.augmentation.rng import random_bit
from tiny_imagenet.core.schema import Augmentation


class Images(NamedTuple):
    """The images that a batch is gathered from, on the device.

    Labels and rows are int64, which a GPU keeps in its own memory; int32 would be in the host's.

    Attributes:
        images: uint8 (images, height, width, 3).
        labels: int64 (images,).
    """

    images: tf.Tensor
    labels: tf.Tensor


class Selection(NamedTuple):
    """The images of one batch, all replicas together.

    Attributes:
        rows: Rows of `Images`, int64 (batch,).
        image_ids: Index of each image in its split, int64 (batch,). Alternating flips depend on it.
    """

    rows: tf.Tensor
    image_ids: tf.Tensor


class StepKey(NamedTuple):
    """The arguments that determine one replica's part of one step's batch.

    Attributes:
        seed: Seed of the training.
        step: From 0, int32.
        epoch: From 0, int32.
        replica: From 0, int32.
        num_replicas: Number of parts of the batch; a divisor of its size.
    """

    seed: int
    step: tf.Tensor
    epoch: tf.Tensor
    replica: tf.Tensor
    num_replicas: int


class Batch(NamedTuple):
    """One replica's part of an augmented batch.

    Attributes:
        images: float32 (batch, size, size, 3), 0 to 255.
        labels: int64 (batch,).
        mixed_labels: Labels of the images that are mixed in, int64 (batch,); None without mixing.
        lam: Weight of `labels`, float32 (batch,); `mixed_labels` have 1 - lam. None without mixing.
    """

    images: tf.Tensor
    labels: tf.Tensor
    mixed_labels: tf.Tensor | None
    lam: tf.Tensor | None


def make_batch(
    source: Images, selection: Selection, key: StepKey, augmentation: Augmentation, image_size: int | None = None
) -> Batch:
    """Returns one replica's part of an augmented batch.

    All parts together are the same batch for any number of replicas.

    Args:
        source: The images to gather from.
        selection: The images of the whole batch.
        key: The step and the replica.
        augmentation: The settings.
        image_size: Height and width that the images are resized to at the end; None: they keep theirs.
    """
    batch_size, source_size = selection.rows.shape[0], source.images.shape[1]
    final_size = image_size or source_size
    rng = random_numbers(key.seed, key.step, batch_size)
    alternating = random_bit(key.seed, selection.image_ids) ^ (key.epoch % 2 == 1)
    sampled = sample(rng, alternating, source_size, final_size, augmentation)

    def augmented(positions: tf.Tensor) -> tf.Tensor:
        of_these = Sampled(*(each if each is None else tf.gather(each, positions) for each in sampled))
        rows = tf.gather(selection.rows, positions)
        return augment(source.images, rows, of_these, final_size, augmentation)

    size = batch_size // key.num_replicas
    positions = tf.cast(key.replica, tf.int64) * size + tf.constant(np.arange(size))
    images, labels = augmented(positions), tf.gather(source.labels, selection.rows)
    if not (augmentation.mixup or augmentation.cutmix):
        return Batch(images, tf.gather(labels, positions), None, None)
    mix = sample_mix(rng("mixing")[:, 0], batch_size, final_size, augmentation.mixup, augmentation.cutmix)
    partners = (positions + mix.shift) % batch_size
    others = tf.gather(images, partners) if key.num_replicas == 1 else augmented(partners)
    mixed = mix_images(images, others, mix.weights)
    return Batch(mixed, tf.gather(labels, positions), tf.gather(labels, partners), tf.repeat(mix.lam, size))
