"""Training steps, by the project's loop. PROJECT MODEL INPUT ("full": augmented batches; "bare": always one batch)."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from benchmarks.ours._stage import trainer_of
from benchmarks.serving import SECONDS, Figures, serve

WARM_SECONDS = 0.6  # the loop's groups of steps grow from one


class _Enough(Exception):
    """Ends a measurement inside the loop."""


def without_input(batch_size: int) -> None:
    """Lets each step have the same batch, from memory; all else stays as it is."""
    import tensorflow as tf

    from tiny_imagenet.augmentation.batch import Batch
    from tiny_imagenet.training import train_step as steps

    images = tf.random.stateless_uniform((batch_size, 64, 64, 3), (1, 1), 0.0, 255.0)
    steps.make_batch = lambda _images, labels, chosen, **_: Batch(images, tf.gather(labels, chosen), None, None)  # type: ignore[assignment]


def measure(trainer: Any, seconds: float = SECONDS) -> Figures:
    """Trains for so many seconds from step 0; returns images a second."""
    trainer.progress = type(trainer.progress)()
    entered, began, count, took = time.perf_counter(), 0.0, 0, 0.0

    def on_steps(steps: int) -> None:
        nonlocal began, count, took
        now = time.perf_counter()
        if not began:
            began = now if now - entered > WARM_SECONDS else 0.0
            return
        count, took = count + steps, now - began
        if took >= seconds:
            raise _Enough

    with contextlib.suppress(_Enough):
        trainer.run({}, on_epoch=[], on_steps=on_steps, stop=lambda: False)
    return {"images_per_second": count * trainer.recipe.batch_size / took}


def main(project: str, model: str, given: str) -> None:
    trainer = trainer_of(project, model)
    from tiny_imagenet.training.model_summary import TRAIN_FLOPS_PER_MAC, summarize_model

    if given == "bare":
        without_input(trainer.recipe.batch_size)
    macs = summarize_model(trainer.model)["macs_per_image"]
    measure(trainer, 0.1)
    serve(
        lambda: measure(trainer),
        macs_per_image=macs,
        train_flops_per_image=TRAIN_FLOPS_PER_MAC * macs,
        batch_size=trainer.recipe.batch_size,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
