import numpy as np
import tensorflow as tf

from tiny_imagenet.augmentation.colors import brighten


def test_brightness_multiplies_and_clips() -> None:
    image = np.float32([[[[0, 100, 200]]]])
    bright = brighten(tf.constant(np.repeat(image, 3, 0)), tf.constant([0.5, 1.0, 1.5]), rescale_max=False)
    assert np.asarray(bright)[:, 0, 0].tolist() == [[0, 50, 100], [0, 100, 200], [0, 150, 255]]


def test_rescale_max_first_makes_the_greatest_value_of_each_image_255() -> None:
    batch = np.float32([[[[50, 100, 200]]], [[[0, 51, 255]]], [[[0, 0, 0]]]])
    rescaled = brighten(tf.constant(batch), tf.constant([1.0, 1.0, 1.0]), rescale_max=True)
    assert np.allclose(np.asarray(rescaled)[:, 0, 0], [[63.75, 127.5, 255], [0, 51, 255], [0, 0, 0]])
    darker = brighten(tf.constant(batch), tf.constant([0.5, 0.5, 0.5]), rescale_max=True)
    assert np.allclose(darker, np.asarray(rescaled) / 2)
