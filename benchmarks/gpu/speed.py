"""Speed of a device: steps, augmentation, the matrix product, the time until the first step."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from benchmarks.gpu.timing import fastest
from benchmarks.gpu.trainers import make_strategy, make_trainer, model_settings, random_split, take_steps
from tiny_imagenet.augmentation.batch import Images, Selection, StepKey, make_batch
from tiny_imagenet.scoring.flops import TRAIN_FLOPS_PER_MAC
from tiny_imagenet.training.model_summary import summarize_model


def steps(model: str, device: str, *, tiny: bool, **changes: Any) -> dict[str, Any]:
    """Measures the training step in calls of many steps, and the time from the start of this process to the first.

    `deterministic` is taken out of the changes; the others are of the model's settings.
    """
    deterministic = changes.pop("deterministic", True)
    settings = model_settings(model, changes, tiny=tiny)
    count = 2 if tiny else max(20, 20_000 // settings.batch_size)
    train = random_split(settings.batch_size * count)
    trainer = make_trainer(settings, make_strategy(settings, device, deterministic=deterministic), train, 200)
    order = np.arange(trainer.num_images, dtype=np.int32)
    take_steps(trainer, 0, 1, order)
    first = time.time() - psutil.Process().create_time()
    seconds = fastest(lambda: take_steps(trainer, 0, count, order)) / count
    macs = summarize_model(trainer.model, trainer.epochs[-1].image_size)["macs_per_image"]
    images = settings.batch_size / seconds
    return {
        "first_step_seconds": first,
        "steps_per_second": 1 / seconds,
        "images_per_second": images,
        "flops": images * macs * TRAIN_FLOPS_PER_MAC,
    }


def augmentation(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Measures `make_batch` alone, a batch a call."""
    settings = model_settings(model, tiny=tiny)
    strategy = make_strategy(settings, device, deterministic=True)
    split, count = random_split(2_000), 2 if tiny else 50
    rows = tf.range(settings.batch_size, dtype=tf.int64)
    with tf.device(strategy.extended.worker_devices[0]):
        source = Images(tf.identity(split.images), tf.constant(split.labels, tf.int64))

    @tf.function(jit_compile=settings.xla)
    def total(step: tf.Tensor) -> tf.Tensor:
        key = StepKey(settings.seed, step, tf.constant(0), tf.constant(0), 1)
        return tf.reduce_sum(make_batch(source, Selection(rows, rows), key, settings.augmentation).images)

    def run() -> None:
        for step in range(count):
            result = total(tf.constant(step))
        result.numpy()

    return {"images_per_second": settings.batch_size * count / fastest(run)}


def matrix_product(_model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Measures the product of two square matrices in bfloat16, in FLOP a second."""
    size, count = (256, 2) if tiny else (8192, 50)
    strategy = make_strategy(model_settings("vgg"), device, deterministic=False)
    with tf.device(strategy.extended.worker_devices[0]):
        matrix = tf.cast(tf.random.stateless_normal((size, size), [0, 0]) / size**0.5, tf.bfloat16)

    @tf.function
    def power() -> tf.Tensor:
        result = matrix
        for _ in tf.range(count):
            result = result @ matrix
        return tf.reduce_sum(tf.cast(result, tf.float32))

    return {"flops": 2 * size**3 * count / fastest(lambda: power().numpy())}
