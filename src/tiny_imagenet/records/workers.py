"""Parallel execution of tasks in worker processes; one error line if a worker fails."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from tqdm import tqdm

from tiny_imagenet.core.cpus import available_cpus
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.tensorflow_import import first_import

Task = TypeVar("Task")
Result = TypeVar("Result")


def run_in_processes(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    sizes: Sequence[int],
    unit: str,
    workers: int | None = None,
) -> list[Result]:
    """Calls a function on each task in worker processes, each with TensorFlow on one CPU thread.

    Shows a progress bar on a terminal, elsewhere a line every quarter.

    Args:
        function: A picklable function with picklable results.
        tasks: Its arguments, picklable.
        sizes: The size of each task, for the progress.
        unit: The unit of the sizes, in the plural.
        workers: Number of processes; None: one for each available processor.

    Returns:
        The results in the order of the tasks.

    Raises:
        PipelineError: A worker was killed, or the function raised it.
    """
    workers = min(workers or available_cpus(), len(tasks))
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads can deadlock
    pool = ProcessPoolExecutor(workers, spawn, _initialize_worker)
    try:
        futures = {pool.submit(function, task): size for task, size in zip(tasks, sizes, strict=True)}
        with _terminate_on_failure():
            _show_progress(futures, unit)
        return [future.result() for future in futures]
    except BrokenProcessPool:
        what, todo = "a worker process was killed", "run again, with fewer workers if memory was short"
        raise PipelineError("workers", what, todo) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _terminate_on_failure() -> Iterator[None]:
    """Terminates the workers after an error or Ctrl-C instead of waiting for their results."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise


def _show_progress(futures: dict[Future[Any], int], unit: str) -> None:
    """Waits for all results and shows the progress; raises the first error."""
    total, done, quarters = sum(futures.values()), 0, 0
    terminal = sys.stderr.isatty()
    with tqdm(total=total, unit=f" {unit}", unit_scale=True, leave=False, disable=not terminal) as bar:
        for future in as_completed(futures):
            future.result()
            done += futures[future]
            bar.update(futures[future])
            if not terminal and done * 4 // total > quarters:
                quarters = done * 4 // total
                print(f"{done:,} of {total:,} {unit}", flush=True)


def _initialize_worker() -> None:
    """Initializes a worker: no GPU, one thread, ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The last variable keeps Keras from being imported, which halves TensorFlow's start.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_ENABLE_ONEDNN_OPTS": "0", "TF_USE_LEGACY_KERAS": "1"}
    with first_import():
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.constant(0)  # starts the runtime


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
