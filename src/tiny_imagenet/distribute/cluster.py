"""Communication between the workers of one training, and the detection of a lost worker.

A worker is a process, on this machine or another; TensorFlow's variable TF_CONFIG lists all of them. With one process
the functions of this module return at once.
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

START_SECONDS = 600  # to wait for the other workers to start
# A worker that misses CHECKS health checks in a row is lost: at most 5 + 2 x 10 seconds after its last answer.
CHECK_EVERY_SECONDS, CHECK_SECONDS, CHECKS = 5, 10, 2

# Raised by a collective operation when another worker has ended or does not answer.
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
    """Waits for all workers and returns their strategy. To be called before TensorFlow computes anything.

    Args:
        cluster: The workers.
        gpus: Whether they compute on GPUs; sums then use NCCL, which TensorFlow does not choose by itself.

    Raises:
        PipelineError: A worker did not start within START_SECONDS, or the port of this one is in use.
    """
    _use_health_checks()
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if gpus else kinds.RING)
    others = ", ".join(name for i, name in enumerate(cluster.names) if i != cluster.index)
    print(f"{cluster.names[cluster.index]}: waiting for {others}, at most {START_SECONDS} s", flush=True)
    try:
        with _interruptible():
            return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except tf.errors.UnknownError as error:
        address = cluster.addresses[cluster.index]
        where, what = "TF_CONFIG", f"cannot listen on {address} ({error.message.splitlines()[0]})"
        todo = "choose another port, or end the process that uses it"
    except (RuntimeError, *LOST) as error:
        if isinstance(error, RuntimeError) and "Timeout waiting" not in str(error):
            raise
        where, what = ", ".join(cluster.unreachable()) or "another worker", f"did not start within {START_SECONDS} s"
        todo = "start all workers, each with its own `index`, at the same time"
    raise PipelineError(where, what, todo)  # outside `except`: TensorFlow's threads end with its error


def _use_health_checks() -> None:
    """Enables TensorFlow's health checks between the workers in place of its coordination service.

    The coordination service blocks signals while it waits for a worker to start, and handles SIGTERM itself; the health
    checks do neither.
    """
    context.context().configure_coordination_service(service_type="")
    checks = CollectiveAllReduceExtended
    checks._check_health_initial_timeout = START_SECONDS
    checks._check_health_interval, checks._check_health_timeout = CHECK_EVERY_SECONDS, CHECK_SECONDS
    checks._check_health_retry_limit = CHECKS
    tf.get_logger().addFilter(_is_no_health_check)


def worker_count(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of workers; 1 without a cluster."""
    return getattr(strategy.extended, "_num_workers", 1)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the chief, the worker that writes files."""
    return worker_count(strategy) == 1 or strategy.extended._id_in_cluster == 0


def agree(strategy: tf.distribute.Strategy, count: int, stop: bool) -> tuple[int, bool]:
    """Returns the chief's `count`, and whether any worker asks to stop. All workers must call this together."""
    if worker_count(strategy) == 1:
        return count, stop
    count, stops = _sum(strategy, np.array([count if is_chief(strategy) else 0, stop])).tolist()
    return count, stops > 0


def broadcast(strategy: tf.distribute.Strategy, data: bytes | None) -> bytes | None:
    """Returns the chief's bytes, or None, on all workers, without a shared disk. All must call this together."""
    if worker_count(strategy) == 1:
        return data
    chief = is_chief(strategy)
    length, _ = agree(strategy, -1 if data is None else len(data), False)
    if length <= 0:
        return None if length < 0 else b""
    words = np.zeros(-(-length // 8), np.int64)  # the other workers' zeros change no bit of the sum
    if chief:
        words.view(np.uint8)[:length] = np.frombuffer(data or b"", np.uint8)
    return _sum(strategy, words).tobytes()[:length]


def broadcast_state(
    strategy: tf.distribute.Strategy, state: tuple[Arrays, Mapping[str, Any]] | None
) -> tuple[Arrays, Mapping[str, Any]] | None:
    """Returns the chief's checkpoint (arrays and metadata, or None) on all workers, bit for bit."""
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
    """Checks that all workers have the same inputs. All workers must call this together, with the same keys.

    Args:
        strategy: The devices.
        inputs: Digests by name, such as "settings", "data", "code".

    Raises:
        PipelineError: On all workers; names the first that differs from the chief, and the input.
    """
    workers = worker_count(strategy)
    if workers == 1:
        return
    digests = np.zeros((workers, len(inputs), 4), np.int64)
    for i, value in enumerate(inputs.values()):
        digest = hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).digest()
        digests[strategy.extended._id_in_cluster, i] = np.frombuffer(digest, np.int64)
    digests = _sum(strategy, digests)
    for worker, key in np.argwhere((digests != digests[0]).any(axis=2)):
        raise PipelineError(
            _names(strategy)[worker],
            f"does not have the chief's {list(inputs)[key]}",
            "all workers need the same checkout, params.yaml, data/records and versions",
        )


@contextmanager
def watch(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Turns TensorFlow's errors after the loss of a worker into a PipelineError that names the worker.

    Raises:
        PipelineError: A worker was lost; see CHECKS for the delay.
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
        strategy.extended._check_health_thread = None  # otherwise this process waits for it at exit


def finish(strategy: tf.distribute.Strategy) -> None:
    """Waits until all workers are here, so that the chief has written its files; the last call inside `watch`."""
    agree(strategy, 0, False)


def _sum(strategy: tf.distribute.Strategy, values: np.ndarray) -> np.ndarray:
    # int64: sums with zeros are exact, and both CPUs and GPUs keep int64 in their own memory.
    return np.asarray(_adder(strategy)(tf.constant(values, tf.int64))).reshape(values.shape)


@functools.lru_cache(maxsize=1)
def _adder(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    # Called eagerly, TensorFlow starts a thread pool for each sum, and leaks it if the sum fails.
    add: Callable[[tf.Tensor], tf.Tensor] = tf.function(
        lambda values: strategy.reduce("SUM", values, axis=None), autograph=False
    )
    return add


def _names(strategy: tf.distribute.Strategy) -> list[str]:
    jobs = strategy.cluster_resolver.cluster_spec().as_dict()
    return ["chief" for _ in jobs.get("chief", [])] + [f"worker {i}" for i in range(len(jobs.get("worker", [])))]


def _lost(strategy: tf.distribute.Strategy, message: str) -> str | None:
    """Returns the lost worker: the one that an error message names, or those that accept no connection."""
    own = strategy.cluster_resolver
    for job, index in re.findall(r"/job:(\w+)/replica:0/task:(\d+)", message):
        if (job, int(index)) != (own.task_type, own.task_id):
            return "chief" if job == "chief" else f"worker {index}"
    cluster = read_tf_config()
    return ", ".join(cluster.unreachable()) if cluster else None


def _is_no_health_check(record: logging.LogRecord) -> bool:
    return not ("seems down" in record.getMessage() or "check alive failed" in record.getMessage())


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end this process at once: Python handles no signal while TensorFlow waits."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
