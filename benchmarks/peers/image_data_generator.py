"""Input only: Keras' `ImageDataGenerator.flow_from_directory`, as in the report of 2018. Arguments: FOLDER."""

import sys

import tensorflow as tf

from benchmarks.serving import rate, serve

BATCH = 100


def main(folder: str) -> None:
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=20,
        width_shift_range=0.1,
        height_shift_range=0.1,
        brightness_range=(0.5, 1.5),
        horizontal_flip=True,
        rescale=1 / 255,
    )
    batches = generator.flow_from_directory(folder, target_size=(64, 64), batch_size=BATCH, class_mode="sparse")
    serve(lambda: rate(lambda: next(batches), BATCH))


if __name__ == "__main__":
    main(*sys.argv[1:])
