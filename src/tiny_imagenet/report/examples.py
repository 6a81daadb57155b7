"""Example images: the first one of each chosen class, its guesses, and augmented variants of it."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.schema import Augmentation, ModelSettings
from tiny_imagenet.dataset.classes import short_names
from tiny_imagenet.dataset.manifest import Manifest
from tiny_imagenet.images.reader import iterate_examples, verify_split
from tiny_imagenet.report.figures import draw_augmentation, draw_example
from tiny_imagenet.report.predictions import Predictions

NUM_VARIANTS = 7  # of each augmented image
FALLBACK = 3  # number of first classes that stand in if no class has one of the names


@dataclass(frozen=True)
class Example:
    """An image of a split.

    Attributes:
        position: Its index in the split.
        label: Its class.
        image: uint8 (height, width, 3).
    """

    position: int
    label: int
    image: np.ndarray


def choose_labels(classes: Sequence[str], wanted: Iterable[str]) -> tuple[list[int], list[str]]:
    """Finds classes by name.

    Args:
        classes: The words of each class by label, names separated by commas.
        wanted: Names, upper and lower case alike.

    Returns:
        Their labels (those of the first classes if no name is known), and the names that no class has.
    """
    names = {
        name.strip().casefold(): label
        for label, words in reversed(list(enumerate(classes)))
        for name in words.split(",")
    }
    wanted = list(wanted)
    labels = [names[name.casefold()] for name in wanted if name.casefold() in names]
    unknown = [name for name in wanted if name.casefold() not in names]
    return labels or list(range(min(FALLBACK, len(classes)))), unknown


def first_examples(records: Iterable[Mapping[str, Any]], labels: Sequence[int]) -> list[Example]:
    """Returns the first image of each label, in the order of the labels; labels without an image are left out.

    Args:
        records: Parsed records of a split, in order, with `image/class/label` and `image/encoded`.
        labels: The labels to look for.
    """
    found: dict[int, Example] = {}
    for position, record in enumerate(records):
        label = int(record["image/class/label"])
        if label in labels and label not in found:
            found[label] = Example(position, label, decode(record["image/encoded"]))
            if len(found) == len(set(labels)):
                break
    return [found[label] for label in labels if label in found]


def images_at(records: Iterable[Mapping[str, Any]], positions: Collection[int]) -> dict[int, bytes]:
    """Returns encoded images by their index in a split.

    Args:
        records: Parsed records of the split, in order.
        positions: Indices, from 0.
    """
    last = max(positions, default=-1)
    return {
        position: record["image/encoded"]
        for position, record in zip(range(last + 1), records, strict=False)
        if position in positions
    }


def decode(encoded: bytes) -> np.ndarray:
    """Returns an encoded image as uint8 (height, width, 3); grayscale becomes three equal channels."""
    with Image.open(io.BytesIO(encoded)) as image:
        return np.asarray(image.convert("RGB"))


def guesses(predictions: Predictions, example: Example, names: Sequence[str]) -> list[tuple[str, float]]:
    """Returns an example's guesses, best first: pairs of a class's name and a probability.

    Args:
        predictions: Of the example's split.
        example: The example.
        names: Of the classes, each once.

    Raises:
        InputError: The predictions are of other records.
    """
    position = example.position
    if position >= len(predictions.label) or predictions.label[position] != example.label:
        raise InputError("predictions.npz", "is of other val records", "run `dvc repro`")
    pairs = zip(predictions.top_5[position], predictions.top_5_probability[position], strict=True)
    return [(names[label], float(probability)) for label, probability in pairs]


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
