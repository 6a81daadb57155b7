import numpy as np
import tensorflow as tf

from tiny_imagenet.augmentation.colours import brighten


def test_brightness_multiplies_and_clips() -> None:
    image = np.float32([[[[0, 100, 200]]]])
    bright = brighten(tf.constant(np.repeat(image, 3, 0)), tf.constant([0.5, 1.0, 1.5]), stretch=False)
    assert np.asarray(bright)[:, 0, 0].tolist() == [[0, 50, 100], [0, 100, 200], [0, 150, 255]]


def test_stretch_takes_each_image_to_the_full_range_first() -> None:
    batch = np.float32([[[[50, 100, 150]]], [[[0, 51, 255]]], [[[7, 7, 7]]]])
    stretched = brighten(tf.constant(batch), tf.constant([1.0, 1.0, 1.0]), stretch=True)
    assert np.asarray(stretched)[:2, 0, 0].tolist() == [[0, 127.5, 255], [0, 51, 255]]
    assert np.isfinite(stretched[2]).all()  # an image of one colour
    darker = brighten(tf.constant(batch), tf.constant([0.5, 0.5, 0.5]), stretch=True)
    assert np.allclose(darker, np.asarray(stretched) / 2)
