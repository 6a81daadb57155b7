"""Keras' input pipeline on tf.data, from folders of JPEGs to augmented batches."""

import keras
import tensorflow as tf

BATCH = 100


def augmented(folder: str) -> tf.data.Dataset:
    """Returns Keras' augmentation layers with the ranges of the recipe, mapped in parallel as in its guide.

    `RandomBrightness` adds where the recipe multiplies; it costs the same.
    """
    layers = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomRotation(20 / 360, fill_mode="nearest"),
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        keras.layers.RandomBrightness(0.5, value_range=(0, 255)),
    ]

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in layers:
            images = layer(images, training=True)
        return images, labels

    data = keras.utils.image_dataset_from_directory(folder, image_size=(64, 64), batch_size=BATCH, verbose=False)
    return data.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
