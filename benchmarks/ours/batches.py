"""Input alone: augmented batches by `input_pipeline.make_batch`, from the decoded cache. PROJECT."""

from __future__ import annotations

import sys

from benchmarks.ours._stage import trainer_of
from benchmarks.serving import rate, serve

BATCHES = 20  # made by one call, as the loop does it: TensorFlow makes some of them at once


def main(project: str) -> None:
    trainer = trainer_of(project, "logistic_regression")
    import tensorflow as tf

    from tiny_imagenet.augmentation.batch import make_batch
    from tiny_imagenet.training.batch_source import epoch_order

    settings, size = trainer.settings, trainer.recipe.batch_size
    trainer.feed.begin(epoch_order(settings.seed, 0, trainer.num_images), 0)
    group = trainer.feed.take(1)

    @tf.function
    def batches(first: tf.Tensor) -> tf.Tensor:
        read = 0.0  # a number of each batch: nothing is left out
        for i in tf.range(BATCHES):
            step = first + i
            images, *_ = make_batch(
                group.images, group.labels, tf.slice(group.order, [step * size], [size]),
                seed=settings.seed, step=step, epoch=tf.constant(0), part=tf.constant(0), num_parts=1,
                settings=trainer.take.augmentation,
            )  # fmt: skip
            read += images[0, 0, 0, 0]
        return read

    first = 0

    def make_next() -> None:
        nonlocal first
        batches(tf.constant(first)).numpy()
        first = (first + BATCHES) % (trainer.steps_per_epoch // BATCHES * BATCHES)

    make_next()
    serve(lambda: rate(make_next, BATCHES * size))


if __name__ == "__main__":
    main(*sys.argv[1:])
