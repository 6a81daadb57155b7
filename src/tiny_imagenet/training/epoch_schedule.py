"""The epoch schedule: the image size of each epoch, and whether the backbone is frozen."""

from __future__ import annotations

from typing import NamedTuple

from tiny_imagenet.core.schema import ProgressiveResizing, Recipe


class EpochSettings(NamedTuple):
    """The settings of an epoch that are compiled into its train step.

    Attributes:
        image_size: Height and width of the model's inputs, in pixels.
        frozen: Whether the layer named "backbone" keeps its weights.
    """

    image_size: int
    frozen: bool = False


def epoch_schedule(recipe: Recipe, image_size: int) -> list[EpochSettings]:
    """Returns the settings of each epoch of a recipe for images of `image_size` pixels in height and width."""
    return [
        EpochSettings(
            resized(epoch / recipe.epochs, image_size, recipe.progressive_resizing),
            frozen=epoch < recipe.frozen_epochs,
        )
        for epoch in range(recipe.epochs)
    ]


def resized(elapsed: float, image_size: int, resizing: ProgressiveResizing | None) -> int:
    """Returns the image size after a fraction of the training, by Composer's rule for progressive resizing.

    The size is `initial_scale` of the full size until `delay_fraction`, then grows linearly, and is full in the last
    `finetune_fraction`. Below the full size it is a multiple of `size_increment`.
    """
    if resizing is None:
        return image_size
    growing = 1.0 - resizing.delay_fraction - resizing.finetune_fraction
    grown = (elapsed - resizing.delay_fraction) / growing if growing else float(elapsed >= resizing.delay_fraction)
    scale = resizing.initial_scale + (1.0 - resizing.initial_scale) * min(max(grown, 0.0), 1.0)
    increments = max(1, round(scale * image_size / resizing.size_increment))
    return image_size if scale == 1.0 else min(image_size, increments * resizing.size_increment)
