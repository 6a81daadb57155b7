"""The augmentation against tensorflow-addons 0.23, pixel for pixel, and `rescale_max` against keras-preprocessing.

`make test-addons` writes the reference first.
"""

import os

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet.augmentation import transforms
from tiny_imagenet.augmentation.colors import brighten
from tiny_imagenet.augmentation.resampling import resample

SIZE = 64
REFERENCE = os.environ.get("TFA_REFERENCE")
pytestmark = pytest.mark.skipif(
    not REFERENCE, reason="needs tensorflow-addons' own environment: run `make test-addons`"
)


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def transformed(reference, *, angle=True, shift=True, flip=True, interpolation="bilinear"):
    batch = len(reference["angle"])
    matrices = transforms.projective_transforms(
        tf.constant(reference["angle"] if angle else np.zeros(batch, np.float32)),
        tf.constant(reference["shift"][:, 0] if shift else np.zeros(batch, np.float32)),
        tf.constant(reference["shift"][:, 1] if shift else np.zeros(batch, np.float32)),
        tf.constant(reference["flip"] if flip else np.zeros(batch, bool)),
        SIZE,
    )
    images = tf.constant(reference["images"].astype(np.uint8))
    return resample(images, transforms.flatten(matrices), interpolation).numpy()


def test_rotation(reference):
    assert np.array_equal(transformed(reference, shift=False, flip=False), reference["rotated"])


def test_translation(reference):
    assert np.array_equal(transformed(reference, angle=False, flip=False), reference["translated"])


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_rotation_translation_and_flip_in_one(reference, interpolation):
    assert np.array_equal(transformed(reference, interpolation=interpolation), reference[f"composed_{interpolation}"])


def test_brightness(reference):
    """`tfa.image.blend` with black rounds to whole levels; ours does not."""
    ours = brighten(tf.constant(reference["images"]), tf.constant(reference["factor"]), rescale_max=False)
    assert np.abs(ours.numpy() - reference["brightened"]).max() <= 0.5 + 1e-4
    assert np.ptp(reference["brightened"]) > 200


def test_rescale_max(reference):
    """The former library truncates to whole levels before and after the factor of at most 1.5; ours does not."""
    shades, factor = tf.constant(reference["shades"]), tf.constant(reference["factor"])
    ours = brighten(shades, factor, rescale_max=True).numpy()
    assert (ours - reference["rescaled"]).min() >= -1e-3
    assert (ours - reference["rescaled"]).max() <= 2.5 + 1e-3
    assert np.abs(ours - brighten(shades, factor, rescale_max=False).numpy()).max() > 50
