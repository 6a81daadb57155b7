"""Mixed pairs of images: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019).

As in the authors' programs, a batch has one lambda and one box. Each image is mixed with the one that follows at a
random distance: the batch is in random order, so any permutation is equivalent.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from tiny_imagenet.augmentation.boxes import inside

NUM_RANDOM = 6  # random numbers per batch


class Mix(NamedTuple):
    """The sampled parameters of a batch's mixing.

    Attributes:
        shift: Positions from an image to the one that is mixed in, int64 ().
        weights: Weights of an image's pixels; the other's are 1 - weights, float32 (size, size, 1).
        lam: Weight of the image's own label, float32 ().
    """

    shift: tf.Tensor
    weights: tf.Tensor
    lam: tf.Tensor


def sample_mix(rng: tf.Tensor, batch_size: int, image_size: int, mixup: float, cutmix: float) -> Mix:
    """Samples the mixing of a batch.

    Args:
        rng: Numbers uniform from 0 to 1, (NUM_RANDOM,).
        batch_size: Images of the whole batch.
        image_size: Height and width, in pixels.
        mixup: Lambda is from Beta(mixup, mixup); 0: no mixup.
        cutmix: One minus the box's area, before it is clipped, is from Beta(cutmix, cutmix); 0: no CutMix. With both,
            each has probability 1/2.
    """
    shift = 1 + tf.cast(rng[0] * (batch_size - 1), tf.int64)
    blended = tf.ones((image_size, image_size, 1)) * symmetric_beta(rng[2], rng[3], mixup or 1.0)
    box = sample_box(symmetric_beta(rng[2], rng[3], cutmix or 1.0), rng[4:], image_size)
    pasted = 1.0 - tf.cast(inside(box[None], image_size)[0], tf.float32)
    cut = rng[1] < (0.5 if mixup and cutmix else float(bool(cutmix)))
    weights = tf.where(cut, pasted, blended)
    lam = tf.where(cut, 1.0 - box[2] * box[3] / image_size**2, blended[0, 0, 0])
    return Mix(shift, weights, lam)


def symmetric_beta(first: tf.Tensor, second: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns a sample of Beta(alpha, alpha), from two uniform ones.

    A sample of the t-distribution by Bailey's polar method (Mathematics of Computation, 1994), mapped to 0..1.
    """
    side = tf.cos(2.0 * math.pi * second)
    square = (first ** (-1.0 / alpha) - 1.0) * side**2  # t squared, over its degrees of freedom
    return 0.5 + 0.5 * tf.sign(side) / tf.sqrt(1.0 + 1.0 / square)


def sample_box(lam: tf.Tensor, center: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns CutMix's box, (4,): a square with the given center (2,), clipped to the image."""
    half = tf.floor(tf.floor(image_size * tf.sqrt(1.0 - lam)) / 2.0)
    middle = tf.floor(center * image_size)
    first = tf.clip_by_value(middle - half, 0.0, image_size)
    return tf.concat([first, tf.clip_by_value(middle + half, 0.0, image_size) - first], axis=0)


@tf.function(jit_compile=True, autograph=False)
def mix_images(images: tf.Tensor, others: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Mixes images with others, both (batch, size, size, 3), by a Mix's `weights`."""
    return images * weights + others * (1.0 - weights)
