"""Training steps by the project's loop. Arguments: PROJECT MODEL INPUT.

INPUT is "full" (augmented batches) or "bare" (the same batch in each step).
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from benchmarks.ours._stage import trainer_of
from benchmarks.serving import SECONDS, Figures, serve

WARM_SECONDS = 0.6  # the loop's calls grow from one step


class _Enough(Exception):
    """Ends a measurement inside the loop."""


def without_input(batch_size: int) -> None:
    """Gives each step the same batch of images; labels and all else are unchanged."""
    import tensorflow as tf

    from tiny_imagenet.augmentation.batch import Batch, Images, Selection
    from tiny_imagenet.training import train_step

    images = tf.random.stateless_uniform((batch_size, 64, 64, 3), (1, 1), 0.0, 255.0)

    def same_images(source: Images, selection: Selection, *_: Any) -> Batch:
        return Batch(images, tf.gather(source.labels, selection.rows), None, None)

    train_step.make_batch = same_images  # type: ignore[assignment]


def measure(trainer: Any, seconds: float = SECONDS) -> Figures:
    """Trains for some seconds from step 0; returns images per second."""
    trainer.progress = type(trainer.progress)()
    called, began, count, took = time.perf_counter(), 0.0, 0, 0.0

    def on_steps(steps: int) -> None:
        nonlocal began, count, took
        now = time.perf_counter()
        if not began:
            began = now if now - called > WARM_SECONDS else 0.0
            return
        count, took = count + steps, now - began
        if took >= seconds:
            raise _Enough

    with contextlib.suppress(_Enough):
        trainer.run({}, on_epoch=[], on_steps=on_steps, stop=lambda: False)
    return {"images_per_second": count * trainer.settings.batch_size / took}


def main(project: str, model: str, inputs: str) -> None:
    trainer = trainer_of(project, model)
    from tiny_imagenet.scoring.flops import TRAIN_FLOPS_PER_MAC
    from tiny_imagenet.training.model_summary import summarize_model

    if inputs == "bare":
        without_input(trainer.settings.batch_size)
    macs = summarize_model(trainer.model)["macs_per_image"]
    measure(trainer, 0.1)
    serve(
        lambda: measure(trainer),
        macs_per_image=macs,
        train_flops_per_image=TRAIN_FLOPS_PER_MAC * macs,
        batch_size=trainer.settings.batch_size,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
