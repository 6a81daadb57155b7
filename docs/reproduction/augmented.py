"""Scores models on val images that are augmented as in their training: python docs/reproduction/augmented.py MODEL ...

From the checkout's root, after they were trained; each image is augmented once.
"""

import sys
from pathlib import Path

import numpy as np

from tiny_imagenet.distribute import devices  # sets what TensorFlow reads when it is imported

# isort: split
import tensorflow as tf

from tiny_imagenet.augmentation.augment import augment, random_numbers, sample
from tiny_imagenet.core.params import load_params
from tiny_imagenet.dataset.manifest import load_manifest
from tiny_imagenet.evaluation.saved_models import load_model
from tiny_imagenet.images.decoding import load_images
from tiny_imagenet.scoring.metrics import score

SEED, BATCH_SIZE = 7, 100


def main(models: list[str]) -> None:
    """Prints each model's metrics on the original and on the augmented images."""
    params, manifest = load_params(), load_manifest(Path("data/records"))
    devices.make_strategy(params.device)
    val = load_images(Path("data/records"), manifest, "val", Path(".cache"))
    size, images = manifest.image_size, tf.constant(val.images)
    for name in models:
        augmentation = params.model(name).augmentation
        network, _ = load_model(Path("models") / name / "model.keras")
        original, augmented = [], []
        for step, indices in enumerate(np.arange(len(images), dtype=np.int32).reshape(-1, BATCH_SIZE)):
            rng = random_numbers(SEED, tf.constant(step), BATCH_SIZE)
            sampled = sample(rng, tf.zeros(BATCH_SIZE, tf.bool), size, size, augmentation)
            changed = augment(images, tf.constant(indices), sampled, size, augmentation)
            augmented.append(network(changed, training=False))
            original.append(network(val.images[indices].astype(np.float32), training=False))
        for kind, logits in (("original", original), ("augmented", augmented)):
            print(name, kind, score(np.concatenate(logits), val.labels))


if __name__ == "__main__":
    main(sys.argv[1:])
