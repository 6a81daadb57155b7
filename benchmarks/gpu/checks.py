"""Checks of a device: what runs where, the same numbers as on a processor, determinism, memory, two replicas."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context

from benchmarks.gpu.placement import place
from benchmarks.gpu.trainers import (
    digits_split,
    make_strategy,
    make_trainer,
    model_settings,
    random_split,
    take_steps,
    trace_loop,
)
from benchmarks.ours.memory import peak_bytes
from tiny_imagenet.augmentation.batch import Images, Selection, StepKey, make_batch
from tiny_imagenet.augmentation.rng import uniform
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.training.batch_source import epoch_order
from tiny_imagenet.training.train_step import device_errors

BATCH_SIZE, STEPS = 100, 3
SHOWN_IMAGES = 8  # of the first batch, kept for the comparison
TOO_MANY = 400_000  # images of a batch, more than any one device holds the activations of
MEMORY_LIMIT_MB = 4096  # of each of two logical devices of a GPU


def placement(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Counts the operations of a step by the registry's placement, and by where TensorFlow ran them."""
    settings = model_settings(model, tiny=tiny)
    trainer = make_trainer(settings, make_strategy(settings, device, deterministic=True), digits_split(), 10)
    found = place(trace_loop(trainer))
    context.context().enable_run_metadata()
    take_steps(trainer, 0, 1, np.arange(trainer.num_images, dtype=np.int32))
    graphs = context.context().export_run_metadata().partition_graphs
    # A device is "/job:localhost/replica:0/task:0/device:GPU:0"; operations that begin with "_" are TensorFlow's own.
    nodes = [node for graph in graphs for node in graph.node if not node.op.startswith("_")]
    ran = Counter(node.device.split(":")[-2] for node in nodes if node.device.count(":") > 1)
    crossings = [str(each) for each in found.findings if each.matters]
    return {"operations": found.operations, "xla_programs": found.compiled, "crossings": crossings, "ran_on": ran}


def numbers(model: str, device: str, *, tiny: bool, deterministic: bool = True) -> dict[str, Any]:
    """Returns the first batch, dropout masks, losses and weights of some steps; two devices are compared by them."""
    changes = {"batch_size": 20 if tiny else BATCH_SIZE}
    settings = model_settings(model, changes, tiny=tiny)
    strategy = make_strategy(settings, device, deterministic=deterministic)
    train, zero = digits_split(), tf.constant(0)
    trainer = make_trainer(settings, strategy, train, 10)
    order = epoch_order(settings.seed, 0, trainer.num_images)
    ids = tf.constant(order[: settings.batch_size], tf.int64)
    source = Images(tf.constant(train.images), tf.constant(train.labels, tf.int64))
    key = StepKey(settings.seed, zero, zero, zero, 1)
    batch = make_batch(source, Selection(ids, ids), key, settings.augmentation)
    mask = uniform(tf.stack([settings.seed, zero]), (settings.batch_size, 1024)) >= 0.2
    losses = take_steps(trainer, 0, STEPS, order)[:, 0] / settings.batch_size
    weights = b"".join(np.asarray(variable).tobytes() for variable in trainer.model.variables)
    return {
        "batch": np.asarray(batch.images[:SHOWN_IMAGES]).tolist(),
        "labels": np.asarray(batch.labels).tolist(),
        "mask_sha256": hashlib.sha256(np.asarray(mask).tobytes()).hexdigest(),
        "losses": losses.tolist(),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }


def refusals(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Returns the error line of a deterministic training with XLA; None if it runs."""
    settings = model_settings(model, {"xla": True}, tiny=tiny)
    trainer = make_trainer(settings, make_strategy(settings, device, deterministic=True), digits_split(), 10)
    return {"xla": _error_line(lambda: take_steps(trainer, 0, 1, epoch_order(1, 0, trainer.num_images)), 0)}


def memory(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Returns the peak of the memory up to the end of each phase, and the error line of a batch that does not fit."""
    settings = model_settings(model, tiny=tiny)
    strategy = make_strategy(settings, device, deterministic=True)
    peaks = {"start": _peak_bytes()}
    trainer = make_trainer(settings, strategy, digits_split(), 10)
    peaks["model and images"] = _peak_bytes()
    take_steps(trainer, 0, 2, epoch_order(1, 0, trainer.num_images))
    peaks["two steps"] = _peak_bytes()

    def overfill() -> None:
        if not tf.config.get_visible_devices("GPU"):
            tf.zeros([1 << 30, 1 << 20])  # 4 PB: a processor would not refuse the batch, but use all its memory
        large = make_trainer(settings.model_copy(update={"batch_size": TOO_MANY}), strategy, random_split(TOO_MANY), 10)
        take_steps(large, 0, 1, epoch_order(1, 0, TOO_MANY))

    return {"peak_bytes": peaks, "too_large_a_batch": _error_line(overfill, TOO_MANY)}


def _peak_bytes() -> int:
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return peak_bytes()


def _error_line(action: Any, batch_size: int) -> str | None:
    try:
        with device_errors(batch_size):
            action()
    except PipelineError as error:
        return str(error)
    return None


def replicas(model: str, device: str, *, tiny: bool) -> dict[str, Any]:
    """Returns the losses of some steps on two logical devices of one physical device, and on one of them."""
    kind = device.upper()
    physical = tf.config.list_physical_devices(kind)[0]
    part = tf.config.LogicalDeviceConfiguration(MEMORY_LIMIT_MB if kind == "GPU" else None)
    tf.config.set_logical_device_configuration(physical, [part, part])
    names = [each.name for each in tf.config.list_logical_devices(kind)]
    losses = {}
    for count, strategy in ((2, tf.distribute.MirroredStrategy(names)), (1, tf.distribute.OneDeviceStrategy(names[0]))):
        settings = model_settings(model, {"batch_size": 20 if tiny else BATCH_SIZE}, tiny=tiny)
        trainer = make_trainer(settings, strategy, digits_split(), 10)
        sums = take_steps(trainer, 0, STEPS, epoch_order(1, 0, trainer.num_images))
        losses[count] = (sums[:, 0] / settings.batch_size).tolist()
    return {"two": losses[2], "one": losses[1], "difference": _relative(losses[2], losses[1])}


def compare(ours: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any]:
    """Compares the results of `numbers` on a device with those on a processor."""
    pixels = np.abs(np.subtract(ours["batch"], reference["batch"])).max()
    return {
        "pixel_difference": float(pixels),
        "labels_equal": ours["labels"] == reference["labels"],
        "masks_equal": ours["mask_sha256"] == reference["mask_sha256"],
        "first_loss_difference": _relative(ours["losses"][:1], reference["losses"][:1]),
        "loss_difference": _relative(ours["losses"], reference["losses"]),
    }


def _relative(ours: list[float], theirs: list[float]) -> float:
    return float((np.abs(np.subtract(ours, theirs)) / np.abs(theirs)).max())
