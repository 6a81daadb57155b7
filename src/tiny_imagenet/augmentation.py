"""Random image operations on whole batches: drawn by `draw`, done by `augment`.

What is drawn is a pure function of the seed, the step and the image's place in the batch; alternating flips go by the
image's number and the epoch. All that moves pixels is one projective transform with one interpolation; outside the
image lies its nearest pixel. tests/addons holds the transform to `tfa.image` 0.23, pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tiny_imagenet import boxes, transforms
from tiny_imagenet.colours import brighten
from tiny_imagenet.randomness import coin, uniform
from tiny_imagenet.resampling import fetch, pick, resample

# Where each key's rows of random numbers (rows, batch) begin in a step's sequence: no key changes what another draws.
MOVES, PIXELS, CROP = 0, 5, 7


class Drawn(NamedTuple):
    """What happens to each image; None where it happens to none.

    Attributes:
        places: Where each row and each column comes from, int32 (batch, 2, size), if all moves are by whole pixels.
        transforms: float32 (batch, 8), if they are not.
        factors: Of the brightness, float32 (batch,).
    """

    places: tf.Tensor | None
    transforms: tf.Tensor | None
    factors: tf.Tensor | None


def draw(
    seed: int, step: tf.Tensor, epoch: tf.Tensor, numbers: tf.Tensor, *, image_size: int, settings: Mapping[str, Any]
) -> Drawn:
    """Draws what happens to each image of a batch.

    Args:
        seed: The training's seed.
        step: The training's step, int32.
        epoch: The step's epoch, from 0, int32.
        numbers: The images' numbers in their split, int32 (batch,).
        image_size: Height and width, in pixels.
        settings: The recipe's `augmentation`.
    """
    batch_size = numbers.shape[0]

    def rows(first: int, count: int) -> tf.Tensor:
        return uniform(tf.stack([seed, step]), (count, batch_size), first * batch_size)

    moves, reach = rows(MOVES, 5), settings["shift_pixels"]
    low, high = settings["brightness"]
    coloured = settings["stretch"] or (low, high) != (1.0, 1.0)
    factors = low + (high - low) * moves[4] if coloured else None
    flip = {
        "none": lambda: tf.zeros(batch_size, tf.bool),
        "random": lambda: moves[3] < 0.5,
        "alternating": lambda: coin(seed, numbers) ^ (epoch % 2 == 1),
    }[settings["flip"]]()
    pixels = tf.floor(rows(PIXELS, 2) * (2 * reach + 1)) - reach if reach else None
    fractional = settings["rotation_degrees"] or settings["shift_fraction"] or settings["random_resized_crop"]
    if not fractional:
        still = settings["flip"] == "none" and not reach
        return Drawn(None if still else places(flip, pixels, image_size), None, factors)
    angle = (2.0 * moves[0] - 1.0) * math.radians(settings["rotation_degrees"])
    shift = (2.0 * moves[1:3] - 1.0) * settings["shift_fraction"] * image_size
    matrices = transforms.projective_transforms(angle, shift[0], shift[1], flip, image_size)
    if settings["random_resized_crop"]:
        crops = boxes.draw_crops(rows(CROP, boxes.NUMBERS), image_size, **settings["random_resized_crop"])
        matrices = transforms.crop(crops, image_size) @ matrices
    if pixels is not None:
        matrices = matrices @ transforms.shift(pixels[0], pixels[1])
    return Drawn(None, transforms.flatten(matrices), factors)


def places(flip: tf.Tensor, pixels: tf.Tensor | None, image_size: int) -> tf.Tensor:
    """Returns where each output row and column comes from when images are mirrored, then shifted by whole pixels.

    Args:
        flip: Whether to mirror left and right (batch,).
        pixels: Shifts to the right and down (2, batch).
        image_size: Height and width, in pixels.

    Returns:
        int32 (batch, 2, image_size): rows, columns; outside the image those of its nearest pixel.
    """
    shifts = tf.zeros((2, flip.shape[0]), tf.int32) if pixels is None else tf.cast(pixels, tf.int32)
    x, y = tf.unstack(tf.clip_by_value(tf.range(image_size) - shifts[:, :, None], 0, image_size - 1))
    return tf.stack([y, tf.where(flip[:, None], image_size - 1 - x, x)], axis=1)


def augment(images: tf.Tensor, indices: tf.Tensor, drawn: Drawn, settings: Mapping[str, Any]) -> tf.Tensor:
    """Does to some images what was drawn for them.

    Args:
        images: All images, uint8 (images, height, width, 3).
        indices: Which of them, int32 (batch,).
        drawn: By `draw`, for these.
        settings: The recipe's `augmentation`.

    Returns:
        float32 (batch, height, width, 3), 0 to 255.
    """
    if drawn.places is not None:
        moved = fetch(images, indices, drawn.places)
    elif drawn.transforms is not None:
        moved = resample(pick(images, indices), drawn.transforms, settings["interpolation"])
    else:
        moved = tf.cast(pick(images, indices), tf.float32)
    return moved if drawn.factors is None else brighten(moved, drawn.factors, stretch=settings["stretch"])
