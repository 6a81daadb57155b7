"""The batch as a pure function of the seed, the step and the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tiny_imagenet.augmentation import augment as augmentation
from tiny_imagenet.augmentation.mixing import blend, draw_mix
from tiny_imagenet.augmentation.randomness import coin


def epoch_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """Returns the order in which an epoch visits the images, int32 (images,): a function of its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(num_images).astype(np.int32)


class Batch(NamedTuple):
    """What a step learns from.

    Attributes:
        images: float32 (batch, size, size, 3), 0 to 255.
        labels: int32 (batch,).
        partners: The labels of the images that were mixed in, int32 (batch,); None where nothing is mixed.
        share: The weight of `labels`, the rest is the partners', float32 (batch,); None where nothing is mixed.
    """

    images: tf.Tensor
    labels: tf.Tensor
    partners: tf.Tensor | None
    share: tf.Tensor | None


def make_batch(
    images: tf.Tensor,
    labels: tf.Tensor,
    indices: tf.Tensor,
    *,
    seed: int,
    step: tf.Tensor,
    epoch: tf.Tensor,
    part: tf.Tensor,
    num_parts: int,
    settings: Mapping[str, Any],
    image_size: int | None = None,
    numbers: tf.Tensor | None = None,
) -> Batch:
    """Returns one part of an augmented batch; the parts together are the batch, however many they are.

    Args:
        images: All images, uint8 (images, height, width, 3).
        labels: All labels, int32 (images,).
        indices: The whole batch's images, int32 (batch,).
        seed: The training's seed.
        step: The training's step, int32.
        epoch: The step's epoch, from 0, int32.
        part: Which part: the replica's number.
        num_parts: How many parts the batch is cut into; divides its size.
        settings: The recipe's `augmentation`.
        image_size: Height and width that the images are brought to at the end; None: they keep theirs.
        numbers: The batch's images' numbers in their split, int32 (batch,), where they are not `indices`.
    """
    batch_size, final_size = indices.shape[0], image_size or images.shape[1]
    chance = augmentation.chances(seed, step, batch_size)
    alternating = coin(seed, indices if numbers is None else numbers) ^ (epoch % 2 == 1)
    drawn = augmentation.draw(chance, alternating, image_size=images.shape[1], final_size=final_size, settings=settings)

    def augmented(places: tf.Tensor) -> tf.Tensor:
        of_these = augmentation.Drawn(*(each if each is None else tf.gather(each, places) for each in drawn))
        chosen = tf.gather(indices, places)
        return augmentation.augment(images, chosen, of_these, final_size=final_size, settings=settings)

    size = batch_size // num_parts
    places = part * size + tf.range(size)
    mine, labels = augmented(places), tf.gather(labels, indices)
    if not (settings["mixup"] or settings["cutmix"]):
        return Batch(mine, tf.gather(labels, places), None, None)
    mix = draw_mix(chance("mix")[:, 0], batch_size, final_size, mixup=settings["mixup"], cutmix=settings["cutmix"])
    partners = (places + mix.distance) % batch_size
    others = tf.gather(mine, partners) if num_parts == 1 else augmented(partners)
    mixed = blend(mine, others, mix.weights)
    return Batch(mixed, tf.gather(labels, places), tf.gather(labels, partners), tf.repeat(mix.share, size))
