"""Keras `fit` on `image_dataset_from_directory` and Keras' augmentation layers. Arguments: MODEL FOLDER."""

import sys

from benchmarks.peers._fitting import Clock, compiled
from benchmarks.peers._keras_input import BATCH, augmented
from benchmarks.serving import serve


def main(name: str, folder: str) -> None:
    model, data = compiled(name), augmented(folder)

    def measure():
        clock = Clock()
        model.fit(data, callbacks=[clock], verbose=0)
        return clock.figures(BATCH)

    model.fit(data, steps_per_epoch=2, verbose=0)
    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
