"""Input only: `image_dataset_from_directory` and Keras' augmentation layers on tf.data. Arguments: FOLDER."""

import sys

from benchmarks.peers._keras_input import BATCH, augmented
from benchmarks.serving import rate, serve


def main(folder: str) -> None:
    batches = iter(augmented(folder).repeat())
    serve(lambda: rate(lambda: next(batches), BATCH, warm=1.0))


if __name__ == "__main__":
    main(*sys.argv[1:])
