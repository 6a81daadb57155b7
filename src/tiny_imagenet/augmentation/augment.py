"""Random image operations on whole batches: `sample` draws their parameters, `augment` applies them.

The parameters are a pure function of the seed, the step and the image's position in the batch. All geometric
operations make one projective transform with one interpolation; a pixel outside the image has the value of the nearest
one inside. tests/addons compares the transform with `tfa.image` 0.23, pixel for pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tiny_imagenet.augmentation import boxes, mixing, transforms, trivial_augment
from tiny_imagenet.augmentation.colors import brighten
from tiny_imagenet.augmentation.resampling import gather_images, gather_pixels, resample
from tiny_imagenet.augmentation.resizing import resize
from tiny_imagenet.augmentation.rng import uniform
from tiny_imagenet.core.schema import Augmentation

# Random numbers per image by operation. Append only, so that no operation changes the numbers of another.
NUM_RANDOM = {
    "geometry": 5,
    "pixel_shift": 2,
    "crop": boxes.NUM_RANDOM,
    "erasing": 1 + boxes.NUM_RANDOM,
    "mixing": mixing.NUM_RANDOM,
    "trivial_augment": trivial_augment.NUM_RANDOM,
}
RandomNumbers = Callable[[str], tf.Tensor]


class Sampled(NamedTuple):
    """The sampled parameters of a batch; None where an operation is off.

    Attributes:
        source_index: Source row and column of each output row and column, int32 (batch, 2, size), if all geometric
            operations move by whole pixels.
        transforms: float32 (batch, 8), if they do not.
        brightness: Factors, float32 (batch,).
        operations: Indices of the operations of TrivialAugment, int64 (batch,).
        magnitudes: Magnitudes of these operations, float32 (batch,).
        erased: Boxes to erase, float32 (batch, 4).
    """

    source_index: tf.Tensor | None = None
    transforms: tf.Tensor | None = None
    brightness: tf.Tensor | None = None
    operations: tf.Tensor | None = None
    magnitudes: tf.Tensor | None = None
    erased: tf.Tensor | None = None


def random_numbers(seed: int, step: tf.Tensor, batch_size: int) -> RandomNumbers:
    """Returns a function from a key of NUM_RANDOM to a step's numbers for it, float32 (NUM_RANDOM[key], batch)."""
    keys = list(NUM_RANDOM)

    def numbers(key: str) -> tf.Tensor:
        before = sum(NUM_RANDOM[other] for other in keys[: keys.index(key)])
        return uniform(tf.stack([seed, step]), (NUM_RANDOM[key], batch_size), before * batch_size)

    return numbers


def sample(
    rng: RandomNumbers, alternating: tf.Tensor, image_size: int, final_size: int, augmentation: Augmentation
) -> Sampled:
    """Samples the parameters of a batch.

    Args:
        rng: Result of `random_numbers`.
        alternating: Whether each image is flipped in this epoch if flips alternate, bool (batch,).
        image_size: Height and width of the images, in pixels.
        final_size: Height and width that they are resized to at the end.
        augmentation: The settings.
    """
    geometry, reach, erasing = rng("geometry"), augmentation.shift_pixels, augmentation.random_erasing
    flips = {"none": tf.zeros_like(alternating), "random": geometry[3] < 0.5, "alternating": alternating}
    flip = flips[augmentation.flip]
    shift = tf.floor(rng("pixel_shift") * (2 * reach + 1)) - reach
    low, high = augmentation.brightness
    sampled = Sampled(
        brightness=low + (high - low) * geometry[4] if augmentation.rescale_max or (low, high) != (1, 1) else None,
        erased=boxes.sample_erased(rng("erasing"), final_size, erasing) if erasing else None,
    )
    fractional = (augmentation.rotation_degrees, augmentation.shift_fraction, augmentation.random_resized_crop)
    if any(fractional) or augmentation.trivial_augment:
        matrices = _sample_matrices(rng, flip, shift, image_size, augmentation)
        if augmentation.trivial_augment:
            operations, magnitudes = trivial_augment.sample_operations(rng("trivial_augment"))
            moved = trivial_augment.matrices(operations, magnitudes, image_size)
            matrices = transforms.product(matrices, moved)
            sampled = sampled._replace(operations=operations, magnitudes=magnitudes)
        return sampled._replace(transforms=transforms.flatten(matrices))
    if reach or augmentation.flip != "none":
        return sampled._replace(source_index=source_index(flip, shift, image_size))
    return sampled


def _sample_matrices(
    rng: RandomNumbers, flip: tf.Tensor, shift: tf.Tensor, image_size: int, augmentation: Augmentation
) -> tf.Tensor:
    """Returns the transforms (batch, 3, 3) of crop, rotation, shift, flip and shift by whole pixels, in this order."""
    geometry = rng("geometry")
    angle = (2.0 * geometry[0] - 1.0) * math.radians(augmentation.rotation_degrees)
    offset = (2.0 * geometry[1:3] - 1.0) * augmentation.shift_fraction * image_size
    matrices = transforms.projective_transforms(angle, offset[0], offset[1], flip, image_size)
    if crop := augmentation.random_resized_crop:
        cropped = boxes.sample_crops(rng("crop"), image_size, crop.scale, crop.ratio)
        matrices = transforms.product(transforms.crop(cropped, image_size), matrices)
    if augmentation.shift_pixels:
        matrices = transforms.product(matrices, transforms.shift(shift[0], shift[1]))
    return matrices


@tf.function(jit_compile=True, autograph=False)  # which keeps int32 in the GPU's memory
def source_index(flip: tf.Tensor, shift: tf.Tensor, image_size: int) -> tf.Tensor:
    """Returns the source row and column of each output row and column of images that are flipped, then shifted.

    Args:
        flip: Whether to flip left and right, bool (batch,).
        shift: Whole pixels to the right and down (2, batch).
        image_size: Height and width, in pixels.

    Returns:
        int32 (batch, 2, image_size): rows, columns; outside the image those of its nearest pixel.
    """
    shifted = tf.range(image_size) - tf.cast(shift, tf.int32)[:, :, None]
    x, y = tf.unstack(tf.clip_by_value(shifted, 0, image_size - 1))
    return tf.stack([y, tf.where(flip[:, None], image_size - 1 - x, x)], axis=1)


def augment(
    images: tf.Tensor, indices: tf.Tensor, sampled: Sampled, final_size: int, augmentation: Augmentation
) -> tf.Tensor:
    """Applies the sampled operations.

    Args:
        images: All images, uint8 (images, height, width, 3).
        indices: Rows of `images` that make the batch, int64 (batch,).
        sampled: Result of `sample` for these.
        final_size: Height and width that they are resized to at the end.
        augmentation: The settings.

    Returns:
        float32 (batch, final_size, final_size, 3), 0 to 255.
    """
    if sampled.source_index is not None:
        moved = gather_pixels(images, indices, sampled.source_index)
    elif sampled.transforms is not None:
        moved = resample(gather_images(images, indices), sampled.transforms, augmentation.interpolation)
    else:
        moved = tf.cast(gather_images(images, indices), tf.float32)
    if sampled.operations is not None:
        moved = trivial_augment.change_colors(moved, sampled.operations, sampled.magnitudes)
    if sampled.brightness is not None:
        moved = brighten(moved, sampled.brightness, rescale_max=augmentation.rescale_max)
    resized = resize(moved, final_size)
    return resized if sampled.erased is None else boxes.erase(resized, sampled.erased)
