"""The augmentation against tensorflow-addons 0.23, pixel for pixel; `make test-addons` writes the reference first."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tiny_imagenet import augmentation

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
    transforms = augmentation.projective_transforms(
        tf.constant(reference["angle"] if angle else np.zeros(batch, np.float32)),
        tf.constant(reference["shift"][:, 0] if shift else np.zeros(batch, np.float32)),
        tf.constant(reference["shift"][:, 1] if shift else np.zeros(batch, np.float32)),
        tf.constant(reference["flip"] if flip else np.zeros(batch, bool)),
        SIZE,
    )
    return augmentation.transform(tf.constant(reference["images"]), transforms, interpolation).numpy()


def assert_same_pixels(ours, theirs):
    # Grey levels of 0 to 255 on noise, the hardest image: a coordinate off by one float32 rounding (1e-5 of a pixel)
    # moves a value by up to 0.003.
    assert np.abs(ours - theirs).max() < 0.01
    assert np.array_equal(np.rint(ours), np.rint(theirs)) or np.mean(np.rint(ours) != np.rint(theirs)) < 1e-4


def test_rotation(reference):
    assert_same_pixels(transformed(reference, shift=False, flip=False), reference["rotated"])


def test_translation(reference):
    assert_same_pixels(transformed(reference, angle=False, flip=False), reference["translated"])


def test_rotation_translation_and_flip_in_one(reference):
    assert_same_pixels(transformed(reference), reference["composed_bilinear"])


def test_nearest_interpolation(reference):
    ours, theirs = transformed(reference, interpolation="nearest"), reference["composed_nearest"]
    assert np.mean(ours != theirs) < 1e-4  # a coordinate within a rounding of the middle between two pixels


def test_brightness(reference):
    ours = augmentation.brighten(tf.constant(reference["images"]), tf.constant(reference["factor"]), stretch=False)
    assert np.abs(ours.numpy() - reference["brightened"]).max() < 1e-4
