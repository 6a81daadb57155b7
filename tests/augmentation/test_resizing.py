import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tiny_imagenet.augmentation.resizing import resize

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 16, 32, 40, 48, 63, 65, 100])
def test_the_result_is_tensorflows_antialiased_resize(size: int) -> None:
    expected = tf.image.resize(IMAGES, (size, size), "bilinear", antialias=True)
    assert np.abs(resize(tf.constant(IMAGES), size) - expected).max() < 2e-3


@pytest.mark.parametrize("size", [32, 40, 48])
def test_the_result_is_pillows_up_to_its_rounding(size: int) -> None:
    for image, ours in zip(IMAGES, np.asarray(resize(tf.constant(IMAGES), size)), strict=True):
        theirs = Image.fromarray(image.astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(theirs, np.float32)).max() < 1.01


def test_images_of_that_size_are_returned_as_they_are() -> None:
    images = tf.constant(IMAGES)
    assert resize(images, 64) is images


def test_xla_gives_the_same_result_to_rounding() -> None:
    compiled = tf.function(lambda images: resize(images, 48), jit_compile=True, autograph=False)
    assert np.abs(compiled(IMAGES) - resize(tf.constant(IMAGES), 48)).max() < 1e-3
