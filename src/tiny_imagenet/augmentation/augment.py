"""Random image operations on whole batches: drawn by `draw`, done by `augment`.

What is drawn is a pure function of the seed, the step and the image's place in the batch. All that moves pixels is one
projective transform with one interpolation; outside the image lies its nearest pixel. tests/addons holds the transform
to `tfa.image` 0.23, pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from tiny_imagenet.augmentation import boxes, mixing, transforms, trivial_augment
from tiny_imagenet.augmentation.colours import brighten
from tiny_imagenet.augmentation.randomness import uniform
from tiny_imagenet.augmentation.resampling import fetch, pick, resample
from tiny_imagenet.augmentation.resizing import resize

# How many random numbers an image has for what, one after the other: no key changes what another draws.
NUMBERS = {
    "moves": 5,
    "pixels": 2,
    "crop": boxes.NUMBERS,
    "erased": 1 + boxes.NUMBERS,
    "mix": mixing.NUMBERS,
    "trivial": trivial_augment.NUMBERS,
}
Chance = Callable[[str], tf.Tensor]


class Drawn(NamedTuple):
    """What happens to each image; None where it happens to none.

    Attributes:
        places: Where each row and each column comes from, int32 (batch, 2, size), if all moves are by whole pixels.
        transforms: float32 (batch, 8), if they are not.
        factors: Of the brightness, float32 (batch,).
        operations: TrivialAugment's, int32 (batch,).
        strengths: Theirs, float32 (batch,).
        erased: The boxes that are erased, float32 (batch, 4).
    """

    places: tf.Tensor | None = None
    transforms: tf.Tensor | None = None
    factors: tf.Tensor | None = None
    operations: tf.Tensor | None = None
    strengths: tf.Tensor | None = None
    erased: tf.Tensor | None = None


def chances(seed: int, step: tf.Tensor, batch_size: int) -> Chance:
    """Returns what gives a step's random numbers for one of NUMBERS' names, float32 (NUMBERS[name], batch)."""
    names = list(NUMBERS)

    def chance(name: str) -> tf.Tensor:
        before = sum(NUMBERS[other] for other in names[: names.index(name)])
        return uniform(tf.stack([seed, step]), (NUMBERS[name], batch_size), before * batch_size)

    return chance


def draw(
    chance: Chance, alternating: tf.Tensor, *, image_size: int, final_size: int, settings: Mapping[str, Any]
) -> Drawn:
    """Draws what happens to each image of a batch.

    Args:
        chance: By `chances`.
        alternating: Whether it is each image's turn to be mirrored if flips alternate, bool (batch,).
        image_size: Height and width of the images, in pixels.
        final_size: What they are brought to at the end.
        settings: The recipe's `augmentation`.
    """
    moves, reach, erasing = chance("moves"), settings["shift_pixels"], settings["random_erasing"]
    flip = {"none": tf.zeros_like(alternating), "random": moves[3] < 0.5, "alternating": alternating}[settings["flip"]]
    pixels = tf.floor(chance("pixels") * (2 * reach + 1)) - reach
    low, high = settings["brightness"]
    drawn = Drawn(
        factors=low + (high - low) * moves[4] if settings["stretch"] or (low, high) != (1, 1) else None,
        erased=boxes.draw_erased(chance("erased"), final_size, erasing) if erasing else None,
    )
    if any(settings[key] for key in ("rotation_degrees", "shift_fraction", "random_resized_crop", "trivial_augment")):
        matrices = _draw_matrices(chance, flip, pixels, image_size, settings)
        if settings["trivial_augment"]:
            operations, strengths = trivial_augment.draw_operations(chance("trivial"))
            matrices = matrices @ trivial_augment.matrices(operations, strengths, image_size)
            drawn = drawn._replace(operations=operations, strengths=strengths)
        return drawn._replace(transforms=transforms.flatten(matrices))
    if reach or settings["flip"] != "none":
        return drawn._replace(places=places(flip, pixels, image_size))
    return drawn


def _draw_matrices(
    chance: Chance, flip: tf.Tensor, pixels: tf.Tensor, image_size: int, settings: Mapping[str, Any]
) -> tf.Tensor:
    """Returns the transforms (batch, 3, 3) of crops, rotations, shifts, mirrors, whole pixels, in this order."""
    moves = chance("moves")
    angle = (2.0 * moves[0] - 1.0) * math.radians(settings["rotation_degrees"])
    shift = (2.0 * moves[1:3] - 1.0) * settings["shift_fraction"] * image_size
    matrices = transforms.projective_transforms(angle, shift[0], shift[1], flip, image_size)
    if crop := settings["random_resized_crop"]:
        matrices = transforms.crop(boxes.draw_crops(chance("crop"), image_size, **crop), image_size) @ matrices
    if settings["shift_pixels"]:
        matrices = matrices @ transforms.shift(pixels[0], pixels[1])
    return matrices


def places(flip: tf.Tensor, pixels: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns where each output row and column comes from when images are mirrored, then shifted by whole pixels.

    Args:
        flip: Whether to mirror left and right (batch,).
        pixels: Shifts to the right and down (2, batch).
        image_size: Height and width, in pixels.

    Returns:
        int32 (batch, 2, image_size): rows, columns; outside the image those of its nearest pixel.
    """
    from_shifted = tf.range(image_size) - tf.cast(pixels, tf.int32)[:, :, None]
    x, y = tf.unstack(tf.clip_by_value(from_shifted, 0, image_size - 1))
    return tf.stack([y, tf.where(flip[:, None], image_size - 1 - x, x)], axis=1)


def augment(
    images: tf.Tensor, indices: tf.Tensor, drawn: Drawn, *, final_size: int, settings: Mapping[str, Any]
) -> tf.Tensor:
    """Does to some images what was drawn for them.

    Args:
        images: All images, uint8 (images, height, width, 3).
        indices: Which of them, int32 (batch,).
        drawn: By `draw`, for these.
        final_size: Height and width that they are brought to at the end.
        settings: The recipe's `augmentation`.

    Returns:
        float32 (batch, final_size, final_size, 3), 0 to 255.
    """
    if drawn.places is not None:
        moved = fetch(images, indices, drawn.places)
    elif drawn.transforms is not None:
        moved = resample(pick(images, indices), drawn.transforms, settings["interpolation"])
    else:
        moved = tf.cast(pick(images, indices), tf.float32)
    if drawn.operations is not None:
        moved = trivial_augment.recolour(moved, drawn.operations, drawn.strengths)
    if drawn.factors is not None:
        moved = brighten(moved, drawn.factors, stretch=settings["stretch"])
    resized = resize(moved, final_size)
    return resized if drawn.erased is None else boxes.erase(resized, drawn.erased)
