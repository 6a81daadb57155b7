"""Keras `fit` on arrays in memory with the same model. Arguments: MODEL JIT ("auto", Keras' choice, or "off")."""

import sys

import numpy as np

from benchmarks.peers._fitting import Clock, compiled
from benchmarks.serving import serve

BATCH, IMAGES = 100, 20_000


def main(name: str, jit: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, 64, 64, 3), np.uint8)
    labels = rng.integers(0, 200, IMAGES, np.int32)
    model = compiled(name, jit_compile="auto" if jit == "auto" else False)

    def measure():
        clock = Clock()
        model.fit(images, labels, batch_size=BATCH, callbacks=[clock], verbose=0)
        return clock.figures(BATCH)

    model.fit(images[: 2 * BATCH], labels[: 2 * BATCH], batch_size=BATCH, verbose=0)
    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
