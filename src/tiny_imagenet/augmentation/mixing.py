"""Pairs of images made one: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019).

As in the authors' programs one share, and one box, is drawn for a batch. Each image's partner stands a drawn number of
places further on in the batch: the batch is in random order, so that is as good as any permutation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from tiny_imagenet.augmentation.boxes import inside

NUMBERS = 6  # random ones that a mix is made of


class Mix(NamedTuple):
    """How the images of a batch are mixed.

    Attributes:
        distance: How many places further on an image's partner stands, int32 ().
        weights: Of an image's pixels, the rest is the partner's, float32 (size, size, 1).
        share: The image's share in its label, float32 ().
    """

    distance: tf.Tensor
    weights: tf.Tensor
    share: tf.Tensor


def draw_mix(drawn: tf.Tensor, batch_size: int, image_size: int, *, mixup: float, cutmix: float) -> Mix:
    """Returns a batch's mix.

    Args:
        drawn: Numbers uniform from 0 to 1, (NUMBERS,).
        batch_size: The whole batch's.
        image_size: Height and width, in pixels.
        mixup: The share is from Beta(mixup, mixup); 0: no mixup.
        cutmix: One less the box's area, before it is cut off at the edges, is from Beta(cutmix, cutmix); 0: no CutMix.
            With both, a batch has either, by chance.
    """
    distance = 1 + tf.cast(drawn[0] * (batch_size - 1), tf.int32)
    blended = tf.ones((image_size, image_size, 1)) * symmetric_beta(drawn[2], drawn[3], mixup or 1.0)
    box = draw_box(symmetric_beta(drawn[2], drawn[3], cutmix or 1.0), drawn[4:], image_size)
    pasted = 1.0 - tf.cast(inside(box[None], image_size)[0], tf.float32)
    cut = drawn[1] < (0.5 if mixup and cutmix else float(bool(cutmix)))
    weights = tf.where(cut, pasted, blended)
    share = tf.where(cut, 1.0 - box[2] * box[3] / image_size**2, blended[0, 0, 0])
    return Mix(distance, weights, share)


def symmetric_beta(first: tf.Tensor, second: tf.Tensor, alpha: float) -> tf.Tensor:
    """Makes a number of the distribution Beta(alpha, alpha) of two uniform ones.

    A t-distributed number by Bailey's polar way (Mathematics of Computation, 1994), taken from -inf..inf to 0..1.
    """
    side = tf.cos(2.0 * math.pi * second)
    square = (first ** (-1.0 / alpha) - 1.0) * side**2  # t squared, over its degrees of freedom
    return 0.5 + 0.5 * tf.sign(side) / tf.sqrt(1.0 + 1.0 / square)


def draw_box(share: tf.Tensor, centre: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns CutMix's box, (4,): as long as wide, about a uniform centre (2,), cut off at the image's edges."""
    half = tf.floor(tf.floor(image_size * tf.sqrt(1.0 - share)) / 2.0)
    middle = tf.floor(centre * image_size)
    first = tf.clip_by_value(middle - half, 0.0, image_size)
    return tf.concat([first, tf.clip_by_value(middle + half, 0.0, image_size) - first], axis=0)


@tf.function(jit_compile=True)
def blend(images: tf.Tensor, partners: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Returns the images and their partners, both (batch, size, size, 3), mixed by a Mix's `weights`."""
    return images * weights + partners * (1.0 - weights)
