"""Communication between the workers of one training, and their end when one is lost.

A worker is a process, on this machine or another; TF_CONFIG names them all, as TensorFlow's users know it. Everything
here does nothing, at no cost, where there is one process.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import logging
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.eager import context

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.distribute.tf_config import Cluster, read_tf_config

START_SECONDS = 600  # a worker that has not started by then is named, and the others end
# A worker that answers none of CHECKS in a row is lost: at most 5 + 2 x 10 seconds after its last sign of life.
CHECK_EVERY_SECONDS, CHECK_SECONDS, CHECKS = 5, 10, 2

# What a collective raises when another worker is gone, has ended or does not answer.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)

Arrays = Mapping[str, np.ndarray]


def join(cluster: Cluster, *, gpus: bool) -> tf.distribute.Strategy:
    """Waits for all workers; returns their strategy. To be called before TensorFlow computes anything.

    Args:
        cluster: The workers.
        gpus: Whether they compute on GPUs, whose sums NCCL makes: TensorFlow would not choose it by itself.

    Raises:
        PipelineError: A worker has not started within START_SECONDS, or this one's port is taken.
    """
    _check_each_other()
    ways = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=ways.NCCL if gpus else ways.RING)
    others = ", ".join(name for i, name in enumerate(cluster.names) if i != cluster.index)
    print(f"{cluster.names[cluster.index]}: waiting for {others}, at most {START_SECONDS} s", flush=True)
    try:
        with _interruptible():
            return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except tf.errors.UnknownError as error:
        where, what = (
            "TF_CONFIG",
            f"cannot listen on {cluster.addresses[cluster.index]} ({error.message.splitlines()[0]})",
        )
        todo = "choose another port, or end the process that has it"
    except (RuntimeError, *LOST) as error:
        if isinstance(error, RuntimeError) and "Timeout waiting" not in str(error):
            raise
        where, what = ", ".join(cluster.silent()) or "another worker", f"did not start within {START_SECONDS} s"
        todo = "start all workers, each with its own `index`, at the same time"
    raise PipelineError(where, what, todo)  # here, where TensorFlow's threads have gone with its error


def _check_each_other() -> None:
    """Chooses how the workers notice that one is lost.

    TensorFlow has two ways. Its coordination service hears no signal while it waits for a worker that has not started
    yet, and takes SIGTERM for itself; the older checks, which it switches off, do neither.
    """
    context.context().configure_coordination_service(service_type="")
    checks = CollectiveAllReduceExtended
    checks._check_health_initial_timeout = START_SECONDS
    checks._check_health_interval, checks._check_health_timeout = CHECK_EVERY_SECONDS, CHECK_SECONDS
    checks._check_health_retry_limit = CHECKS
    tf.get_logger().addFilter(_is_no_health_check)


def worker_count(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of workers that train together; 1 on one machine."""
    return getattr(strategy.extended, "_num_workers", 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes."""
    return worker_count(strategy) == 1 or strategy.extended._id_in_cluster == 0


def agree(strategy: tf.distribute.Strategy, count: int, stop: bool) -> tuple[int, bool]:
    """Returns the chief's `count`, and whether any worker asks to stop. All workers must call it together."""
    if worker_count(strategy) == 1:
        return count, stop
    count, stops = _sum(strategy, np.array([count if is_chief(strategy) else 0, stop])).tolist()
    return count, stops > 0


def broadcast(strategy: tf.distribute.Strategy, data: bytes | None) -> bytes | None:
    """Returns the chief's bytes, or None, on all workers: they need no shared disk. All must call it together."""
    if worker_count(strategy) == 1:
        return data
    chief = is_chief(strategy)
    length, _ = agree(strategy, -1 if data is None else len(data), False)
    if length <= 0:
        return None if length < 0 else b""
    words = np.zeros(-(-length // 8), np.int64)  # the others' part of the sum: it leaves every bit as it is
    if chief:
        words.view(np.uint8)[:length] = np.frombuffer(data or b"", np.uint8)
    return _sum(strategy, words).tobytes()[:length]


def broadcast_state(
    strategy: tf.distribute.Strategy, state: tuple[Arrays, Mapping[str, Any]] | None
) -> tuple[Arrays, Mapping[str, Any]] | None:
    """Returns the chief's checkpoint, as CheckpointStore.load gives it, on all workers, bit for bit."""
    if worker_count(strategy) == 1:
        return state
    data = None
    if state and is_chief(strategy):
        file = io.BytesIO()
        metadata = np.frombuffer(json.dumps(state[1]).encode(), np.uint8)
        np.savez(file, allow_pickle=False, metadata=metadata, **state[0])
        data = file.getvalue()
    received = broadcast(strategy, data)
    if received is None:
        return None
    with np.load(io.BytesIO(received), allow_pickle=False) as content:
        arrays = {name: content[name] for name in content.files}
    return arrays, json.loads(arrays.pop("metadata").tobytes())


def same_on_all(strategy: tf.distribute.Strategy, inputs: Mapping[str, object]) -> None:
    """Compares the inputs of the workers. All must call it together, with the same keys.

    Args:
        strategy: The devices.
        inputs: Digests by name, such as "settings", "data", "code".

    Raises:
        PipelineError: On all of them, naming the first worker that differs from the chief, and in what.
    """
    workers = worker_count(strategy)
    if workers == 1:
        return
    digests = np.zeros((workers, len(inputs), 4), np.int64)
    for i, value in enumerate(inputs.values()):
        digest = hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).digest()
        digests[strategy.extended._id_in_cluster, i] = np.frombuffer(digest, np.int64)
    digests = _sum(strategy, digests)
    for worker, what in np.argwhere((digests != digests[0]).any(axis=2)):
        raise PipelineError(
            _names(strategy)[worker],
            f"does not have the chief's {list(inputs)[what]}",
            "all workers need the same checkout, params.yaml, data/records and versions",
        )


@contextmanager
def watch(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Runs a body that all workers share; what TensorFlow raises in the others when one is lost becomes one line.

    Raises:
        PipelineError: A worker was lost: raised after one or two checks, as their constants say.
    """
    if worker_count(strategy) == 1:
        yield
        return
    try:
        yield
    except LOST as error:
        lost = _lost(strategy, error.message)
        if not lost:
            raise
        todo = "start all workers again: they resume from the last checkpoint"
        raise PipelineError(lost, "was lost (its process or machine is gone)", todo) from None
    finally:
        strategy.extended._check_health_thread_should_stop.set()
        strategy.extended._check_health_thread = None  # else the end of this process waits for it


def finish(strategy: tf.distribute.Strategy) -> None:
    """Waits for all workers, the chief's last file written. The last thing inside `watch`."""
    agree(strategy, 0, False)


def _sum(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    # int64: adds zeros exactly, and is the integer that every device, CPU or GPU, keeps in its own memory.
    return np.asarray(_adder(strategy)(tf.constant(values, tf.int64))).reshape(values.shape)


@functools.lru_cache(maxsize=1)
def _adder(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    # Called eagerly, TensorFlow starts a pool of threads for each sum, and leaves it behind when the sum fails.
    add: Callable[[tf.Tensor], tf.Tensor] = tf.function(lambda values: strategy.reduce("SUM", values, axis=None))
    return add


def _names(strategy: tf.distribute.Strategy) -> list[str]:
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    return ["chief" for _ in jobs.get("chief", [])] + [f"worker {i}" for i in range(len(jobs.get("worker", [])))]


def _lost(strategy: tf.distribute.Strategy, message: str) -> str | None:
    """Returns the name of the other worker that an error is about: its message tells, or nothing listens there."""
    here = strategy.cluster_resolver
    for job, index in re.findall(r"/job:(\w+)/replica:0/task:(\d+)", message):
        if (job, int(index)) != (here.task_type, here.task_id):
            return "chief" if job == "chief" else f"worker {index}"
    cluster = read_tf_config()
    return ", ".join(cluster.silent()) if cluster else None


def _is_no_health_check(record: logging.LogRecord) -> bool:
    return not ("seems down" in record.getMessage() or "check alive failed" in record.getMessage())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end this process at once: Python does not hear it while TensorFlow waits."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
