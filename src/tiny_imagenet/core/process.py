"""Process handling: signals, exit codes, and errors in one line."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tiny_imagenet.core.disk import file_errors
from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.streams import protect_streams

PARENT_CHECK_SECONDS = 2.0
STARTED_BY_DVC = "DVC_STAGE"  # variable that DVC sets for a stage's process: its name


@contextmanager
def stage_process(stage: str) -> Iterator[None]:
    """Runs the body of a stage. Sends itself SIGTERM once the `dvc` that started it has ended: a kill ends both.

    A stage that was started by hand has another parent, which may end: a shell at log-out, or one that `nohup` left.
    """
    if STARTED_BY_DVC in os.environ:
        threading.Thread(target=_end_with_dvc, args=(os.getppid(),), daemon=True).start()
    try:
        with exit_with_one_line(stage):
            yield
    finally:
        _close_thread_pools()


@contextmanager
def command_process(command: str) -> Iterator[None]:
    """Runs the body of a command: a closed pipe (`| head`) ends it silently.

    Not by SIGPIPE, which a server that closes its connection would send, too. Garbage is collected seldom: most of a
    command's objects come from imports and stay.
    """
    protect_streams(quits=True)
    threshold = gc.get_threshold()
    gc.set_threshold(50_000)
    try:
        with exit_with_one_line(command):
            yield
    finally:
        gc.set_threshold(*threshold)
        if sys.stdout is not None:
            sys.stdout.flush()  # the interpreter's own, at its end, would print an error


@contextmanager
def exit_with_one_line(name: str) -> Iterator[None]:
    """Turns a PipelineError, a file error, a stop or Ctrl-C into one line on stderr and an exit code.

    Also protects both streams, and spares the interpreter its last garbage collections, which can take a second.
    """
    protect_streams()
    atexit.register(gc.freeze)
    try:
        with file_errors():
            yield
    except KeyboardInterrupt:
        line, status = f"{name}: interrupted", 128 + signal.SIGINT
    except Stopped as error:
        line, status = f"{name}: {error}", 128 + signal.SIGTERM
    except PipelineError as error:
        line, status = f"error: {name}: {error}", error.exit_status
    else:
        return
    print(line, file=sys.stderr, flush=True)
    sys.exit(status)


def _close_thread_pools() -> None:
    """Closes those that TensorFlow's collectives leave open: one may print an error at the interpreter's end."""
    if pool := sys.modules.get("multiprocessing.pool"):
        for each in gc.get_objects():
            if issubclass(type(each), pool.Pool):
                each.close()


def _end_with_dvc(dvc: int) -> None:
    while os.getppid() == dvc:
        time.sleep(PARENT_CHECK_SECONDS)
    print(f"{os.environ[STARTED_BY_DVC]}: stopping, since dvc (process {dvc}) has ended", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Discards the output of C++ code to stderr: no setting turns off TensorFlow's start messages."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


class Stopped(Exception):
    """The work has saved its state and stopped, as requested."""


class StopRequest:
    """Records SIGTERM, SIGHUP and Ctrl-C, for a loop to save its state and stop; a second Ctrl-C raises at once.

    SIGHUP stays ignored if it is, as under `nohup`.
    """

    def __init__(self) -> None:
        self.received = False
        hangup = [] if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else [signal.SIGHUP]
        for number in (signal.SIGTERM, signal.SIGINT, *hangup):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT and self.received:
            signal.default_int_handler(number, None)
        self.received = True

    def __call__(self) -> bool:
        """Returns whether a stop was requested."""
        return self.received
