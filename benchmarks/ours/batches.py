"""Input only: augmented batches by `augmentation.batch.make_batch`, from the decoded cache. Arguments: PROJECT."""

from __future__ import annotations

import sys

from benchmarks.ours._stage import trainer_of
from benchmarks.serving import rate, serve

BATCHES = 20  # per call, as in the loop; TensorFlow computes several of them in parallel


def main(project: str) -> None:
    trainer = trainer_of(project, "logistic_regression")
    import tensorflow as tf

    from tiny_imagenet.augmentation.batch import Selection, StepKey, make_batch
    from tiny_imagenet.training.batch_source import epoch_order

    settings, size = trainer.settings, trainer.settings.batch_size
    trainer.source.start_epoch(epoch_order(settings.seed, 0, trainer.num_images), 0)
    epoch = trainer.source.next_batches(1)  # holds all images and the order of the whole epoch
    zero = tf.constant(0)

    @tf.function
    def batches(first: tf.Tensor) -> tf.Tensor:
        total = 0.0  # of one value of each batch, so that TensorFlow must compute every batch
        for i in tf.range(BATCHES):
            step = first + i
            selection = Selection(*(tf.slice(each, [step * size], [size]) for each in epoch.selection))
            key = StepKey(settings.seed, step, zero, zero, 1)
            total += make_batch(epoch.source, selection, key, settings.augmentation).images[0, 0, 0, 0]
        return total

    first = 0

    def make_next() -> None:
        nonlocal first
        batches(tf.constant(first)).numpy()
        first = (first + BATCHES) % (trainer.steps_per_epoch // BATCHES * BATCHES)

    make_next()
    serve(lambda: rate(make_next, BATCHES * size))


if __name__ == "__main__":
    main(*sys.argv[1:])
