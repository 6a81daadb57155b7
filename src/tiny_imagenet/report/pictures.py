"""Figures with images of the dataset: examples over their guesses, and augmented images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from tiny_imagenet.core.schema import Augmentation, ModelSettings
from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.images.reader import iterate_examples, verify_split
from tiny_imagenet.report.examples import Example, first_examples, guesses
from tiny_imagenet.report.figures import draw_augmentation, draw_example
from tiny_imagenet.report.predictions import Predictions

NUM_VARIANTS = 7  # of each augmented image


def draw_pictures(
    model: ModelSettings,
    records: Path,
    manifest: Manifest,
    labels: Sequence[int],
    split: str,
    predictions: Predictions,
) -> dict[str, Figure]:
    """Returns the figures with images by name: example-1, example-2, ... and augmentation.

    Args:
        model: The settings of the model.
        records: Folder of the shards.
        manifest: Of the shards.
        labels: Classes, of which the first image is shown.
        split: Of the examples; the augmented images are of train.
        predictions: Of the model, on `split`.

    Raises:
        InputError: The shards or the predictions are others than those of the manifest.
    """
    from tiny_imagenet.distribute import devices

    devices.make_strategy("cpu")  # a few images need no GPU
    for each in ("train", split):
        verify_split(records, manifest, each)
    train, evaluated = (first_examples(iterate_examples(records, manifest, each), labels) for each in ("train", split))
    pictures = draw_examples(evaluated, predictions, short_names(manifest.classes))
    return pictures | {"augmentation": draw_variants(train, model.seed, model.augmentation)}


def draw_examples(examples: Sequence[Example], predictions: Predictions, names: Sequence[str]) -> dict[str, Figure]:
    """Draws each example over its guesses (Figure 8 of the published report): example-1, example-2, ..."""
    return {
        f"example-{number}": draw_example(example.image, names[example.label], guesses(predictions, example, names))
        for number, example in enumerate(examples, start=1)
    }


def draw_variants(examples: Sequence[Example], seed: int, augmentation: Augmentation) -> Figure:
    """Draws each example and random variants of it (Figure 1 of the published report).

    Args:
        examples: Images of one size.
        seed: Of the training, whose first step draws these variants.
        augmentation: The recipe's.
    """
    import tensorflow as tf

    from tiny_imagenet.augmentation.batch import Images, Selection, StepKey, make_batch

    originals = np.stack([example.image for example in examples])
    images = np.repeat(originals, NUM_VARIANTS, axis=0)
    zero, rows = tf.constant(0), tf.range(len(images))
    key = StepKey(seed, step=zero, epoch=zero, replica=zero, num_replicas=1)
    batch = make_batch(Images(tf.constant(images), rows), Selection(rows, rows), key, augmentation)
    grid = batch.images.numpy().round().astype(np.uint8).reshape(len(originals), NUM_VARIANTS, *originals.shape[1:])
    return draw_augmentation(np.concatenate([originals[:, None], grid], axis=1))
