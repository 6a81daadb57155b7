"""The limits of a debug run: fewer images and steps, which are a function of the settings and of the data alone."""

from __future__ import annotations

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.schema import ModelSettings
from tiny_imagenet.images.decoding import DecodedSplit

Splits = tuple[DecodedSplit, DecodedSplit]


def limit_splits(splits: Splits, settings: ModelSettings) -> Splits:
    """Returns the images that a training uses: all of them, or in a debug run the first ones.

    A debug run is scored after each epoch on no more images than the epoch trains on.

    Args:
        splits: The images to train on, and the images to score after each epoch.
        settings: The settings of the training.

    Raises:
        InputError: `debug` leaves less than one batch, or asks for more batches than there are.
    """
    train, val = splits
    if settings.debug is None:
        return splits
    train = _first(train, _num_images(len(train.labels), settings))
    return train, _first(val, limit_steps(len(train.labels) // settings.batch_size, settings) * settings.batch_size)


def limit_steps(steps_per_epoch: int, settings: ModelSettings) -> int:
    """Returns the steps of an epoch: all of them, or in a debug run at most `debug.steps`."""
    steps = settings.debug and settings.debug.steps
    return min(steps_per_epoch, steps) if steps else steps_per_epoch


def _num_images(available: int, settings: ModelSettings) -> int:
    debug, batch_size = settings.debug, settings.batch_size
    if debug and debug.overfit_batches:
        if debug.overfit_batches * batch_size > available:
            what = f"{debug.overfit_batches} batches of {batch_size} are more than the {available:,} images"
            raise InputError("debug.overfit_batches", what, "lower it, or `batch_size`")
        return debug.overfit_batches * batch_size
    if debug and debug.fraction:
        if (count := int(debug.fraction * available)) < batch_size:
            what = f"{debug.fraction:g} of {available:,} images is less than one batch of {batch_size}"
            raise InputError("debug.fraction", what, "raise it, or lower `batch_size`")
        return count
    return available


def _first(split: DecodedSplit, count: int) -> DecodedSplit:
    return DecodedSplit(split.images[:count], split.labels[:count])
