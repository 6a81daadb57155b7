"""Input alone: augmented batches by `input_pipeline.make_batch`, from the decoded cache. PROJECT."""

from __future__ import annotations

import sys

from benchmarks.ours._stage import trainer_of
from benchmarks.serving import rate, serve


def main(project: str) -> None:
    trainer = trainer_of(project, "logistic_regression")
    import tensorflow as tf

    from tiny_imagenet.input_pipeline import epoch_order, make_batch

    settings, size = trainer.settings, trainer.settings.batch_size
    trainer.feed.begin(epoch_order(settings.seed, 0, trainer.num_images), 0)
    group = trainer.feed.take(1)

    # A call a batch: in a loop inside one function TensorFlow would leave out what nobody reads.
    @tf.function
    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.slice(group.order, [step * size], [size])
        part = tf.constant(0)
        return make_batch(
            group.images, group.labels, chosen,
            seed=settings.seed, step=step, part=part, num_parts=1, settings=settings.augmentation,
        )  # fmt: skip

    step = 0

    def make_next() -> None:
        nonlocal step
        batch(tf.constant(step))
        step = (step + 1) % trainer.steps_per_epoch

    make_next()
    serve(lambda: rate(make_next, size))


if __name__ == "__main__":
    main(*sys.argv[1:])
