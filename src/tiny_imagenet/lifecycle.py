"""How a stage's process begins and ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tiny_imagenet.disk import full_disk_errors
from tiny_imagenet.errors import PipelineError

PARENT_CHECK_SECONDS = 2.0


@contextmanager
def stage_process(stage: str) -> Iterator[None]:
    """Runs a stage's body: a PipelineError, or a full disk, becomes one line on stderr and an exit status.

    The process ends itself (SIGTERM) when the process that started it is gone: a killed `dvc` leaves nothing running.
    """
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    try:
        with full_disk_errors():
            yield
    except KeyboardInterrupt:
        print(f"{stage}: interrupted", file=sys.stderr, flush=True)
        sys.exit(128 + signal.SIGINT)
    except Stopped as error:
        print(f"{stage}: {error}", file=sys.stderr, flush=True)
        sys.exit(128 + signal.SIGTERM)
    except PipelineError as error:
        print(f"error: {stage}: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_status)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def no_chatter() -> Iterator[None]:
    """Sends what TensorFlow's C++ parts say on stderr at their start, which no setting silences, nowhere."""
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
    """The work was asked to stop, and its state is saved."""


class StopRequest:
    """Set by SIGTERM, SIGHUP or Ctrl-C: asks a loop to save its state and end; a second Ctrl-C ends at once."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: object) -> None:
        if number == signal.SIGINT and self.received:
            signal.default_int_handler(number, None)
        self.received = True

    def __call__(self) -> bool:
        """Returns whether a stop was asked for."""
        return self.received
