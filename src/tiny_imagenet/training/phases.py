"""What differs between the epochs of a training: the images' size, and what is held still."""

from __future__ import annotations

from typing import NamedTuple

from tiny_imagenet.schema import ProgressiveResizing, Recipe


class Phase(NamedTuple):
    """What is compiled into the steps of an epoch.

    Attributes:
        image_size: Height and width of the images that the model is given.
        frozen: Whether the layer called "backbone" stays as it is.
    """

    image_size: int
    frozen: bool = False


def plan(recipe: Recipe, image_size: int) -> list[Phase]:
    """Returns the phase of each epoch of a recipe, for images of this height and width."""
    return [
        Phase(
            size_after(epoch / recipe.epochs, image_size, recipe.progressive_resizing),
            frozen=epoch < recipe.frozen_epochs,
        )
        for epoch in range(recipe.epochs)
    ]


def size_after(elapsed: float, image_size: int, resizing: ProgressiveResizing | None) -> int:
    """Returns the size that images have after a fraction of the training, by Composer's rule for progressive resizing.

    It is `initial_scale` of the whole until `delay_fraction`, whole in the last `finetune_fraction`, linear between
    them, and a multiple of `size_increment` where it is not whole.
    """
    if resizing is None:
        return image_size
    growing = 1.0 - resizing.delay_fraction - resizing.finetune_fraction
    grown = (elapsed - resizing.delay_fraction) / growing if growing else float(elapsed >= resizing.delay_fraction)
    scale = resizing.initial_scale + (1.0 - resizing.initial_scale) * min(max(grown, 0.0), 1.0)
    increments = max(1, round(scale * image_size / resizing.size_increment))
    return image_size if scale == 1.0 else min(image_size, increments * resizing.size_increment)
